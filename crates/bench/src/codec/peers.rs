//! The other codecs in Rust, each through the functions it offers for a batch, and in the way that is best for it: keys
//! and values are `Bytes` already, so that nobody copies them to make a record.

use bytes::{Bytes, BytesMut};
use kacrab_protocol::record as kacrab;
use kafka_protocol::records as kafka;
use krafka::__private::protocol as krafka;

use super::load::{Load, Row, Tally};

pub(crate) fn read_by_kafka_protocol(load: &Load) -> Tally {
    let (mut tally, mut rest) = (Tally::default(), load.fetched.clone());
    while !rest.is_empty() {
        let batch = &mut one_batch(&mut rest);
        let decoded = kafka::RecordBatchDecoder::decode(batch).expect("it is a batch");
        for record in &decoded.records {
            tally.add(record.offset, record.timestamp, record.key.as_deref(), record.value.as_deref());
        }
    }
    tally
}

pub(crate) fn read_by_kacrab(load: &Load) -> Tally {
    let (mut tally, mut rest) = (Tally::default(), load.fetched.clone());
    while !rest.is_empty() {
        let batch = kacrab::RecordBatch::decode(&mut rest).expect("it is a batch");
        for record in &batch.records {
            let offset = batch.base_offset + i64::from(record.offset_delta);
            let timestamp = batch.first_timestamp + record.timestamp_delta;
            tally.add(offset, timestamp, record.key.as_deref(), record.value.as_deref());
        }
    }
    tally
}

pub(crate) fn read_by_krafka(load: &Load) -> Tally {
    let (mut tally, mut rest) = (Tally::default(), load.fetched.clone());
    while !rest.is_empty() {
        let batch = krafka::RecordBatch::decode(&mut rest).expect("it is a batch");
        for record in &batch.records {
            let offset = batch.base_offset + i64::from(record.offset_delta);
            let timestamp = batch.base_timestamp + record.timestamp_delta;
            tally.add(offset, timestamp, record.key.as_deref(), record.value.as_deref());
        }
    }
    tally
}

pub(crate) fn written_by_kafka_protocol(rows: &[Row], bytes: usize) -> Bytes {
    let record = |(at, row): (usize, &Row)| kafka::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: kafka::TimestampType::Creation,
        offset: at as i64,
        sequence: at as i32,
        timestamp: row.timestamp,
        key: Some(row.key.clone()),
        value: Some(row.value.clone()),
        headers: Default::default(),
    };
    let records: Vec<_> = rows.iter().enumerate().map(record).collect();
    let mut out = BytesMut::with_capacity(bytes);
    let options = kafka::RecordEncodeOptions { version: 2, compression: kafka::Compression::None };
    kafka::RecordBatchEncoder::encode(&mut out, &records, &options).expect("the batch fits");
    out.freeze()
}

pub(crate) fn written_by_kacrab(rows: &[Row], bytes: usize) -> Bytes {
    let (first, last) = (rows[0].timestamp, rows[rows.len() - 1].timestamp);
    let record = |(at, row): (usize, &Row)| kacrab::Record {
        attributes: 0,
        timestamp_delta: row.timestamp - first,
        offset_delta: at as i32,
        key: Some(row.key.clone()),
        value: Some(row.value.clone()),
        headers: Vec::new(),
    };
    let batch = kacrab::RecordBatch {
        base_offset: 0,
        partition_leader_epoch: -1,
        magic: 2,
        attributes: 0,
        last_offset_delta: rows.len() as i32 - 1,
        first_timestamp: first,
        max_timestamp: last,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        records: rows.iter().enumerate().map(record).collect(),
    };
    let mut out = BytesMut::with_capacity(bytes);
    batch.encode(&mut out).expect("the batch fits");
    out.freeze()
}

pub(crate) fn written_by_krafka(rows: &[Row], _: usize) -> Bytes {
    let mut batch = krafka::RecordBatch::new();
    batch.base_timestamp = rows[0].timestamp;
    batch.max_timestamp = rows[rows.len() - 1].timestamp;
    batch.last_offset_delta = rows.len() as i32 - 1;
    for (at, row) in rows.iter().enumerate() {
        let record = krafka::Record::new(Some(row.key.clone()), Some(row.value.clone()));
        let record = record.with_timestamp_delta(row.timestamp - rows[0].timestamp);
        batch.add_record(record.with_offset_delta(at as i32));
    }
    batch.encode().expect("the batch fits")
}

/// Takes the batch at the start.
fn one_batch(rest: &mut Bytes) -> Bytes {
    let length = u32::from_be_bytes(rest[8..12].try_into().expect("it has four bytes"));
    rest.split_to(length as usize + 12)
}
