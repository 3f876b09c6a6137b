//! Which batches a reader sees that reads only what was committed.
//!
//! An answer names the transactions that were rolled back and have records in it. From the first record of such a
//! transaction on, its producer's transactional batches are left out, up to the marker that ends it.

use std::collections::{BTreeSet, VecDeque};

use vltava_wire::{
    messages::fetch::AbortedTransaction,
    record::{BatchHeader, ControlMarker},
};

/// The batches of one answer, in order, and which of them are seen. Without transactions that were rolled back, all.
#[derive(Debug, Default)]
pub struct Visible {
    /// Transactions that do not begin before the batch at hand, in order.
    ahead: VecDeque<AbortedTransaction>,
    /// Producers whose transaction at hand was rolled back.
    aborted: BTreeSet<i64>,
}

impl Visible {
    /// For an answer that names these transactions, in whatever order.
    pub fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|it| it.first_offset);
        Self { ahead: aborted.into(), aborted: BTreeSet::new() }
    }

    /// Whether a batch of records is seen.
    pub fn sees(&mut self, batch: &BatchHeader) -> bool {
        self.go_to(batch.last_offset());
        !(batch.is_transactional() && self.aborted.contains(&batch.producer_id))
    }

    /// Takes the marker of a control batch, which itself is never seen.
    pub fn on_marker(&mut self, batch: &BatchHeader, marker: ControlMarker) {
        self.go_to(batch.last_offset());
        if marker == ControlMarker::Abort {
            self.aborted.remove(&batch.producer_id);
        }
    }

    fn go_to(&mut self, last_offset: i64) {
        while self.ahead.front().is_some_and(|it| it.first_offset <= last_offset) {
            self.aborted.extend(self.ahead.pop_front().map(|it| it.producer_id));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use vltava_wire::{
        Compression,
        record::{Batch, BatchBuilder, RecordSlices, Stamp, patch_base_offset},
    };

    use super::*;

    /// A transactional batch of one record, by this producer, at this offset.
    fn written(producer_id: i64, offset: i64) -> Batch {
        let mut builder = BatchBuilder::new();
        builder.append(RecordSlices::new(0, None, Some(b"value"))).expect("it fits");
        let stamp = Stamp { producer_id, producer_epoch: 0, base_sequence: 0, transactional: true };
        let mut bytes = builder.finish(stamp, Compression::None).expect("it has a record").to_vec();
        patch_base_offset(&mut bytes, offset);
        Batch::parse(Bytes::from(bytes)).expect("we wrote it")
    }

    fn aborted(producer_id: i64, first_offset: i64) -> AbortedTransaction {
        AbortedTransaction { producer_id, first_offset }
    }

    /// What of these is seen: each is a producer's batch, or its marker.
    fn seen(visible: &mut Visible, log: &[(i64, Option<ControlMarker>)], first: i64) -> Vec<i64> {
        let mut seen = Vec::new();
        for (offset, (producer, marker)) in (first..).zip(log) {
            let batch = written(*producer, offset);
            match marker {
                Some(marker) => visible.on_marker(&batch, *marker),
                None if visible.sees(&batch) => seen.push(offset),
                None => (),
            }
        }
        seen
    }

    const ABORT: Option<ControlMarker> = Some(ControlMarker::Abort);
    const COMMIT: Option<ControlMarker> = Some(ControlMarker::Commit);

    #[test]
    fn transactions_of_several_producers_are_told_apart() {
        let log =
            [(1, None), (2, None), (1, None), (2, ABORT), (1, None), (2, None), (1, COMMIT), (2, COMMIT)];
        assert_eq!(seen(&mut Visible::new(vec![aborted(2, 1)]), &log, 0), [0, 2, 4, 5]);
    }

    #[test]
    fn a_producer_may_abort_and_commit_in_turn() {
        let log = [(1, None), (1, ABORT), (1, None), (1, COMMIT), (1, None), (1, ABORT), (1, None)];
        for named in [vec![aborted(1, 0), aborted(1, 4)], vec![aborted(1, 4), aborted(1, 0)]] {
            assert_eq!(seen(&mut Visible::new(named), &log, 0), [2, 6], "in whatever order they are named");
        }
    }

    #[test]
    fn a_transaction_that_began_in_an_earlier_answer_is_still_left_out() {
        let rest = [(1, None), (2, None), (1, None), (1, ABORT), (1, None)];
        assert_eq!(seen(&mut Visible::new(vec![aborted(1, 3)]), &rest, 10), [11, 14]);
    }

    #[test]
    fn a_transaction_that_has_no_records_here_hides_nothing_else() {
        let log = [(1, ABORT), (1, None), (1, COMMIT)];
        assert_eq!(seen(&mut Visible::new(vec![aborted(1, 0)]), &log, 0), [1]);
        assert_eq!(seen(&mut Visible::new(vec![aborted(1, 7)]), &log, 0), [1], "it is ahead");
    }

    #[test]
    fn what_is_in_no_transaction_is_seen() {
        let mut builder = BatchBuilder::new();
        builder.append(RecordSlices::new(0, None, None)).expect("it fits");
        let stamp = Stamp { producer_id: 1, producer_epoch: 0, base_sequence: 0, transactional: false };
        let batch =
            Batch::parse(builder.finish(stamp, Compression::None).expect("a record")).expect("a batch");
        assert!(Visible::new(vec![aborted(1, 0)]).sees(&batch));
    }
}
