//! Records cost no allocation of their own: a batch of many takes as many as a batch of few.

use allocation_counter::measure;
use bytes::Bytes;
use vltava_wire::{
    Compression,
    record::{BatchBuilder, Limits, Record, RecordSlices, Stamp, batches},
};

const ROOM: usize = 1 << 20;

fn written(records: usize) -> Bytes {
    let mut batch = BatchBuilder::with_capacity(ROOM);
    for at in 0..records as i64 {
        let headers = [("trace", Some(&b"1"[..]))];
        let record =
            RecordSlices { timestamp: at, key: Some(b"key"), value: Some(&[7; 100]), headers: &headers };
        batch.append(record).expect("the record fits");
    }
    batch.finish(Stamp::NONE, Compression::None).expect("the batch has records")
}

/// How often reading the batch allocates, as `read` does it.
fn allocations(batch: &Bytes, mut read: impl FnMut(vltava_wire::record::Records)) -> u64 {
    let counted = measure(|| {
        for batch in batches(batch.clone()) {
            let batch = batch.expect("it is a batch");
            batch.check_crc().expect("it is as it was written");
            read(batch.decompress(Limits::default()).expect("its records are sound"));
        }
    });
    counted.count_total
}

#[test]
fn writing_a_record_allocates_nothing() {
    let few = measure(|| drop(written(10))).count_total;
    assert!((1..=4).contains(&few), "{few} allocations for a batch");
    assert_eq!(measure(|| drop(written(5_000))).count_total, few);
}

#[test]
fn reading_a_record_where_it_lies_allocates_nothing() {
    let read = |batch: Bytes| {
        let mut bytes = 0;
        let count = allocations(&batch, |records| {
            for record in &records {
                let headers = record.headers().map(|(name, _)| name.len());
                bytes += record.key().map_or(0, <[u8]>::len) + headers.sum::<usize>();
            }
        });
        (count, bytes)
    };
    let (few, bytes) = read(written(10));
    assert!((1..=4).contains(&few), "{few} allocations for a batch");
    assert_eq!(bytes, 10 * 8);
    assert_eq!(read(written(5_000)), (few, 5_000 * 8));
}

#[test]
fn a_handle_of_a_record_allocates_nothing() {
    let mut gathered: Vec<Record> = Vec::with_capacity(5_000);
    let mut read = |batch: Bytes| {
        let count = allocations(&batch, |records| gathered.extend(records.owned()));
        let gathered = gathered.drain(..).len();
        (count, gathered)
    };
    let (few, _) = read(written(10));
    assert_eq!(read(written(5_000)), (few, 5_000));
}
