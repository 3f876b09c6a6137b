//! The broker's end: what it remembers of the producers of one partition, and what that says of the next batch.
//!
//! A window follows from the batches in the log and nothing else, so it can be rebuilt by reading them again.

use std::collections::{BTreeMap, VecDeque};

use vltava_wire::ErrorCode;

use super::stamp::{Identity, Number, Numbered};
use crate::Timestamp;

/// So many batches of a producer are remembered in each partition. Producers have no more than this unanswered.
const REMEMBERED: usize = 5;

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is the next one: to be appended, and reported by [`Windows::appended`].
    Append,
    /// It is there already: to be answered as the first copy was, once that is settled.
    Duplicate(Remembered),
    /// It is to be answered with this error.
    Refused(ErrorCode),
}

/// A batch in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The number of its first record.
    pub first: Number,
    /// How many records it has.
    pub count: u32,
    /// The offset of its first record.
    pub base_offset: i64,
}

/// What is remembered of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    epoch: i16,
    /// When its latest batch was appended.
    last_used: Timestamp,
    /// The latest batches of the epoch, in order; at least one, at most [`REMEMBERED`].
    batches: VecDeque<Remembered>,
}

/// What is remembered of the producers of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    producers: BTreeMap<i64, Window>,
}

impl Windows {
    /// What is to be done with a batch.
    ///
    /// As in Kafka, a producer that is not known may go on at any number: the topic may have been made anew, or what
    /// it wrote forgotten, since its last batch. One that is known starts a new epoch at 0, and leaves no gap.
    pub fn check(&self, batch: &Numbered) -> Check {
        match self.producers.get(&batch.producer.id) {
            Some(window) => window.check(batch),
            None => Check::Append,
        }
    }

    /// Takes a batch that was appended at `base_offset`, or read from the log. What the log has is right, whatever
    /// the window remembers.
    pub fn appended(&mut self, batch: &Numbered, base_offset: i64, at: Timestamp) {
        let Numbered { producer: Identity { id, epoch }, first, count } = *batch;
        let unseen = || Window { epoch, last_used: at, batches: VecDeque::new() };
        let window = self.producers.entry(id).or_insert_with(unseen);
        if window.epoch != epoch || window.next().is_some_and(|next| next != first) {
            *window = unseen();
        }
        window.last_used = at;
        if window.batches.len() == REMEMBERED {
            window.batches.pop_front();
        }
        window.batches.push_back(Remembered { first, count, base_offset });
    }

    /// Forgets producers that have not written since before `before`.
    pub fn expire(&mut self, before: Timestamp) {
        self.producers.retain(|_, it| it.last_used >= before);
    }

    /// What is remembered, by producer's id: to be stored, and given back to [`Windows::restore`].
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (i64, &Window)> {
        self.producers.iter().map(|(id, window)| (*id, window))
    }

    /// Takes back what was remembered of a producer. A window without batches remembers nothing.
    pub fn restore(&mut self, producer_id: i64, window: Window) {
        if !window.batches.is_empty() {
            self.producers.insert(producer_id, window);
        }
    }
}

impl Window {
    /// What was remembered, from its parts: the latest batches in order, of which no more than five are kept.
    pub fn new(epoch: i16, last_used: Timestamp, batches: impl IntoIterator<Item = Remembered>) -> Self {
        let mut batches: VecDeque<_> = batches.into_iter().collect();
        batches.drain(..batches.len().saturating_sub(REMEMBERED));
        Self { epoch, last_used, batches }
    }

    /// The producer's epoch.
    pub fn epoch(&self) -> i16 {
        self.epoch
    }

    /// When its latest batch was appended.
    pub fn last_used(&self) -> Timestamp {
        self.last_used
    }

    /// Its latest batches, in order.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = &Remembered> {
        self.batches.iter()
    }

    fn next(&self) -> Option<Number> {
        self.batches.back().map(|it| it.first.after(it.count))
    }

    fn check(&self, batch: &Numbered) -> Check {
        let epoch = batch.producer.epoch;
        if epoch < self.epoch {
            return Check::Refused(ErrorCode::InvalidProducerEpoch);
        }
        let next = if epoch > self.epoch { Some(Number::default()) } else { self.next() };
        let copy = |it: &&Remembered| it.first == batch.first && it.count == batch.count;
        match self.batches.iter().find(copy) {
            Some(first_copy) if epoch == self.epoch => Check::Duplicate(*first_copy),
            _ if next == Some(batch.first) => Check::Append,
            _ => Check::Refused(ErrorCode::OutOfOrderSequenceNumber),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);
    const OUT_OF_ORDER: Check = Check::Refused(ErrorCode::OutOfOrderSequenceNumber);

    fn batch(epoch: i16, first: i32, count: u32) -> Numbered {
        let first = Number::new(first).expect("it is not negative");
        Numbered { producer: Identity { id: 7, epoch }, first, count }
    }

    /// A partition in which a producer has written these batches, one behind another.
    fn windows(batches: &[Numbered]) -> Windows {
        let (mut windows, mut offset) = (Windows::default(), 100);
        for batch in batches {
            assert_eq!(windows.check(batch), Check::Append, "{batch:?}");
            windows.appended(batch, offset, NOW);
            offset += i64::from(batch.count);
        }
        windows
    }

    fn offset_of_duplicate(check: Check) -> Option<i64> {
        match check {
            Check::Duplicate(it) => Some(it.base_offset),
            Check::Append | Check::Refused(_) => None,
        }
    }

    #[test]
    fn the_next_batch_is_appended() {
        assert_eq!(windows(&[batch(0, 0, 3), batch(0, 3, 2)]).check(&batch(0, 5, 1)), Check::Append);
    }

    #[test]
    fn a_copy_is_answered_with_the_offset_of_the_first() {
        let windows = windows(&[batch(0, 0, 3), batch(0, 3, 2)]);
        assert_eq!(offset_of_duplicate(windows.check(&batch(0, 0, 3))), Some(100));
        assert_eq!(offset_of_duplicate(windows.check(&batch(0, 3, 2))), Some(103));
    }

    #[test]
    fn a_batch_behind_a_gap_is_refused() {
        assert_eq!(windows(&[batch(0, 0, 3)]).check(&batch(0, 4, 1)), OUT_OF_ORDER);
    }

    #[test]
    fn a_batch_that_overlaps_another_is_no_copy() {
        let windows = windows(&[batch(0, 0, 3)]);
        assert_eq!(windows.check(&batch(0, 0, 2)), OUT_OF_ORDER);
        assert_eq!(windows.check(&batch(0, 1, 2)), OUT_OF_ORDER);
    }

    #[test]
    fn five_batches_are_remembered() {
        let six: Vec<_> = (0..6).map(|it| batch(0, it, 1)).collect();
        let windows = windows(&six);
        assert_eq!(windows.check(&six[0]), OUT_OF_ORDER);
        assert_eq!(offset_of_duplicate(windows.check(&six[1])), Some(101));
    }

    #[test]
    fn numbers_go_on_at_zero_after_the_last() {
        let mut windows = Windows::default();
        windows.appended(&batch(0, i32::MAX - 1, 5), 100, NOW);
        assert_eq!(windows.check(&batch(0, 3, 1)), Check::Append);
        assert_eq!(offset_of_duplicate(windows.check(&batch(0, i32::MAX - 1, 5))), Some(100));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_earlier() {
        let mut windows = windows(&[batch(0, 0, 3)]);
        assert_eq!(windows.check(&batch(1, 3, 1)), OUT_OF_ORDER);
        assert_eq!(windows.check(&batch(1, 0, 3)), Check::Append, "it is no copy of the earlier epoch's");
        windows.appended(&batch(1, 0, 3), 103, NOW);
        assert_eq!(windows.check(&batch(0, 3, 1)), Check::Refused(ErrorCode::InvalidProducerEpoch));
        assert_eq!(windows.check(&batch(0, 0, 3)), Check::Refused(ErrorCode::InvalidProducerEpoch));
        assert_eq!(offset_of_duplicate(windows.check(&batch(1, 0, 3))), Some(103));
    }

    #[test]
    fn an_unknown_producer_goes_on_at_any_number() {
        let mut windows = Windows::default();
        assert_eq!(windows.check(&batch(5, 0, 1)), Check::Append);
        assert_eq!(windows.check(&batch(0, 41, 2)), Check::Append);
        windows.appended(&batch(0, 41, 2), 7, NOW);
        assert_eq!(windows.check(&batch(0, 44, 1)), OUT_OF_ORDER, "from then on it is known");
        windows.expire(Timestamp(NOW.0 + 1));
        assert_eq!(windows.check(&batch(0, 44, 1)), Check::Append, "and not any more");
    }

    #[test]
    fn producers_do_not_meet() {
        let windows = windows(&[batch(0, 0, 3)]);
        let mut other = batch(0, 0, 3);
        other.producer.id = 8;
        assert_eq!(windows.check(&other), Check::Append);
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten() {
        let mut windows = windows(&[batch(0, 0, 3)]);
        windows.expire(NOW);
        assert_eq!(windows.entries().len(), 1);
        windows.expire(Timestamp(NOW.0 + 1));
        assert_eq!(windows.entries().len(), 0);
    }

    #[test]
    fn what_is_stored_comes_back() {
        let before = windows(&[batch(2, 0, 3), batch(2, 3, 4)]);
        let mut after = Windows::default();
        for (id, window) in before.entries() {
            let parts = (window.epoch(), window.last_used(), window.batches().copied());
            after.restore(id, Window::new(parts.0, parts.1, parts.2));
        }
        assert_eq!(after, before);
        after.restore(9, Window::new(0, NOW, []));
        assert_eq!(after, before, "a window without batches says nothing");
    }

    #[test]
    fn a_log_whose_beginning_is_gone_is_read_from_where_it_begins() {
        let mut windows = Windows::default();
        windows.appended(&batch(3, 40, 2), 900, NOW);
        assert_eq!(windows.check(&batch(3, 42, 1)), Check::Append);
        assert_eq!(offset_of_duplicate(windows.check(&batch(3, 40, 2))), Some(900));
    }
}
