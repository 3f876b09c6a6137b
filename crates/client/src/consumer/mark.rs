//! What of one partition is in its user's hands, as others may see it: who commits what is finished, who judges
//! whether the user is stuck. Written by the one that hands records out, for nearly nothing for each.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

/// While nothing was handed out.
const NOTHING: i64 = -1;

/// How far a partition was handed out, and below which offset everything of it is finished.
#[derive(Debug)]
pub(super) struct Mark {
    handed: AtomicI64,
    finished: AtomicI64,
    /// The first offset that was handed out.
    begun: AtomicI64,
    /// Whether what was handed out counts as finished once more is asked for.
    auto_store: AtomicBool,
    /// From which offsets on batches are of which leader's epoch. Only what is not yet finished is told apart.
    epochs: Mutex<VecDeque<(i64, i32)>>,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            handed: AtomicI64::new(NOTHING),
            finished: AtomicI64::new(NOTHING),
            begun: AtomicI64::new(NOTHING),
            auto_store: AtomicBool::new(true),
            epochs: Mutex::default(),
        }
    }
}

impl Mark {
    /// From now on only what is stored counts as finished.
    pub(super) fn store_by_hand(&self) {
        self.auto_store.store(false, Ordering::Relaxed);
    }

    /// A batch from this offset on is about to be handed out.
    pub(super) fn on_batch(&self, first: i64, leader_epoch: i32) {
        let mut epochs = self.lock();
        if epochs.back().is_none_or(|(_, epoch)| *epoch != leader_epoch) {
            let finished = self.finished.load(Ordering::Relaxed);
            while epochs.get(1).is_some_and(|(since, _)| *since < finished) {
                epochs.pop_front();
            }
            epochs.push_back((first, leader_epoch));
        }
    }

    /// What is from `first` on and below `next` was handed out.
    pub(super) fn hand_out(&self, first: i64, next: i64) {
        if self.finished.load(Ordering::Relaxed) == NOTHING {
            self.begun.store(first, Ordering::Relaxed);
            self.finished.store(first, Ordering::Relaxed);
        }
        self.handed.store(next, Ordering::Release);
    }

    /// More is asked for by who stands here: what was handed out is finished, unless it has to be stored.
    pub(super) fn ask(&self, position: Option<i64>) {
        if self.auto_store.load(Ordering::Relaxed) && self.handed.load(Ordering::Relaxed) != NOTHING {
            let finished = position.unwrap_or_else(|| self.handed.load(Ordering::Relaxed));
            self.handed.store(finished, Ordering::Relaxed);
            self.finished.store(finished, Ordering::Release);
        }
    }

    /// Its user goes on elsewhere: what is in hand is let go.
    pub(super) fn seek(&self) {
        self.lock().clear();
        self.handed.store(self.finished.load(Ordering::Relaxed), Ordering::Release);
    }

    /// Everything below this offset is finished, says the user.
    pub(super) fn finish(&self, offset: i64) {
        self.finished.fetch_max(offset, Ordering::AcqRel);
    }

    /// The offset below which everything is finished, and the epoch of the leader that wrote the record before it;
    /// none while nothing is.
    pub(super) fn finished(&self) -> Option<(i64, i32)> {
        let finished = self.finished.load(Ordering::Acquire);
        let epochs = self.lock();
        let epoch = epochs.iter().rev().find(|(since, _)| *since < finished).map_or(-1, |it| it.1);
        (finished > self.begun.load(Ordering::Relaxed)).then_some((finished, epoch))
    }

    /// The first offset that is in the user's hands, if any is.
    pub(super) fn in_hand(&self) -> Option<i64> {
        let finished = self.finished.load(Ordering::Acquire);
        (finished < self.handed.load(Ordering::Acquire)).then_some(finished)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(i64, i32)>> {
        self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handed_out_is_finished_when_more_is_asked_for() {
        let mark = Mark::default();
        mark.ask(Some(5));
        assert_eq!((mark.finished(), mark.in_hand()), (None, None), "nothing was handed out");
        mark.on_batch(5, 1);
        mark.hand_out(5, 8);
        assert_eq!((mark.finished(), mark.in_hand()), (None, Some(5)));
        mark.finish(6);
        assert_eq!((mark.finished(), mark.in_hand()), (Some((6, 1)), Some(6)), "some of it is stored");
        // There is a hole behind the batch.
        mark.ask(Some(9));
        assert_eq!((mark.finished(), mark.in_hand()), (Some((9, 1)), None));
    }

    #[test]
    fn what_has_to_be_stored_is_finished_when_it_is() {
        let mark = Mark::default();
        mark.store_by_hand();
        mark.on_batch(0, 1);
        mark.hand_out(0, 8);
        mark.ask(Some(8));
        assert_eq!((mark.finished(), mark.in_hand()), (None, Some(0)));
        mark.finish(8);
        assert_eq!((mark.finished(), mark.in_hand()), (Some((8, 1)), None));
    }

    #[test]
    fn the_epoch_is_that_of_the_last_record_that_is_finished() {
        let mark = Mark::default();
        for (first, epoch) in [(0, 1), (10, 1), (20, 4), (30, 5)] {
            mark.on_batch(first, epoch);
            mark.hand_out(first, first + 10);
        }
        for (finished, epoch) in [(10, 1), (20, 1), (21, 4), (30, 4), (31, 5)] {
            mark.finish(finished);
            assert_eq!(mark.finished(), Some((finished, epoch)));
        }
    }

    #[test]
    fn who_goes_back_has_nothing_in_hand_and_begins_there() {
        let mark = Mark::default();
        mark.on_batch(0, 1);
        mark.hand_out(0, 10);
        mark.seek();
        assert_eq!(mark.in_hand(), None);
        mark.ask(Some(10));
        mark.on_batch(10, 2);
        mark.hand_out(10, 20);
        mark.seek();
        mark.ask(Some(3));
        assert_eq!(mark.in_hand(), None);
        mark.on_batch(0, 1);
        mark.hand_out(3, 10);
        mark.ask(Some(10));
        assert_eq!(mark.finished(), Some((10, 1)));
    }
}
