//! What is coded: the same records for everyone, and what must be found in them.

use std::hint::black_box;

use bytes::Bytes;
use vltava_wire::{
    Compression,
    record::{BatchBuilder, RecordSlices, Stamp, patch_base_offset},
};

/// Bytes of every key.
const KEY_BYTES: usize = 8;

/// Bytes that a pass walks: they stay in a core's second cache, as what was just received does.
const PASS_BYTES: usize = 1 << 20;

/// Milliseconds since 1970.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// How large values and batches are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) value_bytes: usize,
    pub(crate) batch_bytes: usize,
}

/// One record, before it is in a batch.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) timestamp: i64,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// Records of random bytes, as rows and as the batches of a fetch.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) rows: Vec<Row>,
    /// Records of every batch.
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) fetched: Bytes,
}

impl Load {
    pub(crate) fn new(shape: Shape, rng: &mut fastrand::Rng) -> Self {
        let batch_records = shape.batch_bytes / (KEY_BYTES + shape.value_bytes + 10);
        let batches = (PASS_BYTES / shape.batch_bytes).max(1);
        let rows: Vec<_> = (0..batches * batch_records).map(|at| row(at, shape, rng)).collect();
        let mut fetched = Vec::with_capacity(PASS_BYTES + shape.batch_bytes);
        for (at, rows) in rows.chunks(batch_records).enumerate() {
            let start = fetched.len();
            fetched.extend_from_slice(&batch(rows));
            patch_base_offset(&mut fetched[start..], (at * batch_records) as i64);
        }
        Self { rows, batch_records, batch_bytes: shape.batch_bytes, fetched: Bytes::from(fetched) }
    }

    /// What everyone who reads all of it must have seen.
    pub(crate) fn expected(&self) -> Tally {
        let mut tally = Tally::default();
        for (offset, row) in self.rows.iter().enumerate() {
            tally.add(offset as i64, row.timestamp, Some(&row.key), Some(&row.value));
        }
        tally
    }
}

/// What was seen of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    sum: i64,
}

impl Tally {
    /// Takes note of a record, all of which has to be there.
    #[inline(always)]
    pub(crate) fn add(&mut self, offset: i64, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        let (key, value) = black_box((key, value));
        self.records += 1;
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        self.sum = self.sum.wrapping_add(offset).wrapping_add(timestamp).wrapping_add(bytes as i64);
    }
}

fn row(at: usize, shape: Shape, rng: &mut fastrand::Rng) -> Row {
    let mut random = |length: usize| {
        let mut bytes = vec![0; length];
        rng.fill(&mut bytes);
        Bytes::from(bytes)
    };
    let timestamp = FIRST_TIMESTAMP + (at / 100) as i64;
    Row { timestamp, key: random(KEY_BYTES), value: random(shape.value_bytes) }
}

fn batch(rows: &[Row]) -> Bytes {
    let mut open = BatchBuilder::new();
    for row in rows {
        open.append(RecordSlices::new(row.timestamp, Some(&row.key), Some(&row.value)))
            .expect("the record fits");
    }
    open.finish(Stamp::NONE, Compression::None).expect("the batch fits")
}
