//! Batches of ours are read by the other codec, and the other way round, in every compression.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    protocol::StrBytes,
    records::{self as theirs, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions},
};
use vltava_wire::{
    Compression,
    record::{BatchBuilder, Limits, RecordSlices, Records, Stamp, batches},
    sample::{Dice, Sample},
};

const STAMP: Stamp = Stamp { producer_id: 4_711, producer_epoch: 3, base_sequence: 90, transactional: true };

/// A record as both sides can say it: their headers have unique names.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
}

fn rows(seed: u64) -> Vec<Row> {
    let dice = &mut Dice::new(seed);
    let version = vltava_wire::Version { number: 0, flexible: false };
    let row = |index: u64, dice: &mut Dice| Row {
        timestamp: 1_700_000_000_000 + dice.below(100_000) as i64,
        key: Sample::sample(dice, version),
        value: Some(Bytes::from(format!("{index}: a river "))).filter(|_| dice.below(5) > 0),
        headers: (0..dice.below(3)).map(|n| (format!("h{n}"), Sample::sample(dice, version))).collect(),
    };
    (0..1 + dice.below(2_000)).map(|index| row(index, dice)).collect()
}

fn built_by_us(rows: &[Row], compression: Compression) -> Bytes {
    let mut batch = BatchBuilder::new();
    for row in rows {
        let (key, value) = (row.key.as_deref(), row.value.as_deref());
        let record = RecordSlices { timestamp: row.timestamp, key, value, headers: &row.headers };
        batch.append(record).expect("a row fits");
    }
    batch.finish(STAMP, compression).expect("there are rows")
}

fn built_by_them(rows: &[Row], compression: Compression) -> Bytes {
    let records: Vec<_> = rows.iter().enumerate().map(|(index, row)| their_record(index, row)).collect();
    let options = RecordEncodeOptions { version: 2, compression: their_compression(compression) };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &options).expect("they can write them");
    out.freeze()
}

fn their_record(index: usize, row: &Row) -> theirs::Record {
    theirs::Record {
        transactional: true,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: STAMP.producer_id,
        producer_epoch: STAMP.producer_epoch,
        timestamp_type: theirs::TimestampType::Creation,
        offset: index as i64,
        sequence: STAMP.base_sequence + index as i32,
        timestamp: row.timestamp,
        key: row.key.clone(),
        value: row.value.clone(),
        headers: row
            .headers
            .iter()
            .map(|(name, value)| (StrBytes::from_string(name.clone()), value.clone()))
            .collect(),
    }
}

fn their_compression(kind: Compression) -> theirs::Compression {
    match kind {
        Compression::None => theirs::Compression::None,
        Compression::Gzip => theirs::Compression::Gzip,
        Compression::Snappy => theirs::Compression::Snappy,
        Compression::Lz4 => theirs::Compression::Lz4,
        Compression::Zstd => theirs::Compression::Zstd,
    }
}

fn read_by_us(bytes: Bytes) -> Vec<Records> {
    let open = |batch: vltava_wire::record::Batch| {
        batch.check_produced().expect("it is as a producer sends it");
        batch.decompress(Limits::default()).expect("its records are sound")
    };
    batches(bytes).map(|batch| open(batch.expect("it is a batch"))).collect()
}

#[test]
fn ours_are_read_by_them() {
    for compression in Compression::ALL {
        for seed in 0..20 {
            let rows = rows(seed);
            let mut bytes = built_by_us(&rows, compression);
            let read = RecordBatchDecoder::decode(&mut bytes).expect("they can read it");
            let expected: Vec<_> =
                rows.iter().enumerate().map(|(index, row)| their_record(index, row)).collect();
            assert_eq!(read.compression, their_compression(compression));
            assert_eq!(read.records, expected, "{compression}, seed {seed}");
        }
    }
}

#[test]
fn theirs_are_read_by_us() {
    for compression in Compression::ALL {
        for seed in 0..20 {
            let rows = rows(seed);
            let [records] = &read_by_us(built_by_them(&rows, compression))[..] else { panic!("one batch") };
            let header = records.header();
            assert_eq!((header.producer_id, header.base_sequence), (STAMP.producer_id, STAMP.base_sequence));
            assert_eq!(header.compression(), compression);
            let read: Vec<_> = records.owned().map(|record| row_of(&record)).collect();
            assert_eq!(read, rows, "{compression}, seed {seed}");
        }
    }
}

fn row_of(record: &vltava_wire::record::Record) -> Row {
    let name = |name: &[u8]| String::from_utf8(name.to_vec()).expect("the rows' names are text");
    let headers = record.headers().map(|(key, value)| (name(key), value.map(Bytes::copy_from_slice)));
    Row {
        timestamp: record.timestamp(),
        key: record.key_bytes(),
        value: record.value_bytes(),
        headers: headers.collect(),
    }
}

#[test]
fn a_batch_that_is_not_packed_is_the_same_bytes() {
    for seed in 0..20 {
        let mut rows = rows(seed);
        // They count timestamps from the earliest, as few do; Java and we count from the first.
        rows.sort_by_key(|row| row.timestamp);
        let theirs = built_by_them(&rows, Compression::None);
        assert_eq!(built_by_us(&rows, Compression::None), theirs, "seed {seed}");
    }
}
