//! Members want different topics: what is left goes to whoever has least of those who want it, and then partitions move
//! from those who have more to those who have less, as long as that makes shares more even.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    moves::Moves,
    problem::{Member, Partition, Problem, Topic},
};

/// No real group needs as many; each goes over all partitions. Moves that go round in circles end here.
const ROUNDS_MAX: usize = 64;

struct Shares<'a> {
    problem: &'a Problem<'a>,
    owners: Vec<Option<Member>>,
    ranking: Ranking,
    moves: Moves,
}

pub(super) fn share_out(problem: &Problem<'_>) -> Vec<Option<Member>> {
    let (owners, someone_loses) = kept(problem);
    let mut sizes = vec![0; problem.members().len()];
    owners.iter().flatten().for_each(|owner| sizes[*owner] += 1);
    let is_first_time = sizes.iter().all(|it| *it == 0);
    let ranking = Ranking::new(problem, sizes);
    let order = order(problem, &ranking);
    let mut shares = Shares { problem, owners, ranking, moves: Moves::default() };
    let new: Vec<Partition> = order.iter().filter(|it| shares.owners[**it].is_none()).copied().collect();
    shares.hand_out(&new);

    let (owners, before) = (shares.owners.clone(), shares.score());
    if !someone_loses {
        shares.even_out(&new);
    }
    if shares.even_out(&order) && !is_first_time && shares.score() >= before {
        return owners;
    }
    shares.owners
}

/// What stays where it is, and whether somebody loses what it has: to another rack, or since it does not want it.
fn kept(problem: &Problem<'_>) -> (Vec<Option<Member>>, bool) {
    let mut someone_loses = false;
    let keep = |partition: Partition| {
        let holder = problem.holder(partition)?;
        let keeps = problem.wants(holder, partition) && problem.is_in(partition, problem.rack(holder));
        someone_loses |= !keeps;
        keeps.then_some(holder)
    };
    (problem.partitions().map(keep).collect(), someone_loses)
}

/// Partitions in the order in which they are looked at: those that few want come first.
fn order(problem: &Problem<'_>, ranking: &Ranking) -> Vec<Partition> {
    let mut topics: Vec<Topic> = problem.topics().collect();
    topics.sort_by_key(|it| ranking.takers[*it]);
    topics.into_iter().flat_map(|it| problem.partitions_of(it)).collect()
}

impl Shares<'_> {
    /// Gives each to whoever has least; where racks matter, first those that lie near to somebody.
    fn hand_out(&mut self, new: &[Partition]) {
        if self.problem.racks_matter() {
            for partition in new {
                let near = |rack| self.problem.is_in(*partition, rack);
                if let Some((_, least)) = self.ranking.least(self.problem.topic_of(*partition), near) {
                    self.give(*partition, least);
                }
            }
        }
        for partition in new {
            if self.owners[*partition].is_none() {
                let least = self.ranking.least(self.problem.topic_of(*partition), |_| true);
                let (_, least) = least.expect("only topics that somebody wants are shared out");
                self.give(*partition, least);
            }
        }
    }

    /// Moves what can go to someone who has less, by two at least, until nothing can. Whether anything moved.
    fn even_out(&mut self, partitions: &[Partition]) -> bool {
        for round in 0..ROUNDS_MAX {
            let mut moved = false;
            for partition in partitions {
                if let Some(to) = self.better(*partition) {
                    self.pass_on(*partition, to);
                    moved = true;
                }
            }
            if !moved {
                return round > 0;
            }
        }
        true
    }

    /// Who should have a partition instead: who had it before, or else whoever has least.
    fn better(&self, partition: Partition) -> Option<Member> {
        let owner = self.owners[partition]?;
        let size = self.ranking.sizes[owner];
        let before = self.problem.earlier(partition).filter(|it| self.problem.wants(*it, partition));
        if let Some(before) = before.filter(|it| size > self.ranking.sizes[*it] + 1) {
            return Some(before);
        }
        let (least, member) = self.ranking.least(self.problem.topic_of(partition), |_| true)?;
        (size > least + 1).then_some(member)
    }

    fn pass_on(&mut self, partition: Partition, to: Member) {
        let topic = self.problem.topic_of(partition);
        let owner = self.owners[partition].expect("it is passed on by someone");
        let partition = self.moves.better(topic, partition, owner, to);
        let from = self.owners[partition].expect("what has moved is someone's");
        self.moves.note(topic, partition, from, to);
        self.ranking.change(from, |size| size - 1);
        self.give(partition, to);
    }

    fn give(&mut self, partition: Partition, member: Member) {
        self.owners[partition] = Some(member);
        self.ranking.change(member, |size| size + 1);
    }

    /// How uneven shares are: the differences between any two, of members that share anything with others.
    fn score(&self) -> u64 {
        let shares_any = |member: &Member| {
            self.problem.wanted_by(*member).iter().any(|topic| self.ranking.takers[*topic] > 1)
        };
        let sizes = self.problem.members().filter(shares_any).map(|it| self.ranking.sizes[it] as u64);
        let mut sizes: Vec<u64> = sizes.collect();
        sizes.sort_unstable();
        let (mut score, mut sum) = (0, 0);
        for (smaller, size) in sizes.into_iter().enumerate() {
            score += size * smaller as u64 - sum;
            sum += size;
        }
        score
    }
}

/// Who has least, for each topic. Members that want the same and are in the same rack are ranked together.
struct Ranking {
    sizes: Vec<usize>,
    class_of: Vec<usize>,
    classes: Vec<Class>,
    /// The classes that want each topic.
    wanting: Vec<Vec<usize>>,
    /// How many members want each topic.
    takers: Vec<usize>,
}

struct Class {
    rack: Option<usize>,
    by_size: BTreeSet<(usize, Member)>,
}

impl Ranking {
    fn new(problem: &Problem<'_>, sizes: Vec<usize>) -> Self {
        let mut known: BTreeMap<(&[Topic], Option<usize>), usize> = BTreeMap::new();
        let mut classes: Vec<Class> = Vec::new();
        let mut class_of = Vec::new();
        let mut wanting = vec![Vec::new(); problem.topics().len()];
        let mut takers = vec![0; problem.topics().len()];
        for member in problem.members() {
            let (wanted, rack) = (problem.wanted_by(member), problem.rack(member));
            wanted.iter().for_each(|topic| takers[*topic] += 1);
            let class = *known.entry((wanted, rack)).or_insert_with(|| {
                wanted.iter().for_each(|topic| wanting[*topic].push(classes.len()));
                classes.push(Class { rack, by_size: BTreeSet::new() });
                classes.len() - 1
            });
            class_of.push(class);
            classes[class].by_size.insert((sizes[member], member));
        }
        Self { sizes, class_of, classes, wanting, takers }
    }

    /// The member that has least of those who want a topic and are in such a rack, and how much.
    fn least(&self, topic: Topic, is_near: impl Fn(Option<usize>) -> bool) -> Option<(usize, Member)> {
        let classes = self.wanting[topic].iter().map(|class| &self.classes[*class]);
        classes.filter(|it| is_near(it.rack)).filter_map(|it| it.by_size.first()).min().copied()
    }

    fn change(&mut self, member: Member, change: impl Fn(usize) -> usize) {
        let by_size = &mut self.classes[self.class_of[member]].by_size;
        by_size.remove(&(self.sizes[member], member));
        self.sizes[member] = change(self.sizes[member]);
        by_size.insert((self.sizes[member], member));
    }
}
