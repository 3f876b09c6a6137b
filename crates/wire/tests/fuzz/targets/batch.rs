//! The records of a produce request or a fetch response.
//!
//! The first byte says how: with its lowest bit set, the bytes behind it are made to look like one batch with a true
//! length and checksum, so that what lies behind those is reached; the next three choose how the records are packed
//! when they are written again.

use bytes::Bytes;
use vltava_wire::{
    Compression,
    record::{
        BATCH_OVERHEAD_BYTES, Batch, BatchBuilder, BatchHeader, ControlMarker, LENGTH_PREFIX_BYTES, Limits,
        RecordErrorKind, RecordRef, RecordSlices, Records, Stamp, TimestampType, batches, patch_base_offset,
        patch_leader_epoch, patch_timestamps, restamp,
    },
};

use super::golden;

const REPAIRED: u8 = 1;
/// Where fields of the header lie.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const COUNT: usize = 57;

/// What a batch may unpack to. Small, so that inputs of a fuzzer reach it.
const LIMITS: Limits = Limits { bytes_max: 1 << 20, ratio_max: 1_000, records_max: 1 << 15 };

/// Whatever lies in a log is read in one way by all readers, and means the same when it is written again.
pub(crate) fn check(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let bytes = if how & REPAIRED == 0 { Bytes::copy_from_slice(bytes) } else { repaired(bytes) };
    let again = Compression::from_id(how >> 1 & 7).filter(|it| it.is_available()).unwrap_or_default();
    let mut walk = batches(bytes.clone());
    let mut walked = 0;
    while let Some(batch) = walk.next() {
        let Ok(batch) = batch.inspect_err(|error| assert!(!error.to_string().is_empty())) else {
            assert!(walk.next().is_none(), "an error ends the walk");
            return;
        };
        assert_eq!(batch.bytes(), &bytes.slice(walked..walked + batch.length));
        walked += batch.length;
        check_batch(batch, again);
    }
    assert_eq!(walk.rest(), &bytes.slice(walked..));
}

fn check_batch(batch: Batch, again: Compression) {
    assert_eq!(BatchHeader::parse(&batch.bytes()[..BATCH_OVERHEAD_BYTES]).as_ref(), Ok(batch.header()));
    let is_sound = batch.check_crc();
    let produced = batch.check_produced();
    assert!(is_sound.is_ok() || is_sound == produced, "{produced:?}");
    check_patches(&batch);
    check_stamped(&batch);
    let read = batch.clone().decompress(LIMITS);
    if produced.is_ok() && batch.compression() == Compression::None && batch.bytes().len() <= LIMITS.bytes_max
    {
        let records = read.as_ref().expect("what a broker takes is read");
        let offsets = records.iter().map(|record| record.offset());
        assert!(offsets.eq(batch.base_offset..=batch.last_offset()));
    }
    match read {
        Ok(records) => {
            check_records(&records);
            check_thinned(&records);
            check_written_again(&records, again);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A batch is moved without a look at its records, and stays what it was.
fn check_patches(batch: &Batch) {
    let mut bytes = batch.bytes().to_vec();
    patch_base_offset(&mut bytes, 4_711);
    patch_leader_epoch(&mut bytes, 12);
    let moved = Batch::parse(bytes.into()).expect("a moved batch is a batch");
    let header = BatchHeader { base_offset: 4_711, leader_epoch: 12, ..*batch.header() };
    assert_eq!(moved.header(), &header);
    let kinds = [&moved, batch].map(|it| it.check_crc().map_err(|error| error.kind));
    assert_eq!(kinds[0], kinds[1]);
}

/// A batch that the log gives a time has it throughout, and a true checksum.
fn check_stamped(batch: &Batch) {
    let mut bytes = batch.bytes().to_vec();
    patch_timestamps(&mut bytes, TimestampType::LogAppendTime, 5_000);
    let stamped = Batch::parse(bytes.into()).expect("a stamped batch is a batch");
    assert_eq!(stamped.check_crc(), Ok(()));
    assert_eq!((stamped.timestamp_type(), stamped.max_timestamp), (TimestampType::LogAppendTime, 5_000));
    let times = batch.timestamps();
    assert!(batch.check_produced().is_err() || times.earliest <= times.latest, "{times:?}");
}

/// What compaction leaves of a batch is what it was to keep, where it was.
fn check_thinned(records: &Records) {
    let is_kept = |record: &RecordRef<'_>| record.offset() % 2 == 0;
    if !records.header().compression().is_available() {
        return;
    }
    let kept = records.retain(|record| is_kept(&record), None).expect("less than there was can be written");
    let expected: Vec<_> = records.iter().filter(is_kept).collect();
    let Some(kept) = kept else { return assert!(expected.is_empty()) };
    let batch = Batch::parse(kept).expect("what is left is a batch");
    assert_eq!((batch.check_crc(), batch.last_offset()), (Ok(()), records.header().last_offset()));
    let kept = batch.decompress(Limits::default()).expect("what is left is read");
    assert_eq!(kept.len(), expected.len());
    for (kept, expected) in kept.iter().zip(expected) {
        assert_eq!(
            (kept.offset(), kept.key(), kept.value()),
            (expected.offset(), expected.key(), expected.value())
        );
        assert!(kept.headers().eq(expected.headers()));
    }
}

fn check_records(records: &Records) {
    let header = *records.header();
    let mut before = None;
    let mut count = 0;
    let mut owned = records.owned();
    for record in records {
        let handle = owned.next().expect("as many are owned as are borrowed");
        assert_eq!(handle.offset(), record.offset());
        assert_eq!(content(handle.as_ref()), content(record));
        assert_eq!((handle.key(), handle.value()), (record.key(), record.value()));
        assert_eq!(handle.key_bytes().as_deref(), record.key());
        assert_eq!(handle.value_bytes().as_deref(), record.value());
        assert!(handle.headers().eq(record.headers()));
        assert!(before < Some(record.offset()), "offsets rise");
        before = Some(record.offset());
        if header.timestamp_type() == TimestampType::LogAppendTime {
            assert_eq!(record.timestamp(), header.max_timestamp);
        }
        let _ = ControlMarker::of(record);
        count += 1;
    }
    assert_eq!((count, owned.next().is_none()), (records.len(), true));
    assert!(before.is_none_or(|last| (header.base_offset..=header.last_offset()).contains(&last)));
}

type Content<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>, Vec<(&'a [u8], Option<&'a [u8]>)>);

fn content(record: RecordRef<'_>) -> Content<'_> {
    let headers = record.headers();
    let count = headers.len();
    let headers: Vec<_> = headers.collect();
    assert_eq!(headers.len(), count, "there are as many headers as were promised");
    (record.timestamp(), record.key(), record.value(), headers)
}

/// What was read can be written, and is then read as the same.
fn check_written_again(records: &Records, kind: Compression) {
    let header = records.header();
    let mut builder = BatchBuilder::new();
    let mut written = Vec::new();
    for record in records {
        let (timestamp, key, value, headers) = content(record);
        let slices = RecordSlices { timestamp, key, value, headers: &headers };
        let expected = builder.size_with(&slices);
        match builder.append(slices) {
            Ok(index) => assert_eq!((index as usize, builder.bytes()), (written.len(), expected)),
            // Only between timestamps further apart than a batch can say.
            Err(error) => {
                assert_eq!(error.kind, RecordErrorKind::TimestampOutOfRange(timestamp));
                continue;
            }
        }
        written.push((timestamp, key, value, headers));
    }
    let stamp = stamp_of(header);
    if written.is_empty() {
        let refused = builder.finish(stamp, kind).expect_err("a batch has a record");
        return assert_eq!(refused.kind, RecordErrorKind::Empty);
    }
    let bytes = builder.finish(stamp, kind).expect("what was read can be written");
    let mut walk = batches(bytes);
    let batch = walk.next().expect("it is whole").expect("it is a batch");
    assert!(walk.next().is_none() && walk.rest().is_empty());
    assert_eq!(batch.check_produced(), Ok(()));
    assert_eq!((batch.compression(), stamp_of(&batch)), (kind, stamp));
    let again = batch.decompress(Limits::default()).expect("what was written is read");
    assert!(again.iter().map(content).eq(written));
}

fn stamp_of(header: &BatchHeader) -> Stamp {
    Stamp {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.is_transactional(),
    }
}

/// The bytes as one batch: too few are filled up with zeros, and what must be true of any batch is.
fn repaired(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().max(BATCH_OVERHEAD_BYTES), 0);
    let length = (bytes.len() - LENGTH_PREFIX_BYTES) as i32;
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    bytes[MAGIC] = 2;
    match BatchHeader::parse(&bytes) {
        Ok(header) => restamp(&bytes, stamp_of(&header)),
        Err(_) => bytes.into(),
    }
}

/// Batches of all kinds, as they are and to be repaired.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Bytes> = Vec::new();
    for kind in Compression::ALL.into_iter().filter(|it| it.is_available()) {
        all.push(built(1, Stamp::NONE, kind));
        let stamp = Stamp { producer_id: 9, producer_epoch: 2, base_sequence: 77, transactional: true };
        all.push(built(40, stamp, kind));
    }
    let plain = built(3, Stamp::NONE, Compression::None);
    // Stamped by the log, control, both, a codec that nobody knows, the first message format.
    let changed = [
        (ATTRIBUTES + 1, 8),
        (ATTRIBUTES + 1, 0x30),
        (ATTRIBUTES + 1, 0x38),
        (ATTRIBUTES + 1, 7),
        (MAGIC, 0),
    ];
    all.extend(changed.map(|(at, to)| with(&plain, at, &[to])));
    all.push(with(&plain, LAST_OFFSET_DELTA, &9i32.to_be_bytes()));
    all.push(with(&plain.slice(..BATCH_OVERHEAD_BYTES), COUNT, &0i32.to_be_bytes()));
    all.push([&plain[..], &plain, &plain[..70]].concat().into());
    all.extend(golden::batches().into_iter().map(Bytes::from));
    let how = |at: usize| (at % 10) as u8;
    let inputs = all.iter().enumerate();
    inputs.flat_map(|(at, bytes)| [how(at), how(at + 1)].map(|how| [&[how], &bytes[..]].concat())).collect()
}

fn built(count: i64, stamp: Stamp, kind: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for number in 0..count {
        let value = vec![b'v'; number as usize * 7];
        let headers = [("name", Some(&value[..])), ("", None)];
        let record = RecordSlices {
            timestamp: 1_700_000_000_000 + (number % 3 - 1) * 1_000,
            key: (number % 2 == 0).then_some(b"key"),
            value: (number % 5 != 1).then_some(&value[..]),
            headers: &headers[..number as usize % 3],
        };
        builder.append(record).expect("the batch has room");
    }
    builder.finish(stamp, kind).expect("a batch with records can be finished")
}

fn with(bytes: &Bytes, at: usize, field: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes.into()
}
