//! What everybody is to have in the end: when that has to be asked anew, and who is asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crc_fast::{CrcAlgorithm, Digest};

use super::{Group, Partitions, member::Member};
use crate::{
    TopicPartition,
    group::{
        assign::{Assignor, Range, Subscriber, Topics, Uniform},
        coordinator::Directory,
    },
};

/// The assignors that members may ask for. The first is asked if nobody does.
const ASSIGNORS: [&dyn Assignor; 2] = [&Uniform, &Range];

/// Their names.
pub(super) fn assignors() -> impl Iterator<Item = &'static str> {
    ASSIGNORS.into_iter().map(Assignor::name)
}

/// The one of this name.
pub(super) fn assignor(name: &str) -> Option<&'static dyn Assignor> {
    ASSIGNORS.into_iter().find(|assignor| assignor.name() == name)
}

impl Group {
    /// Takes in what changed: a member that wants something else, or the topics. The targets are for the group's
    /// epoch then.
    pub(super) fn catch_up(&mut self, changed: bool, topics: &Directory) {
        if changed || self.topics_seen != Some(topics.changes()) {
            let wanted = self.wanted(topics);
            let hash = hash(&wanted, topics);
            if changed || hash != self.topics_hash {
                self.bump();
            }
            self.topics_hash = hash;
            self.topics_seen = Some(topics.changes());
        }
        if self.epoch != self.assignment_epoch {
            self.retarget(topics);
        }
    }

    /// The topics that there are and that somebody wants.
    fn wanted(&self, topics: &Directory) -> BTreeSet<Arc<str>> {
        let mut wanted = BTreeSet::new();
        let mut patterns = BTreeMap::new();
        for member in self.members.values() {
            let named = member.topics.iter().filter(|name| topics.topic(name).is_some());
            wanted.extend(named.map(|name| Arc::from(name.as_str())));
            patterns.extend(member.pattern.as_ref().map(|pattern| (pattern.text(), pattern)));
        }
        for pattern in patterns.into_values() {
            wanted.extend(topics.iter().map(|(name, _)| name).filter(|name| pattern.matches(name)).cloned());
        }
        wanted
    }

    /// The topics that members name, there or not, and those that match what they ask for.
    pub(in crate::group) fn wants(&self, topics: &Directory) -> BTreeSet<String> {
        let named = self.members.values().flat_map(|member| member.topics.iter().cloned());
        named.chain(self.wanted(topics).iter().map(|name| name.to_string())).collect()
    }

    fn retarget(&mut self, topics: &Directory) {
        let wanted = self.wanted(topics);
        let count =
            |name: &Arc<str>| topics.topic(name).map_or(0, |it| usize::try_from(it.partitions).unwrap_or(0));
        let shared: Topics = wanted.iter().map(|name| (name.clone(), count(name))).collect();
        let subscribers: Vec<_> =
            self.members.iter().map(|(id, member)| self.subscriber(id, member, &wanted, topics)).collect();
        let shares = self.preferred().assign(&shared, &subscribers);
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for (at, id) in ids.into_iter().enumerate() {
            let share = shares.get(at).map_or(&[][..], Vec::as_slice);
            let target =
                share.iter().filter_map(|it| Some((topics.topic(&it.topic)?.id, it.partition))).collect();
            if self.targets.get(&id) != Some(&target) {
                self.targets.insert(id.clone(), target);
                self.unrecorded.targets.insert(id);
            }
        }
        self.assignment_epoch = self.epoch;
        self.unrecorded.group = true;
    }

    fn subscriber(
        &self,
        id: &str,
        member: &Member,
        wanted: &BTreeSet<Arc<str>>,
        topics: &Directory,
    ) -> Subscriber {
        let named = |(topic, partition): &(_, i32)| {
            Some(TopicPartition::new(topics.name(*topic)?.clone(), *partition))
        };
        let target: Option<&Partitions> = self.targets.get(id);
        Subscriber {
            member_id: id.to_owned(),
            instance_id: member.instance_id.clone(),
            topics: wanted
                .iter()
                .filter(|name| member.subscribes(name))
                .map(|name| (**name).to_owned())
                .collect(),
            rack: member.rack_id.as_deref().map(Into::into),
            owned: target.into_iter().flatten().filter_map(named).collect(),
            generation: self.assignment_epoch,
            user_data: None,
        }
    }

    /// The assignor that most members ask for; between equals the first by name.
    pub(super) fn preferred(&self) -> &'static dyn Assignor {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|member| member.assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.values().copied().max();
        let chosen = votes.into_iter().find(|(_, count)| Some(*count) == most);
        chosen.and_then(|(name, _)| assignor(name)).unwrap_or(ASSIGNORS[0])
    }
}

/// What the topics look like, in short.
fn hash(wanted: &BTreeSet<Arc<str>>, topics: &Directory) -> i64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    for name in wanted {
        let Some(topic) = topics.topic(name) else { continue };
        digest.update(name.as_bytes());
        digest.update(&topic.id.0.to_be_bytes());
        digest.update(&topic.partitions.to_be_bytes());
    }
    digest.finalize() as i64
}
