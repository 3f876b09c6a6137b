//! Who wrote to a partition: for each idempotent producer, the batches that may come again.

use std::collections::{BTreeMap, VecDeque};

use vltava_wire::{ErrorCode, record::BatchHeader};

use crate::ledger::partitions::{StoredBatch, StoredProducer};

/// A producer has no more batches under way, so no older one comes again.
const BATCHES_MAX: usize = 5;
/// A partition remembers no more producers; the one that wrote longest ago is forgotten first.
const PRODUCERS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Producers {
    known: BTreeMap<i64, Producer>,
}

#[derive(Debug, Default)]
struct Producer {
    epoch: i16,
    batches: VecDeque<StoredBatch>,
}

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    /// It was appended there already.
    Duplicate {
        base_offset: i64,
    },
    Refuse(ErrorCode),
}

impl Producers {
    /// What to do with a batch that was sent.
    pub(super) fn check(&self, batch: &BatchHeader) -> Verdict {
        let Some(producer) = self.known.get(&batch.producer_id) else { return Verdict::Append };
        if batch.producer_id < 0 {
            return Verdict::Append;
        }
        match batch.producer_epoch.cmp(&producer.epoch) {
            std::cmp::Ordering::Less => Verdict::Refuse(ErrorCode::InvalidProducerEpoch),
            std::cmp::Ordering::Greater if batch.base_sequence == 0 => Verdict::Append,
            std::cmp::Ordering::Greater => Verdict::Refuse(ErrorCode::OutOfOrderSequenceNumber),
            std::cmp::Ordering::Equal => producer.check(batch),
        }
    }

    /// Remembers a batch that was appended.
    pub(super) fn on_appended(&mut self, batch: &BatchHeader) {
        if batch.producer_id < 0 {
            return;
        }
        if self.known.len() == PRODUCERS_MAX && !self.known.contains_key(&batch.producer_id) {
            self.forget_one();
        }
        let producer = self.known.entry(batch.producer_id).or_default();
        if producer.epoch != batch.producer_epoch {
            producer.epoch = batch.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_MAX {
            producer.batches.pop_front();
        }
        producer.batches.push_back(StoredBatch {
            base_sequence: batch.base_sequence,
            count: batch.count,
            base_offset: batch.base_offset,
        });
    }

    fn forget_one(&mut self) {
        let last_offset = |it: &Producer| it.batches.back().map_or(-1, |batch| batch.base_offset);
        let oldest = self.known.iter().min_by_key(|(_, it)| last_offset(it)).map(|(id, _)| *id);
        self.known.remove(&oldest.expect("there are some, since there are too many"));
    }

    pub(super) fn image(&self) -> Vec<StoredProducer> {
        let stored = |(&producer_id, it): (&i64, &Producer)| StoredProducer {
            producer_id,
            producer_epoch: it.epoch,
            batches: it.batches.iter().cloned().collect(),
        };
        self.known.iter().map(stored).collect()
    }

    pub(super) fn restored(image: &[StoredProducer]) -> Self {
        let producer = |it: &StoredProducer| {
            let batches = it.batches.iter().cloned().collect();
            (it.producer_id, Producer { epoch: it.producer_epoch, batches })
        };
        Self { known: image.iter().map(producer).collect() }
    }
}

impl Producer {
    fn check(&self, batch: &BatchHeader) -> Verdict {
        let same = |it: &&StoredBatch| (it.base_sequence, it.count) == (batch.base_sequence, batch.count);
        if let Some(known) = self.batches.iter().find(same) {
            return Verdict::Duplicate { base_offset: known.base_offset };
        }
        let next = self.batches.back().map_or(0, |it| next_sequence(it.base_sequence, it.count));
        if batch.base_sequence == next {
            Verdict::Append
        } else {
            Verdict::Refuse(ErrorCode::OutOfOrderSequenceNumber)
        }
    }
}

/// Sequence numbers begin again at 0 after the greatest.
fn next_sequence(base: i32, count: i32) -> i32 {
    ((i64::from(base) + i64::from(count)) % (i64::from(i32::MAX) + 1)) as i32
}
