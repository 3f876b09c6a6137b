//! Whether the user of a member is stuck: judged by the oldest record that was handed out and is not finished, not
//! by how often something is asked for. Who works on one record for long is as alive as who asks for many; who does
//! not get on with one is not, whatever else it asks for.

use std::{collections::BTreeMap, time::Duration};

use crate::{Moment, TopicPartition};

/// It is looked so often while a record has the time that it may take.
const LOOKS: u32 = 8;

/// Looks now and then at what is in a user's hands.
#[derive(Debug)]
pub struct Liveness {
    /// A record may be unfinished for so long.
    max: Duration,
    held: BTreeMap<TopicPartition, Held>,
    next: Moment,
    /// Since a verdict of `Stuck`, until the user is back.
    is_stuck: bool,
}

/// The oldest unfinished record of a partition.
#[derive(Debug, Clone, Copy)]
struct Held {
    offset: i64,
    since: Moment,
    is_told: bool,
}

/// A record that takes long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has taken half of the time there is.
    Slow(Unfinished),
    /// It has taken all of it. Told once, until the user is back.
    Stuck(Unfinished),
}

/// The oldest record that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset, or one below it of which nothing was handed out.
    pub offset: i64,
    /// For how long it has been seen in the user's hands.
    pub age: Duration,
}

impl Liveness {
    /// Nothing is in anybody's hands yet.
    pub fn new(max: Duration) -> Self {
        Self { max, held: BTreeMap::new(), next: Moment::default(), is_stuck: false }
    }

    /// Looks at what is in the user's hands: of each partition the offset below which everything is finished.
    pub fn look(&mut self, now: Moment, in_hand: &BTreeMap<TopicPartition, i64>) -> Option<Verdict> {
        self.next = now + self.max / LOOKS;
        self.held.retain(|partition, held| in_hand.get(partition) == Some(&held.offset));
        for (partition, offset) in in_hand {
            let held = Held { offset: *offset, since: now, is_told: false };
            self.held.entry(partition.clone()).or_insert(held);
        }
        if self.is_stuck {
            return None;
        }
        let (partition, held) = self.held.iter_mut().min_by_key(|it| it.1.since)?;
        let (age, due) = (now.since(held.since), held.since + self.max);
        let unfinished = Unfinished { partition: partition.clone(), offset: held.offset, age };
        if due <= now {
            self.is_stuck = true;
            return Some(Verdict::Stuck(unfinished));
        }
        self.next = self.next.min(due);
        if age < self.max / 2 || std::mem::replace(&mut held.is_told, true) {
            return None;
        }
        Some(Verdict::Slow(unfinished))
    }

    /// The user asks for more: what it held was taken from it, and what it is given now is looked at anew.
    pub fn on_back(&mut self) {
        self.held.clear();
        self.is_stuck = false;
    }

    /// Whether it was found stuck, and is not back.
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// When to look again; never while the user is not back.
    pub fn deadline(&self) -> Option<Moment> {
        (!self.is_stuck).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Moment {
        Moment::default() + SECOND * seconds
    }

    fn orders(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    fn unfinished(partition: i32, offset: i64, seconds: u32) -> Unfinished {
        Unfinished { partition: orders(partition), offset, age: SECOND * seconds }
    }

    #[test]
    fn the_oldest_record_counts_whatever_else_is_asked_for() {
        let mut liveness = Liveness::new(SECOND * 80);
        for second in (0..80).step_by(10) {
            // Partition 1 gets on all the time, 0 does not.
            let in_hand = BTreeMap::from([(orders(0), 7), (orders(1), i64::from(second))]);
            let verdict = liveness.look(at(second), &in_hand);
            let slow = (second == 40).then(|| Verdict::Slow(unfinished(0, 7, 40)));
            assert_eq!(verdict, slow, "{second}");
            assert!(liveness.deadline() <= Some(at(second + 10)), "{second}");
        }
        let in_hand = BTreeMap::from([(orders(0), 7), (orders(1), 99)]);
        assert_eq!(liveness.look(at(80), &in_hand), Some(Verdict::Stuck(unfinished(0, 7, 80))));
        assert!(liveness.is_stuck());
        assert_eq!(liveness.look(at(300), &in_hand), None, "it is told once");
        assert_eq!(liveness.deadline(), None);
    }

    #[test]
    fn who_finishes_records_or_has_none_is_alive() {
        let mut liveness = Liveness::new(SECOND * 80);
        for second in 0..1_000 {
            let in_hand = match second % 3 {
                0 => BTreeMap::new(),
                _ => BTreeMap::from([(orders(0), i64::from(second / 30))]),
            };
            assert_eq!(liveness.look(at(second), &in_hand), None);
        }
    }

    #[test]
    fn who_is_back_begins_anew() {
        let mut liveness = Liveness::new(SECOND * 80);
        let in_hand = BTreeMap::from([(orders(0), 7)]);
        liveness.look(at(0), &in_hand);
        assert!(matches!(liveness.look(at(90), &in_hand), Some(Verdict::Stuck(_))));
        liveness.on_back();
        assert!(!liveness.is_stuck());
        assert_eq!(liveness.look(at(100), &in_hand), None);
        assert_eq!(liveness.look(at(141), &in_hand), Some(Verdict::Slow(unfinished(0, 7, 41))));
        assert!(matches!(liveness.look(at(180), &in_hand), Some(Verdict::Stuck(_))));
    }
}
