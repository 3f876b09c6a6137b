//! The range assignor, as Java's `RangeAssignor` does it without racks: every topic by itself, its partitions in
//! order, in ranges that differ by one at most, the longer ones to the members that come first.

use std::collections::{BTreeMap, BTreeSet};

use crate::TopicPartition;

/// A member that wants partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Its id within the group.
    pub member_id: String,
    /// Its name if it is a static member. These come first, by name, so that new ids do not shift ranges.
    pub instance_id: Option<String>,
    /// The topics it wants.
    pub topics: BTreeSet<String>,
}

/// What each member gets, every member named. `counts` has the number of partitions of each topic that is there.
pub fn range(
    subscribers: &[Subscriber],
    counts: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut ordered: Vec<&Subscriber> = subscribers.iter().collect();
    ordered.sort_by_key(|it| (it.instance_id.is_none(), it.instance_id.as_deref(), &*it.member_id));
    let nothing = |it: &&Subscriber| (it.member_id.clone(), Vec::new());
    let mut shares: BTreeMap<String, Vec<TopicPartition>> = ordered.iter().map(nothing).collect();
    for (topic, &count) in counts {
        let takers: Vec<&str> =
            ordered.iter().filter(|it| it.topics.contains(topic)).map(|it| &*it.member_id).collect();
        for (taker, partitions) in takers.iter().zip(ranges(count, takers.len())) {
            let share = shares.get_mut(*taker).expect("every subscriber has a share");
            share.extend(partitions.map(|partition| TopicPartition::new(&**topic, partition)));
        }
    }
    shares
}

/// `0..count` in `parts` ranges, the longer ones first.
fn ranges(count: i32, parts: usize) -> impl Iterator<Item = std::ops::Range<i32>> {
    let parts = i32::try_from(parts).unwrap_or(i32::MAX).max(1);
    let (each, longer) = (count / parts, count % parts);
    (0..parts).map(move |part| {
        let start = part * each + part.min(longer);
        start..start + each + i32::from(part < longer)
    })
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
            Subscriber { member_id, instance_id, topics: topics.split(',').map(str::to_owned).collect() }
        };
        let count = |text: &&str| {
            let (topic, count) = text.split_once('=').expect("topic=count");
            (topic.to_owned(), count.parse().expect("a number"))
        };
        let subscribers: Vec<_> = members.iter().map(subscriber).collect();
        let shares = range(&subscribers, &counts.iter().map(count).collect());
        let print = |(id, share): (&String, &Vec<TopicPartition>)| {
            let share: Vec<_> = share.iter().map(TopicPartition::to_string).collect();
            format!("{id}: {}", share.join(" "))
        };
        let shares: Vec<_> = shares.iter().map(print).collect();
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
