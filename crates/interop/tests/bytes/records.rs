//! Batches of ours are read by the other codecs, and theirs by us, in every compression.

use ::kafka_protocol::{
    protocol::StrBytes,
    records::{self as kafka_protocol, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions},
};
use bytes::{Bytes, BytesMut};
use kacrab_protocol::record as kacrab;
use vltava_wire::{
    Compression,
    record::{BatchBuilder, Limits, RecordSlices, Records, Stamp, batches},
    sample::{Dice, Sample},
};

/// Random batches in each compression.
const SEEDS: u64 = 40;

/// The bit of a batch's attributes that says it is part of a transaction.
const TRANSACTIONAL: i16 = 0x10;

/// What all sides can say of a batch.
#[derive(Debug, Clone, PartialEq)]
struct Content {
    stamp: Stamp,
    compression: Compression,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    timestamp: i64,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Vec<(String, Option<Bytes>)>,
}

/// Another codec, and what it cannot do.
#[derive(Debug)]
struct Stranger {
    name: &'static str,
    reads: fn(Bytes) -> Content,
    writes: fn(&Content) -> Bytes,
    /// Whether it keeps headers of the same name apart.
    names_may_repeat: bool,
}

const STRANGERS: [Stranger; 2] = [
    Stranger { name: "kacrab-protocol", reads: kacrab_reads, writes: kacrab_writes, names_may_repeat: true },
    Stranger {
        name: "kafka-protocol",
        reads: kafka_protocol_reads,
        writes: kafka_protocol_writes,
        names_may_repeat: false,
    },
];

fn content(seed: u64, compression: Compression, names_may_repeat: bool) -> Content {
    let dice = &mut Dice::new(seed);
    let version = vltava_wire::Version { number: 0, flexible: false };
    let headers_max = dice.below(2) * 4;
    let header = |index: u64, dice: &mut Dice| {
        let number = if names_may_repeat { dice.below(2) } else { index };
        (format!("h{number}"), Sample::sample(dice, version))
    };
    let row = |index: u64, dice: &mut Dice| Row {
        timestamp: 1_700_000_000_000 + dice.below(100_000) as i64,
        key: Sample::sample(dice, version),
        value: Some(Bytes::from(format!("{index}: a river "))).filter(|_| dice.below(5) > 0),
        headers: (0..dice.below(headers_max + 1)).map(|index| header(index, dice)).collect(),
    };
    let rows = (0..1 + dice.below(1_000)).map(|index| row(index, dice)).collect();
    let stamp = match dice.below(3) {
        0 => Stamp::NONE,
        transactional => Stamp {
            producer_id: dice.roll() as i64 >> 1,
            producer_epoch: dice.below(1 << 15) as i16,
            base_sequence: dice.below(1 << 30) as i32,
            transactional: transactional == 1,
        },
    };
    Content { stamp, compression, rows }
}

fn we_write(content: &Content) -> Bytes {
    let mut batch = BatchBuilder::new();
    for row in &content.rows {
        let (key, value) = (row.key.as_deref(), row.value.as_deref());
        let record = RecordSlices { timestamp: row.timestamp, key, value, headers: &row.headers };
        batch.append(record).expect("a row fits");
    }
    batch.finish(content.stamp, content.compression).expect("there are rows")
}

fn we_read(bytes: Bytes) -> Content {
    let mut walk = batches(bytes);
    let batch = walk.next().expect("there is a batch").expect("it is sound");
    assert!(walk.next().is_none() && walk.rest().is_empty(), "there is one batch");
    batch.check_produced().expect("it is as a producer sends it");
    let stamp = Stamp {
        producer_id: batch.producer_id,
        producer_epoch: batch.producer_epoch,
        base_sequence: batch.base_sequence,
        transactional: batch.is_transactional(),
    };
    let compression = batch.compression();
    let rows = rows(&batch.decompress(Limits::default()).expect("its records are sound"));
    Content { stamp, compression, rows }
}

fn rows(records: &Records) -> Vec<Row> {
    let name = |name: &[u8]| String::from_utf8(name.to_vec()).expect("the rows' names are text");
    let row = |record: vltava_wire::record::Record| Row {
        timestamp: record.timestamp(),
        key: record.key_bytes(),
        value: record.value_bytes(),
        headers: record
            .headers()
            .map(|(key, value)| (name(key), value.map(Bytes::copy_from_slice)))
            .collect(),
    };
    records.owned().map(row).collect()
}

fn kacrab_writes(content: &Content) -> Bytes {
    let Content { stamp, compression, rows } = content;
    let base_timestamp = rows[0].timestamp;
    let record = |(index, row): (usize, &Row)| kacrab::Record {
        attributes: 0,
        timestamp_delta: row.timestamp - base_timestamp,
        offset_delta: index as i32,
        key: row.key.clone(),
        value: row.value.clone(),
        headers: row
            .headers
            .iter()
            .map(|(name, value)| kacrab::RecordHeader { key: name.clone().into(), value: value.clone() })
            .collect(),
    };
    let transactional = if stamp.transactional { TRANSACTIONAL } else { 0 };
    let batch = kacrab::RecordBatch {
        base_offset: 0,
        partition_leader_epoch: -1,
        magic: 2,
        attributes: i16::from(compression.id()) | transactional,
        last_offset_delta: rows.len() as i32 - 1,
        first_timestamp: base_timestamp,
        max_timestamp: rows.iter().map(|row| row.timestamp).max().expect("there are rows"),
        producer_id: stamp.producer_id,
        producer_epoch: stamp.producer_epoch,
        base_sequence: stamp.base_sequence,
        records: rows.iter().enumerate().map(record).collect(),
    };
    let mut out = BytesMut::new();
    batch.encode(&mut out).expect("it can write them");
    out.freeze()
}

fn kacrab_reads(mut bytes: Bytes) -> Content {
    let batch = kacrab::RecordBatch::decode(&mut bytes).expect("it can read them");
    assert!(bytes.is_empty(), "it reads all of it");
    let stamp = Stamp {
        producer_id: batch.producer_id,
        producer_epoch: batch.producer_epoch,
        base_sequence: batch.base_sequence,
        transactional: batch.attributes & TRANSACTIONAL != 0,
    };
    let name = |name: Bytes| String::from_utf8(name.into()).expect("the rows' names are text");
    let row = |(index, record): (usize, kacrab::Record)| {
        assert_eq!(record.offset_delta, index as i32);
        Row {
            timestamp: batch.first_timestamp + record.timestamp_delta,
            key: record.key,
            value: record.value,
            headers: record.headers.into_iter().map(|header| (name(header.key), header.value)).collect(),
        }
    };
    let compression = Compression::from_id((batch.attributes & 7) as u8).expect("there are five");
    Content { stamp, compression, rows: batch.records.into_iter().enumerate().map(row).collect() }
}

fn kafka_protocol_writes(content: &Content) -> Bytes {
    let Stamp { producer_id, producer_epoch, base_sequence, transactional } = content.stamp;
    let record = |(index, row): (usize, &Row)| kafka_protocol::Record {
        transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id,
        producer_epoch,
        timestamp_type: kafka_protocol::TimestampType::Creation,
        offset: index as i64,
        sequence: base_sequence.wrapping_add(index as i32),
        timestamp: row.timestamp,
        key: row.key.clone(),
        value: row.value.clone(),
        headers: row
            .headers
            .iter()
            .map(|(name, value)| (StrBytes::from_string(name.clone()), value.clone()))
            .collect(),
    };
    let records: Vec<_> = content.rows.iter().enumerate().map(record).collect();
    let compression = match content.compression {
        Compression::None => kafka_protocol::Compression::None,
        Compression::Gzip => kafka_protocol::Compression::Gzip,
        Compression::Snappy => kafka_protocol::Compression::Snappy,
        Compression::Lz4 => kafka_protocol::Compression::Lz4,
        Compression::Zstd => kafka_protocol::Compression::Zstd,
    };
    let options = RecordEncodeOptions { version: 2, compression };
    let mut out = BytesMut::new();
    RecordBatchEncoder::encode(&mut out, &records, &options).expect("it can write them");
    out.freeze()
}

fn kafka_protocol_reads(mut bytes: Bytes) -> Content {
    let batch = RecordBatchDecoder::decode(&mut bytes).expect("it can read them");
    let first = &batch.records[0];
    let stamp = Stamp {
        producer_id: first.producer_id,
        producer_epoch: first.producer_epoch,
        base_sequence: first.sequence,
        transactional: first.transactional,
    };
    let compression = match batch.compression {
        kafka_protocol::Compression::None => Compression::None,
        kafka_protocol::Compression::Gzip => Compression::Gzip,
        kafka_protocol::Compression::Snappy => Compression::Snappy,
        kafka_protocol::Compression::Lz4 => Compression::Lz4,
        kafka_protocol::Compression::Zstd => Compression::Zstd,
    };
    let row = |(index, record): (usize, kafka_protocol::Record)| {
        assert_eq!(record.offset, index as i64);
        let headers = record.headers.into_iter().map(|(name, value)| (name.to_string(), value));
        Row { timestamp: record.timestamp, key: record.key, value: record.value, headers: headers.collect() }
    };
    Content { stamp, compression, rows: batch.records.into_iter().enumerate().map(row).collect() }
}

/// Every stranger with batches in every compression that it can say.
fn each(mut check: impl FnMut(&Stranger, Content, &str)) {
    for stranger in &STRANGERS {
        for compression in Compression::ALL {
            for seed in 0..SEEDS {
                let content = content(seed, compression, stranger.names_may_repeat);
                check(stranger, content, &format!("{}, {compression}, seed {seed}", stranger.name));
            }
        }
    }
}

#[test]
fn ours_are_read_by_them() {
    let mut read = 0;
    each(|stranger, content, what| {
        assert!((stranger.reads)(we_write(&content)) == content, "{what}");
        read += content.rows.len();
    });
    println!("kacrab-protocol and kafka-protocol read {read} records of ours");
}

#[test]
fn theirs_are_read_by_us() {
    each(|stranger, content, what| assert!(we_read((stranger.writes)(&content)) == content, "{what}"));
}

#[test]
fn a_batch_that_is_not_packed_is_the_same_bytes() {
    for stranger in &STRANGERS {
        for seed in 0..SEEDS {
            let mut content = content(seed, Compression::None, stranger.names_may_repeat);
            // kafka-protocol counts timestamps from the earliest, as few do; Java and we count from the first.
            content.rows.sort_by_key(|row| row.timestamp);
            let theirs = (stranger.writes)(&content);
            assert!(we_write(&content) == theirs, "{}, seed {seed}", stranger.name);
        }
    }
}
