//! Which offset of a partition may be committed when records finish out of order.
//!
//! Records are counted as they come, so offsets that are not there (compacted away, markers of transactions) cost
//! nothing; what is done is a bit.

use std::collections::VecDeque;

/// What is done of one partition, from where its assignment began.
#[derive(Debug)]
pub struct Tracker {
    /// Consecutive offsets among the records above `base`.
    runs: VecDeque<Run>,
    /// Done bits; the first word holds the bit of `base`, every later one 64 more.
    done: VecDeque<u64>,
    /// The first record that is not done.
    base: u64,
    /// The next record to start.
    next: u64,
    /// The offset after all that was started or skipped.
    position: i64,
}

/// From `sequence` on, records have offsets without holes, until the next run.
#[derive(Debug)]
struct Run {
    sequence: u64,
    offset: i64,
}

const WORD: u64 = u64::BITS as u64;

impl Tracker {
    /// Begins at the offset from which the partition is read.
    pub fn new(position: i64) -> Self {
        Self { runs: VecDeque::new(), done: VecDeque::new(), base: 0, next: 0, position }
    }

    /// Takes note of a record that will be worked on, and numbers it. Offsets only grow.
    ///
    /// # Panics
    /// If the offset lies below one that was started or skipped.
    pub fn start(&mut self, offset: i64) -> u64 {
        assert!(self.position <= offset, "offset {offset} lies below {}", self.position);
        let sequence = self.next;
        let follows = self.position == offset && self.base < self.next && self.ends_at(offset);
        if !follows {
            self.runs.push_back(Run { sequence, offset });
        }
        if sequence.is_multiple_of(WORD) || self.done.is_empty() {
            self.done.push_back(0);
        }
        self.next += 1;
        self.position = offset + 1;
        sequence
    }

    /// Whether the last run would give the next record this offset.
    fn ends_at(&self, offset: i64) -> bool {
        self.runs.back().is_some_and(|run| run.offset + (self.next - run.sequence) as i64 == offset)
    }

    /// Everything below `position` was started, or holds nothing to work on.
    pub fn skip_to(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// A record is done.
    ///
    /// # Panics
    /// If it was never started, or is done already.
    pub fn finish(&mut self, sequence: u64) {
        assert!((self.base..self.next).contains(&sequence), "record {sequence} is at work");
        let word = &mut self.done[((sequence / WORD) - (self.base / WORD)) as usize];
        let bit = 1 << (sequence % WORD);
        assert!(*word & bit == 0, "record {sequence} is done once");
        *word |= bit;
        if sequence == self.base {
            self.advance();
        }
    }

    fn advance(&mut self) {
        while let Some(word) = self.done.front() {
            let at = self.base % WORD;
            let ones = u64::from((word >> at).trailing_ones());
            self.base += ones;
            if at + ones < WORD {
                break;
            }
            self.done.pop_front();
        }
        if self.base == self.next {
            self.runs.clear();
            return;
        }
        while self.runs.get(1).is_some_and(|run| run.sequence <= self.base) {
            self.runs.pop_front();
        }
    }

    /// The offset to resume from: every record below it is done.
    pub fn watermark(&self) -> i64 {
        if self.base == self.next {
            return self.position;
        }
        let run = self.runs.front().expect("a record that is not done lies in a run");
        run.offset + (self.base - run.sequence) as i64
    }

    /// How many records lie between the first that is not done and the last that was started.
    pub fn window(&self) -> u64 {
        self.next - self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn the_watermark_is_the_first_offset_that_is_not_done() {
        let mut tracker = Tracker::new(10);
        assert_eq!(tracker.watermark(), 10);
        let sequences: Vec<_> = (10..14).map(|offset| tracker.start(offset)).collect();
        tracker.finish(sequences[1]);
        assert_eq!(tracker.watermark(), 10);
        tracker.finish(sequences[0]);
        assert_eq!(tracker.watermark(), 12);
        tracker.finish(sequences[3]);
        tracker.finish(sequences[2]);
        assert_eq!(tracker.watermark(), 14);
        assert_eq!(tracker.window(), 0);
    }

    #[test]
    fn offsets_that_are_not_there_are_passed_over() {
        let mut tracker = Tracker::new(0);
        let first = tracker.start(5);
        let second = tracker.start(1_000_000);
        assert_eq!(tracker.watermark(), 5);
        tracker.finish(first);
        assert_eq!(tracker.watermark(), 1_000_000);
        tracker.finish(second);
        tracker.skip_to(1_000_007);
        assert_eq!(tracker.watermark(), 1_000_007);
        let third = tracker.start(1_000_007);
        tracker.skip_to(2_000_000);
        assert_eq!(tracker.watermark(), 1_000_007);
        tracker.finish(third);
        assert_eq!(tracker.watermark(), 2_000_000);
    }

    #[test]
    fn it_agrees_with_a_set_of_offsets() {
        for seed in 0..500 {
            let rng = &mut Rng::new(seed);
            let mut tracker = Tracker::new(0);
            let mut open = BTreeSet::new();
            let mut running = Vec::new();
            let mut position = 0;
            for _ in 0..600 {
                match rng.below(3) {
                    0 if !running.is_empty() => {
                        let (sequence, offset) =
                            running.swap_remove(rng.below(running.len() as u64) as usize);
                        open.remove(&offset);
                        tracker.finish(sequence);
                    }
                    1 if rng.chance(10) => {
                        position += rng.below(3) as i64;
                        tracker.skip_to(position);
                    }
                    _ => {
                        let offset = position + if rng.chance(20) { rng.below(9) as i64 } else { 0 };
                        running.push((tracker.start(offset), offset));
                        open.insert(offset);
                        position = offset + 1;
                    }
                }
                let expected = open.first().copied().unwrap_or(position);
                assert_eq!(tracker.watermark(), expected, "seed {seed}");
            }
        }
    }

    #[test]
    fn what_is_done_takes_no_memory() {
        let mut tracker = Tracker::new(0);
        for offset in 0..10_000 {
            // Every second offset is missing, so each record is a run of its own.
            let sequence = tracker.start(offset * 2);
            tracker.finish(sequence);
        }
        assert!(tracker.runs.capacity() <= 8 && tracker.done.capacity() <= 8, "{tracker:?}");
    }

    #[test]
    #[should_panic(expected = "is done once")]
    fn a_record_is_not_done_twice() {
        let mut tracker = Tracker::new(0);
        tracker.start(0);
        let second = tracker.start(1);
        tracker.finish(second);
        tracker.finish(second);
    }
}
