//! The log that is served: a few batches again and again, with other offsets. A checksum does not cover the offset a
//! batch begins at, so they are made once.

use bytes::Bytes;
use vltava_wire::record::{BatchBuilder, RecordError, RecordSlices, Stamp, patch_base_offset};

use super::Options;
use crate::values::Values;

/// What is kept of the log: more than any second cache, as what a socket brings never comes from there.
const KEPT_BYTES: usize = 4 << 20;

/// Milliseconds since 1970.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// The log of every partition.
#[derive(Debug)]
pub(super) struct CannedLog {
    /// Batches of equal length, one after another.
    kept: Vec<u8>,
    batch_bytes: usize,
    batch_records: i64,
    end: i64,
    ratio: f64,
}

impl CannedLog {
    pub(super) fn new(options: &Options) -> Result<Self, RecordError> {
        let values = Values::new(options.value_bytes);
        let batch_records = (options.batch_bytes / values.record_bytes()).max(1) as u64;
        let mut open = BatchBuilder::new();
        for at in 0..batch_records {
            let (key, value) = values.record(at as usize);
            open.append(RecordSlices::new(FIRST_TIMESTAMP + at as i64 / 100, Some(key), Some(value)))?;
        }
        let plain = open.bytes();
        let batch = open.finish(Stamp::NONE, options.codec)?;
        let own = options.records.div_ceil(options.partitions as u64).next_multiple_of(batch_records);
        Ok(Self {
            kept: batch.repeat(KEPT_BYTES.div_ceil(batch.len())),
            batch_bytes: batch.len(),
            batch_records: batch_records as i64,
            end: own as i64,
            ratio: plain as f64 / batch.len() as f64,
        })
    }

    /// The offset behind the last record of a partition.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// The sum of all offsets of a partition.
    pub(super) fn offsets(&self) -> u64 {
        let end = self.end as u64;
        end * end.saturating_sub(1) / 2
    }

    /// How many times smaller compression made a batch.
    pub(super) fn ratio(&self) -> f64 {
        self.ratio
    }

    /// Whole batches from the one that has `offset`: one at least, unless the log ends there, and no more than fit.
    pub(super) fn read(&self, offset: i64, bytes_max: usize) -> Bytes {
        if !(0..self.end).contains(&offset) {
            return Bytes::new();
        }
        let base = offset / self.batch_records * self.batch_records;
        let left = (self.end - base) / self.batch_records;
        let most = (self.kept.len() / self.batch_bytes).min(left as usize);
        let count = (bytes_max / self.batch_bytes).clamp(1, most);
        let mut records = self.kept[..count * self.batch_bytes].to_vec();
        for (at, batch) in records.chunks_exact_mut(self.batch_bytes).enumerate() {
            patch_base_offset(batch, base + at as i64 * self.batch_records);
        }
        records.into()
    }
}

#[cfg(test)]
mod tests {
    use vltava_wire::{
        Compression,
        record::{Limits, batches},
    };

    use super::*;

    fn log(records: u64, partitions: usize, codec: Compression) -> CannedLog {
        let options = Options {
            endpoints: 1,
            partitions,
            records,
            value_bytes: 100,
            batch_bytes: 16 << 10,
            codec: codec.into(),
            rtt_micros: 0,
        };
        CannedLog::new(&options).expect("the batch fits")
    }

    #[test]
    fn each_record_is_there_once() {
        for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let log = log(10_000, 3, codec);
            assert!(log.end() >= 3_334 && log.end() < 3_334 + 200, "{}", log.end());
            let (mut next, mut sum) = (0, 0);
            while next < log.end() {
                for batch in batches(log.read(next, 100_000)) {
                    let batch = batch.expect("it is a batch");
                    batch.check_crc().expect("it is as it was made");
                    for record in &batch.decompress(Limits::default()).expect("its records are sound") {
                        assert_eq!(record.offset(), next);
                        (next, sum) = (next + 1, sum + record.offset() as u64);
                    }
                }
            }
            assert_eq!((next, sum), (log.end(), log.offsets()));
            assert!(log.read(next, 100_000).is_empty());
        }
    }

    #[test]
    fn a_batch_is_read_whole_however_little_fits() {
        let log = log(1_000, 1, Compression::None);
        let read = batches(log.read(200, 1)).map(|it| it.expect("it is a batch").header().base_offset);
        assert_eq!(read.collect::<Vec<_>>(), [log.batch_records]);
    }
}
