//! The range assignor, as Java's `RangeAssignor` does it without racks: every topic by itself, its partitions in
//! order, in ranges that differ by one at most, the longer ones to the members that come first.

use super::{Assignor, Subscriber, Topics};
use crate::TopicPartition;

/// Ranges of every topic by itself: members that want the same topics get the same partitions of each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(&self, topics: &Topics, subscribers: &[Subscriber]) -> Vec<Vec<TopicPartition>> {
        let mut shares = vec![Vec::new(); subscribers.len()];
        let ordered = ordered(subscribers);
        for (topic, partitions) in topics.iter() {
            let wants = |it: &&usize| subscribers[**it].topics.contains(&**topic);
            let takers: Vec<usize> = ordered.iter().filter(wants).copied().collect();
            let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
            for (&taker, range) in takers.iter().zip(ranges(count, takers.len())) {
                shares[taker].extend(range.map(|it| TopicPartition::new(topic.clone(), it)));
            }
        }
        shares
    }
}

/// Static members come first, by name, so that new ids do not shift ranges.
fn ordered(subscribers: &[Subscriber]) -> Vec<usize> {
    let mut ordered: Vec<usize> = (0..subscribers.len()).collect();
    ordered.sort_by_key(|&it| {
        let it = &subscribers[it];
        (it.instance_id.is_none(), it.instance_id.as_deref(), &*it.member_id)
    });
    ordered
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
