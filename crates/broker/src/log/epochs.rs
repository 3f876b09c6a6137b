//! In which reign each part of a partition's log was written, so that who was cut off from it learns how far its own
//! part still agrees (KIP-101, KIP-320).

/// From which offset on a leader epoch's batches are, oldest first. Epochs and offsets only rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Epochs(Vec<Reign>);

/// One leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reign {
    pub(super) epoch: i32,
    /// Its first batch is here, or would have been.
    pub(super) start: i64,
}

impl Epochs {
    /// A log that is empty, and that is written in this epoch first.
    pub(super) fn new(epoch: i32) -> Self {
        Self(vec![Reign { epoch, start: 0 }])
    }

    /// What was stored, unless it says nothing.
    pub(super) fn restored(reigns: impl IntoIterator<Item = Reign>) -> Option<Self> {
        let reigns: Vec<_> = reigns.into_iter().collect();
        (!reigns.is_empty()).then_some(Self(reigns))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Reign> {
        self.0.iter()
    }

    /// A reign begins. One in which nothing was written leaves no trace.
    pub(super) fn begin(&mut self, epoch: i32, start: i64) {
        self.0.retain(|it| it.epoch < epoch && it.start < start);
        self.0.push(Reign { epoch, start });
    }

    /// The log begins at this offset.
    pub(super) fn trim(&mut self, log_start: i64) {
        let over = self.0.partition_point(|it| it.start <= log_start).saturating_sub(1);
        self.0.drain(..over);
        if let Some(first) = self.0.first_mut() {
            first.start = first.start.max(log_start);
        }
    }

    /// The epoch in which the batch at this offset was written.
    pub(super) fn of(&self, offset: i64) -> Option<i32> {
        self.0.iter().rev().find(|it| it.start <= offset).map(|it| it.epoch)
    }

    /// The latest epoch that is not later than the one asked about, and where it ended, in a log that ends at `end`.
    /// None if the epoch asked about is later than all.
    pub(super) fn end_of(&self, epoch: i32, end: i64) -> Option<(i32, i64)> {
        let later = self.0.partition_point(|it| it.epoch <= epoch);
        match (later.checked_sub(1).map(|it| self.0[it]), self.0.get(later)) {
            // Nothing of the epoch is left, or nothing ever was: what follows begins where it would have ended.
            (None, next) => next.map(|it| (epoch, it.start)),
            (Some(reign), Some(next)) => Some((reign.epoch, next.start)),
            (Some(reign), None) => (reign.epoch == epoch).then_some((epoch, end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epoch 0 from 0, 2 from 10, 5 from 30, up to 40.
    fn epochs() -> Epochs {
        let mut epochs = Epochs::new(0);
        for (epoch, start) in [(1, 10), (2, 10), (5, 30)] {
            epochs.begin(epoch, start);
        }
        epochs
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        for (asked, told) in [
            (0, Some((0, 10))),
            (1, Some((0, 10))),
            (2, Some((2, 30))),
            (4, Some((2, 30))),
            (5, Some((5, 40))),
            (6, None),
        ] {
            assert_eq!(epochs().end_of(asked, 40), told, "epoch {asked}");
        }
    }

    #[test]
    fn a_trimmed_log_knows_the_epochs_of_what_is_left() {
        let mut epochs = epochs();
        epochs.trim(15);
        assert_eq!(epochs.0, [Reign { epoch: 2, start: 15 }, Reign { epoch: 5, start: 30 }]);
        assert_eq!(epochs.end_of(0, 40), Some((0, 15)));
        epochs.trim(30);
        assert_eq!(epochs.0, [Reign { epoch: 5, start: 30 }]);
        epochs.trim(40);
        assert_eq!((epochs.of(39), epochs.of(40)), (None, Some(5)));
    }

    #[test]
    fn an_offset_was_written_in_the_latest_reign_that_began_by_then() {
        let told: Vec<_> = [0, 9, 10, 29, 30, 99].map(|offset| epochs().of(offset)).to_vec();
        assert_eq!(told, [Some(0), Some(0), Some(2), Some(2), Some(5), Some(5)]);
    }

    #[test]
    fn a_reign_without_a_batch_leaves_no_trace() {
        let mut epochs = Epochs::new(0);
        (1..100).for_each(|epoch| epochs.begin(epoch, 0));
        assert_eq!(epochs.0, [Reign { epoch: 99, start: 0 }]);
    }
}
