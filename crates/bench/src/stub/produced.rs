//! What was produced, counted as it came.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use vltava_wire::{ErrorCode, record::batches};

/// Of all that was produced since somebody asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Records of sound batches.
    pub(crate) records: u64,
    pub(crate) batches: u64,
    pub(crate) requests: u64,
    /// Bytes of batches, as they were sent.
    pub(crate) bytes: u64,
    /// Batches whose checksum is wrong, or that are none.
    pub(crate) broken: u64,
}

/// Counted by many connections at once.
#[derive(Debug)]
pub(super) struct Produced {
    ends: Vec<AtomicI64>,
    records: AtomicU64,
    batches: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    broken: AtomicU64,
}

impl Produced {
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            ends: (0..partitions).map(|_| AtomicI64::new(0)).collect(),
            records: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        }
    }

    pub(super) fn on_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Checks and counts the batches for a partition; the offset of the first record, or what is wrong.
    pub(super) fn append(&self, partition: i32, records: Bytes) -> Result<i64, ErrorCode> {
        let end = usize::try_from(partition).ok().and_then(|it| self.ends.get(it));
        let end = end.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        self.bytes.fetch_add(records.len() as u64, Relaxed);
        let mut count = 0;
        let mut walk = batches(records);
        for batch in &mut walk {
            let sound = batch.ok().filter(|it| it.check_crc().is_ok());
            let Some(batch) = sound else {
                self.broken.fetch_add(1, Relaxed);
                return Err(ErrorCode::CorruptMessage);
            };
            count += i64::from(batch.header().count);
            self.batches.fetch_add(1, Relaxed);
        }
        if !walk.rest().is_empty() {
            self.broken.fetch_add(1, Relaxed);
            return Err(ErrorCode::CorruptMessage);
        }
        self.records.fetch_add(count as u64, Relaxed);
        Ok(end.fetch_add(count, Relaxed))
    }

    /// What was counted since this was asked the last time.
    pub(super) fn take(&self) -> Tally {
        Tally {
            records: self.records.swap(0, Relaxed),
            batches: self.batches.swap(0, Relaxed),
            requests: self.requests.swap(0, Relaxed),
            bytes: self.bytes.swap(0, Relaxed),
            broken: self.broken.swap(0, Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use vltava_wire::{
        Compression,
        record::{BatchBuilder, RecordSlices, Stamp},
    };

    use super::*;

    #[test]
    fn only_sound_batches_count() {
        let mut open = BatchBuilder::new();
        open.append(RecordSlices::new(1, None, Some(b"value"))).expect("it fits");
        let batch = open.finish(Stamp::NONE, Compression::None).expect("it has a record");
        let mut broken = batch.to_vec();
        *broken.last_mut().expect("it has bytes") ^= 1;
        let produced = Produced::new(1);
        assert_eq!(produced.append(0, [&batch[..], &batch].concat().into()), Ok(0));
        assert_eq!(produced.append(0, batch.clone()), Ok(2));
        assert_eq!(produced.append(0, broken.into()), Err(ErrorCode::CorruptMessage));
        assert_eq!(produced.append(0, batch.slice(..batch.len() - 1)), Err(ErrorCode::CorruptMessage));
        assert_eq!(produced.append(1, batch), Err(ErrorCode::UnknownTopicOrPartition));
        let tally = produced.take();
        assert_eq!((tally.records, tally.batches, tally.broken), (3, 3, 2));
        assert_eq!(produced.take(), Tally::default());
    }
}
