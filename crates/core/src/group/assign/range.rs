//! The range assignor, as Java's `RangeAssignor` does it: every topic by itself, its partitions in order, in ranges
//! that differ by one at most, the longer ones to the members that come first. Where members and replicas name racks
//! (KIP-881), a member first gets what lies in its own, as far as its range goes, and topics with the same members and
//! as many partitions are matched together, so that they stay partitioned alike.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{Assignor, Racks, Subscriber, Topics, in_order, number};
use crate::TopicPartition;

/// Ranges of every topic by itself: members that want the same topics get the same partitions of each.
///
/// Also what a KIP-848 coordinator calls `range`, which does not look at racks: such a one passes none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>> {
        let ordered = in_order(subscribers);
        let wanted = |(topic, racks)| Shared::new(topic, racks, subscribers, &ordered);
        let mut wanted: Vec<Shared<'_>> = topics.iter().filter_map(wanted).collect();
        if wanted.iter().any(|it| it.racks_matter) {
            match_racks(&mut wanted);
        }
        let mut shares = vec![Vec::new(); subscribers.len()];
        for mut it in wanted {
            it.take_rest();
            for mut taker in it.takers {
                taker.partitions.sort_unstable();
                let named = taker.partitions.into_iter().map(|place| (it.topic.clone(), number(place)));
                shares[taker.member].extend(named.map(|(topic, it)| TopicPartition::new(topic, it)));
            }
        }
        shares
    }
}

/// A topic that somebody wants, and who gets what of it.
struct Shared<'a> {
    topic: &'a Arc<str>,
    racks: &'a [Racks],
    takers: Vec<Taker<'a>>,
    /// What nobody has yet, in order.
    left: VecDeque<usize>,
    /// What every taker gets.
    each: usize,
    /// How many may still get one more.
    longer: usize,
    /// Whether some partitions are nearer to some takers than others are.
    racks_matter: bool,
}

struct Taker<'a> {
    /// Its place among the subscribers.
    member: usize,
    rack: Option<&'a str>,
    partitions: Vec<usize>,
}

impl<'a> Shared<'a> {
    /// None if nobody wants it.
    fn new(
        topic: &'a Arc<str>,
        racks: &'a [Racks],
        subscribers: &'a [Subscriber],
        ordered: &[usize],
    ) -> Option<Self> {
        let wants = |member: &&usize| subscribers[**member].topics.contains(&**topic);
        let taker =
            |&member: &usize| Taker { member, rack: subscribers[member].rack(), partitions: Vec::new() };
        let takers: Vec<Taker<'_>> = ordered.iter().filter(wants).map(taker).collect();
        let each = racks.len().checked_div(takers.len())?;
        Some(Self {
            topic,
            racks,
            left: (0..racks.len()).collect(),
            each,
            longer: racks.len() % takers.len(),
            racks_matter: matter(takers.iter().filter_map(|it| it.rack), racks),
            takers,
        })
    }

    /// How many more this taker may get.
    fn room(&self, taker: usize) -> usize {
        let most = self.each + usize::from(self.longer > 0);
        most.saturating_sub(self.takers[taker].partitions.len())
    }

    /// Whether it is as good for this taker as any.
    fn is_near(&self, taker: usize, partition: usize) -> bool {
        self.takers[taker].rack.is_none_or(|rack| self.racks[partition].contains(rack))
    }

    fn give(&mut self, taker: usize, partitions: impl IntoIterator<Item = usize>) {
        let share = &mut self.takers[taker].partitions;
        let before = share.len();
        share.extend(partitions);
        if share.len() > self.each.max(before) {
            self.longer -= 1;
        }
    }

    /// Everybody takes what is near, as much as it has room for.
    fn take_near(&mut self) {
        for taker in 0..self.takers.len() {
            let near = |it: &&usize| self.is_near(taker, **it);
            let near: Vec<usize> = self.left.iter().filter(near).take(self.room(taker)).copied().collect();
            self.left.retain(|it| near.binary_search(it).is_err());
            self.give(taker, near);
        }
    }

    /// Everybody takes what comes next, until nothing is left.
    fn take_rest(&mut self) {
        for taker in 0..self.takers.len() {
            let room = self.room(taker).min(self.left.len());
            let next: Vec<usize> = self.left.drain(..room).collect();
            self.give(taker, next);
        }
    }
}

/// Shares out what lies in the racks of those who get it.
fn match_racks(wanted: &mut [Shared<'_>]) {
    let mut alike: BTreeMap<(Vec<usize>, usize), Vec<&mut Shared<'_>>> = BTreeMap::new();
    for it in wanted {
        if it.takers.iter().any(|taker| taker.rack.is_some()) {
            let members = it.takers.iter().map(|taker| taker.member).collect();
            alike.entry((members, it.racks.len())).or_default().push(it);
        }
    }
    for mut topics in alike.into_values() {
        match &mut topics[..] {
            [alone] if alone.racks_matter => alone.take_near(),
            [_] => (),
            together => take_alike(together),
        }
    }
}

/// Gives the same partition of all topics to the first who is near all of them.
fn take_alike(topics: &mut [&mut Shared<'_>]) {
    let mut open: Vec<usize> = (0..topics[0].takers.len()).collect();
    let mut given = vec![false; topics[0].racks.len()];
    for (partition, given) in given.iter_mut().enumerate() {
        let fits =
            |taker: &usize| topics.iter().all(|it| it.room(*taker) > 0 && it.is_near(*taker, partition));
        let Some(at) = open.iter().position(fits) else { continue };
        topics.iter_mut().for_each(|it| it.give(open[at], [partition]));
        *given = true;
        if topics.iter().all(|it| it.room(open[at]) == 0) {
            open.remove(at);
        }
    }
    for it in topics {
        it.left.retain(|partition| !given[*partition]);
    }
}

/// Whether members in `own` racks are nearer to some of these partitions than to others.
pub(super) fn matter<'a>(mut own: impl Iterator<Item = &'a str>, partitions: &[Racks]) -> bool {
    let all: Racks = partitions.iter().flatten().cloned().collect();
    own.any(|rack| all.contains(rack)) && partitions.iter().any(|racks| *racks != all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `members` as `id:topics`, a static one as `id=instance:topics`; `counts` as `topic=partitions`.
    fn check(members: &[&str], counts: &[&str], expected: &[&str]) {
        let subscriber = |text: &&str| {
            let (id, topics) = text.split_once(':').expect("id:topics");
            let (member_id, instance_id) = match id.split_once('=') {
                Some((id, instance)) => (id.to_owned(), Some(instance.to_owned())),
                None => (id.to_owned(), None),
            };
            let topics = topics.split(',').map(str::to_owned).collect();
            Subscriber { member_id, instance_id, topics, ..Subscriber::default() }
        };
        let count = |text: &&str| {
            let (topic, count) = text.split_once('=').expect("topic=count");
            (topic.to_owned(), count.parse().expect("a number"))
        };
        let subscribers: Vec<_> = members.iter().map(subscriber).collect();
        let shares = Range.assign(&counts.iter().map(count).collect(), &subscribers);
        let print = |(it, share): (&Subscriber, &Vec<TopicPartition>)| {
            let share: Vec<_> = share.iter().map(TopicPartition::to_string).collect();
            format!("{}: {}", it.member_id, share.join(" "))
        };
        let shares: Vec<_> = subscribers.iter().zip(&shares).map(print).collect();
        assert_eq!(shares, expected, "{members:?} over {counts:?}");
    }

    /// The expected lines are what `RangeAssignor` of kafka-clients 4.3.0 printed for the same input.
    #[test]
    fn ranges_are_those_of_java() {
        check(&["a:t"], &["t=3"], &["a: t-0 t-1 t-2"]);
        check(&["a:t", "b:t"], &["t=3"], &["a: t-0 t-1", "b: t-2"]);
        check(&["a:t", "b:t"], &["t=3", "u=3"], &["a: t-0 t-1", "b: t-2"]);
        check(&["a:t,u", "b:t,u"], &["t=3", "u=3"], &["a: t-0 t-1 u-0 u-1", "b: t-2 u-2"]);
        check(
            &["a:t,u", "b:u", "c:t"],
            &["t=5", "u=4"],
            &["a: t-0 t-1 t-2 u-0 u-1", "b: u-2 u-3", "c: t-3 t-4"],
        );
        check(&["a:t", "b:t", "c:t"], &["t=2"], &["a: t-0", "b: t-1", "c: "]);
        check(
            &["a:t", "b:t", "c:t"],
            &["t=11"],
            &["a: t-0 t-1 t-2 t-3", "b: t-4 t-5 t-6 t-7", "c: t-8 t-9 t-10"],
        );
        check(&["a:missing", "b:t"], &["t=2"], &["a: ", "b: t-0 t-1"]);
        check(&["a:t", "b=z:t", "c=y:t", "d:t"], &["t=6"], &["a: t-4", "b: t-2 t-3", "c: t-0 t-1", "d: t-5"]);
    }
}
