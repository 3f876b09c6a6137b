//! Who wants what and says to have what, with members and partitions as numbers: members by their ids, partitions by
//! topic and number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::{Racks, Subscriber, Topics, number, range};
use crate::TopicPartition;

pub(super) type Member = usize;
pub(super) type Topic = usize;
pub(super) type Partition = usize;

/// What a member says to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Held {
    pub(in super::super) partitions: Vec<TopicPartition>,
    /// When it was given that, or -1.
    pub(in super::super) generation: i32,
}

impl Default for Held {
    fn default() -> Self {
        Self { partitions: Vec::new(), generation: -1 }
    }
}

pub(in super::super) struct Problem<'a> {
    /// The place of each member among the subscribers.
    places: Vec<usize>,
    /// What each member wants of what is there, in order.
    wants: Vec<Vec<Topic>>,
    pub(super) all_want_the_same: bool,
    topics: Vec<(&'a Arc<str>, &'a [Racks])>,
    /// The first partition of each topic, and behind the last.
    firsts: Vec<Partition>,
    /// The topic of each partition.
    topic_of: Vec<Topic>,
    claims: Vec<Claim>,
    /// Who had each partition last, of those who missed the latest generation.
    earlier: Vec<Option<(i32, Member)>>,
    /// None where they make no difference.
    racks: Option<Nearness>,
}

/// Who has a partition, of those who say so: whoever was given it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    None,
    Of {
        member: Member,
        generation: i32,
    },
    /// Two were given it in the same generation, which cannot be: neither is believed.
    Contested {
        generation: i32,
    },
}

/// Racks as numbers.
struct Nearness {
    of_members: Vec<Option<usize>>,
    of_partitions: Vec<Vec<usize>>,
    /// How many members are in each rack.
    members: Vec<usize>,
}

impl<'a> Problem<'a> {
    /// `held` is what each subscriber says to have.
    pub(in super::super) fn new(topics: &'a Topics, subscribers: &'a [Subscriber], held: &[Held]) -> Self {
        let mut places: Vec<usize> = (0..subscribers.len()).collect();
        places.sort_by_key(|it| &*subscribers[*it].member_id);
        let wanted: BTreeSet<&str> = subscribers.iter().flat_map(|it| &it.topics).map(|it| &**it).collect();
        let there = |it: &(&Arc<str>, &[Racks])| wanted.contains(&**it.0) && !it.1.is_empty();
        let topics: Vec<(&Arc<str>, &[Racks])> = topics.iter().filter(there).collect();
        let mut firsts = vec![0];
        let mut topic_of = Vec::new();
        for (topic, (_, racks)) in topics.iter().enumerate() {
            topic_of.resize(topic_of.len() + racks.len(), topic);
            firsts.push(topic_of.len());
        }
        let numbers: BTreeMap<&str, Topic> =
            topics.iter().enumerate().map(|(topic, (name, _))| (&***name, topic)).collect();
        let wants = |place: &usize| -> Vec<Topic> {
            subscribers[*place].topics.iter().filter_map(|it| numbers.get(&**it).copied()).collect()
        };
        let mut problem = Self {
            wants: places.iter().map(wants).collect(),
            all_want_the_same: subscribers.windows(2).all(|pair| pair[0].topics == pair[1].topics),
            claims: vec![Claim::None; topic_of.len()],
            earlier: vec![None; topic_of.len()],
            racks: Nearness::new(&topics, subscribers, &places),
            places,
            topics,
            firsts,
            topic_of,
        };
        problem.listen(held, &numbers);
        problem
    }

    /// Settles who has what. What is said of partitions that are not there is passed over.
    fn listen(&mut self, held: &[Held], numbers: &BTreeMap<&str, Topic>) {
        let latest = held.iter().map(|it| it.generation).max().unwrap_or(-1);
        for (member, place) in self.places.iter().enumerate() {
            let Held { partitions, generation } = &held[*place];
            for said in partitions {
                let Some(&topic) = numbers.get(&*said.topic) else { continue };
                let known = self.firsts[topic]..self.firsts[topic + 1];
                let partition =
                    usize::try_from(said.partition).ok().and_then(|it| known.start.checked_add(it));
                let Some(partition) = partition.filter(|it| known.contains(it)) else { continue };
                self.claims[partition].hear(member, *generation);
                let before = &mut self.earlier[partition];
                if *generation < latest && before.is_none_or(|(other, _)| *generation > other) {
                    *before = Some((*generation, member));
                }
            }
        }
    }

    pub(super) fn members(&self) -> std::ops::Range<Member> {
        0..self.places.len()
    }

    pub(super) fn partitions(&self) -> std::ops::Range<Partition> {
        0..self.topic_of.len()
    }

    pub(super) fn topics(&self) -> std::ops::Range<Topic> {
        0..self.topics.len()
    }

    pub(super) fn topic_of(&self, partition: Partition) -> Topic {
        self.topic_of[partition]
    }

    pub(super) fn partitions_of(&self, topic: Topic) -> std::ops::Range<Partition> {
        self.firsts[topic]..self.firsts[topic + 1]
    }

    /// Its number within its topic.
    pub(super) fn number_of(&self, partition: Partition) -> usize {
        partition - self.firsts[self.topic_of[partition]]
    }

    pub(super) fn wanted_by(&self, member: Member) -> &[Topic] {
        &self.wants[member]
    }

    pub(super) fn wants(&self, member: Member, partition: Partition) -> bool {
        self.wants[member].binary_search(&self.topic_of[partition]).is_ok()
    }

    /// Who has the partition, if that is beyond doubt.
    pub(super) fn holder(&self, partition: Partition) -> Option<Member> {
        match self.claims[partition] {
            Claim::Of { member, .. } => Some(member),
            Claim::None | Claim::Contested { .. } => None,
        }
    }

    /// Who had it before, and missed the latest generation.
    pub(super) fn earlier(&self, partition: Partition) -> Option<Member> {
        self.earlier[partition].map(|(_, member)| member)
    }

    /// Whether somebody has to give the partition back before this member may have it.
    pub(super) fn must_be_given_back(&self, partition: Partition, next: Member) -> bool {
        match self.claims[partition] {
            Claim::None => false,
            Claim::Of { member, .. } => member != next,
            Claim::Contested { .. } => true,
        }
    }

    pub(super) fn racks_matter(&self) -> bool {
        self.racks.is_some()
    }

    /// The rack of a member, where racks matter.
    pub(super) fn rack(&self, member: Member) -> Option<usize> {
        self.racks.as_ref()?.of_members[member]
    }

    /// Whether a partition has a replica in this rack. No rack at all is as good as any.
    pub(super) fn is_in(&self, partition: Partition, rack: Option<usize>) -> bool {
        let (Some(rack), Some(racks)) = (rack, &self.racks) else { return true };
        racks.of_partitions[partition].contains(&rack)
    }

    /// How many members are in the racks of a partition.
    pub(super) fn members_near(&self, partition: Partition) -> usize {
        let Some(racks) = &self.racks else { return 0 };
        racks.of_partitions[partition].iter().map(|rack| racks.members[*rack]).sum()
    }

    /// What each subscriber gets, by name.
    pub(in super::super) fn named(&self, owners: &[Option<Member>]) -> Vec<Vec<TopicPartition>> {
        let mut shares = vec![Vec::new(); self.places.len()];
        for (partition, owner) in owners.iter().enumerate() {
            let Some(owner) = owner else { continue };
            let (topic, _) = self.topics[self.topic_of[partition]];
            let it = TopicPartition::new(topic.clone(), number(self.number_of(partition)));
            shares[self.places[*owner]].push(it);
        }
        shares
    }
}

impl Claim {
    fn hear(&mut self, member: Member, generation: i32) {
        let (before, is_same) = match *self {
            Claim::None => return *self = Claim::Of { member, generation },
            Claim::Of { member: other, generation } => (generation, other == member),
            Claim::Contested { generation } => (generation, false),
        };
        if generation > before {
            *self = Claim::Of { member, generation };
        } else if generation == before && !is_same {
            *self = Claim::Contested { generation };
        }
    }
}

impl Nearness {
    fn new(topics: &[(&Arc<str>, &[Racks])], subscribers: &[Subscriber], places: &[usize]) -> Option<Self> {
        let all: Vec<Racks> = topics.iter().flat_map(|(_, racks)| racks.iter().cloned()).collect();
        if !range::matter(subscribers.iter().filter_map(Subscriber::rack), &all) {
            return None;
        }
        let named = subscribers.iter().filter_map(Subscriber::rack);
        let named: BTreeSet<&str> = named.chain(all.iter().flatten().map(|it| &**it)).collect();
        let numbers: BTreeMap<&str, usize> = named.iter().enumerate().map(|(it, name)| (*name, it)).collect();
        let of_members: Vec<Option<usize>> =
            places.iter().map(|place| subscribers[*place].rack().map(|it| numbers[it])).collect();
        let mut members = vec![0; numbers.len()];
        of_members.iter().flatten().for_each(|rack| members[*rack] += 1);
        let of_partitions = all.iter().map(|racks| racks.iter().map(|it| numbers[&**it]).collect()).collect();
        Some(Self { of_members, of_partitions, members })
    }
}
