//! Our codec, through the door that users have.

use bytes::Bytes;
use vltava_wire::{
    Compression,
    record::{BatchBuilder, Limits, Record, RecordSlices, Records, Stamp, batches},
};

use super::load::{Load, Row, Tally};

/// Reads all records where they lie.
pub(crate) fn borrowed(load: &Load) -> Tally {
    read(&load.fetched)
}

/// Reads all records of these batches.
#[inline]
pub(crate) fn read(fetched: &Bytes) -> Tally {
    let mut tally = Tally::default();
    for records in opened(fetched) {
        for record in &records {
            tally.add(record.offset(), record.timestamp(), record.key(), record.value());
        }
    }
    tally
}

/// Makes every record a handle of its own, gathers those of a batch in `gathered`, and reads them.
pub(crate) fn owned(load: &Load, gathered: &mut Vec<Record>) -> Tally {
    let mut tally = Tally::default();
    for records in opened(&load.fetched) {
        gathered.extend(records.owned());
        for record in gathered.drain(..) {
            tally.add(record.offset(), record.timestamp(), record.key(), record.value());
        }
    }
    tally
}

/// Writes a batch.
pub(crate) fn written(rows: &[Row], bytes: usize) -> Bytes {
    let mut open = BatchBuilder::with_capacity(bytes);
    for row in rows {
        let record = RecordSlices::new(row.timestamp, Some(&row.key), Some(&row.value));
        open.append(record).expect("the record fits");
    }
    open.finish(Stamp::NONE, Compression::None).expect("the batch fits")
}

fn opened(fetched: &Bytes) -> impl Iterator<Item = Records> {
    batches(fetched.clone()).map(|batch| {
        let batch = batch.expect("it is a batch");
        batch.check_crc().expect("it is as it was sent");
        batch.decompress(Limits::default()).expect("its records are sound")
    })
}
