//! What happened, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

/// What became of a record, as its producer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is at this offset; none if the broker no longer knew.
    Acknowledged(i32, Option<i64>),
    /// It was given up; whether it may be written all the same.
    Failed(bool),
}

/// A record that is there in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where.
    pub partition: i32,
    /// Where in it.
    pub offset: i64,
    /// Its value, which is unique.
    pub value: String,
}

/// What a group has committed, as somebody saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Of which partition.
    pub partition: i32,
    /// The next record to read.
    pub offset: i64,
}

/// Everything that happened in a world, in order.
#[derive(Debug, Default)]
pub struct History {
    /// What was sent, by value. A producer's values rise.
    pub sent: BTreeMap<String, Outcome>,
    /// What the members of a group were handed.
    pub handled: Vec<String>,
    /// What was seen of the group's commits, in order.
    pub committed: Vec<Committed>,
}

impl History {
    /// Every acknowledged record is there once, at its offset; no other is there that should not be; and each
    /// producer's records are in order. `log` is all of it.
    pub fn check_log(&self, seed: u64, log: &[Stored]) {
        let mut places: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
        for it in log {
            places.entry(&it.value).or_default().push(it);
        }
        for (value, outcome) in &self.sent {
            let there = places.get(value.as_str()).map_or(&[][..], |it| it);
            assert!(there.len() <= 1, "seed {seed}: {value} is there more than once: {there:?}");
            match outcome {
                Outcome::Acknowledged(partition, offset) => {
                    let it = there.first().unwrap_or_else(|| {
                        panic!("seed {seed}: {value} was acknowledged as {outcome:?} and is lost")
                    });
                    assert_eq!(it.partition, *partition, "seed {seed}: {value}");
                    assert!(
                        offset.is_none_or(|offset| offset == it.offset),
                        "seed {seed}: {value} is {it:?}"
                    );
                }
                Outcome::Failed(false) => {
                    assert!(there.is_empty(), "seed {seed}: {value} failed for certain, and is there");
                }
                Outcome::Failed(true) => {}
            }
        }
        let unknown = log.iter().find(|it| !self.sent.contains_key(&it.value));
        assert_eq!(unknown, None, "seed {seed}: nobody sent this");
        self.check_order(seed, log);
    }

    /// Every acknowledged record was handed to a member of the group.
    pub fn check_handled(&self, seed: u64) {
        let handled: BTreeSet<_> = self.handled.iter().collect();
        let missed = self.missed(&handled);
        assert!(missed.is_empty(), "seed {seed}: never handed out: {missed:?}");
    }

    /// What was acknowledged and not handed out yet.
    pub fn is_handled(&self) -> bool {
        self.missed(&self.handled.iter().collect()).is_empty()
    }

    /// What a group has committed never went back.
    pub fn check_commits(&self, seed: u64) {
        let mut latest: BTreeMap<i32, i64> = BTreeMap::new();
        for it in &self.committed {
            let before = latest.insert(it.partition, it.offset).unwrap_or(-1);
            assert!(
                it.offset >= before,
                "seed {seed}: partition {} went from {before} back to {}",
                it.partition,
                it.offset
            );
        }
    }

    fn missed(&self, handled: &BTreeSet<&String>) -> Vec<&String> {
        let acknowledged = self.sent.iter().filter(|it| matches!(it.1, Outcome::Acknowledged(..)));
        acknowledged.map(|it| it.0).filter(|it| !handled.contains(it)).collect()
    }

    fn check_order(&self, seed: u64, log: &[Stored]) {
        let mut latest: BTreeMap<(i32, &str), &str> = BTreeMap::new();
        for it in log {
            let (producer, _) = it.value.split_once(':').expect("a value names its producer");
            let before = latest.insert((it.partition, producer), &it.value).unwrap_or_default();
            assert!(
                before < it.value.as_str(),
                "seed {seed}: {} is behind {before} in {}",
                it.value,
                it.partition
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(sent: &[(&str, Outcome)]) -> History {
        let sent = sent.iter().map(|(value, outcome)| ((*value).to_owned(), outcome.clone())).collect();
        History { sent, ..History::default() }
    }

    fn log(values: &[&str]) -> Vec<Stored> {
        let at = |(offset, value): (usize, &&str)| Stored {
            partition: 0,
            offset: offset as i64,
            value: (*value).into(),
        };
        values.iter().enumerate().map(at).collect()
    }

    fn acknowledged(offset: i64) -> Outcome {
        Outcome::Acknowledged(0, Some(offset))
    }

    #[test]
    fn what_is_as_it_was_acknowledged_passes() {
        let history =
            history(&[("a:0", acknowledged(0)), ("a:1", acknowledged(1)), ("a:2", Outcome::Failed(false))]);
        history.check_log(1, &log(&["a:0", "a:1"]));
    }

    #[test]
    #[should_panic(expected = "is lost")]
    fn a_lost_record_is_found() {
        history(&[("a:0", acknowledged(0))]).check_log(1, &[]);
    }

    #[test]
    #[should_panic(expected = "more than once")]
    fn a_record_that_is_there_twice_is_found() {
        history(&[("a:0", acknowledged(0))]).check_log(1, &log(&["a:0", "a:0"]));
    }

    #[test]
    #[should_panic(expected = "a:0 is Stored")]
    fn a_record_at_another_offset_is_found() {
        history(&[("a:0", acknowledged(5))]).check_log(1, &log(&["a:0"]));
    }

    #[test]
    #[should_panic(expected = "is behind")]
    fn records_out_of_order_are_found() {
        history(&[("a:0", acknowledged(1)), ("a:1", acknowledged(0))]).check_log(1, &log(&["a:1", "a:0"]));
    }

    #[test]
    #[should_panic(expected = "failed for certain")]
    fn a_record_that_failed_for_certain_and_is_there_is_found() {
        history(&[("a:0", Outcome::Failed(false))]).check_log(1, &log(&["a:0"]));
    }

    #[test]
    #[should_panic(expected = "never handed out")]
    fn a_record_that_nobody_was_handed_is_found() {
        history(&[("a:0", acknowledged(0))]).check_handled(1);
    }

    #[test]
    #[should_panic(expected = "went from 7 back to 5")]
    fn a_commit_that_moves_back_is_found() {
        let committed = [7, 5].map(|offset| Committed { partition: 0, offset }).into();
        History { committed, ..History::default() }.check_commits(1);
    }
}
