//! Batches through the crate's door: what was appended is read, what was broken is refused, and nothing panics.

use bytes::Bytes;
use proptest::prelude::*;
use vltava_wire::{
    Compression,
    limits::{HEADER_NAME_BYTES_MAX, HEADERS_MAX},
    record::{
        BATCH_OVERHEAD_BYTES, BatchBuilder, BatchHeader, ControlMarker, Limits, RecordErrorKind,
        RecordSlices, Stamp, TimestampType, batches, patch_base_offset, patch_leader_epoch, restamp,
    },
};

type Headers = Vec<(Vec<u8>, Option<Vec<u8>>)>;
type Rows = Vec<(i64, Option<Vec<u8>>, Option<Vec<u8>>, Headers)>;

/// Where fields of the header lie, for breaking them.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const MAX_TIMESTAMP: usize = 35;
const COUNT: usize = 57;

fn batch_of(values: &[&str], compression: Compression) -> Bytes {
    let mut batch = BatchBuilder::new();
    for (index, value) in values.iter().enumerate() {
        let record = RecordSlices::new(1_000 + index as i64, None, Some(value.as_bytes()));
        assert_eq!(batch.append(record), Ok(index as u32));
    }
    batch.finish(Stamp::NONE, compression).expect("a batch with records can be finished")
}

fn only(bytes: Bytes) -> Result<vltava_wire::record::Batch, RecordErrorKind> {
    let mut all = batches(bytes);
    let batch = all.next().expect("there is a batch").map_err(|error| error.kind);
    assert!(all.next().is_none(), "there is one batch");
    batch
}

/// The batch with a field overwritten and its checksum made to fit.
fn with(bytes: &Bytes, at: usize, field: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at..at + field.len()].copy_from_slice(field);
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes[ATTRIBUTES..]) as u32;
    bytes[MAGIC + 1..ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn opened(bytes: Bytes) -> Result<vltava_wire::record::Records, RecordErrorKind> {
    let batch = only(bytes)?;
    batch.check_crc().map_err(|error| error.kind)?;
    batch.decompress(Limits::default()).map_err(|error| error.kind)
}

fn row() -> impl Strategy<Value = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Headers)> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let maybe = || prop::option::of(bytes());
    (any::<i32>().prop_map(i64::from), maybe(), maybe(), prop::collection::vec((bytes(), maybe()), 0..4))
}

fn codec() -> impl Strategy<Value = Compression> {
    let available = Compression::ALL.into_iter().filter(|kind| kind.is_available());
    prop::sample::select(available.collect::<Vec<_>>())
}

fn rows() -> impl Strategy<Value = Rows> {
    prop::collection::vec(row(), 1..40)
}

fn build(rows: &Rows, stamp: Stamp, compression: Compression) -> Bytes {
    let mut batch = BatchBuilder::new();
    for (timestamp, key, value, headers) in rows {
        let record =
            RecordSlices { timestamp: *timestamp, key: key.as_deref(), value: value.as_deref(), headers };
        let expected = batch.size_with(&record);
        batch.append(record).expect("the record fits");
        assert_eq!(batch.bytes(), expected);
    }
    batch.finish(stamp, compression).expect("a batch with records can be finished")
}

proptest! {
    #[test]
    fn what_was_appended_is_read(rows in rows(), kind in codec()) {
        let stamp = Stamp { producer_id: 9, producer_epoch: 2, base_sequence: 77, transactional: true };
        let batch = only(build(&rows, stamp, kind)).expect("it is a batch");
        prop_assert_eq!(batch.check_produced(), Ok(()));
        prop_assert_eq!((batch.producer_id, batch.producer_epoch, batch.base_sequence), (9, 2, 77));
        prop_assert!(batch.is_transactional() && !batch.is_control());
        prop_assert_eq!(batch.compression(), kind);
        prop_assert_eq!(Some(batch.max_timestamp), rows.iter().map(|row| row.0).max());
        let records = batch.decompress(Limits::default()).expect("its records are sound");
        prop_assert_eq!((records.len(), records.iter().len()), (rows.len(), rows.len()));
        for (index, ((borrowed, owned), row)) in records.iter().zip(records.owned()).zip(&rows).enumerate() {
            prop_assert_eq!(borrowed.offset(), index as i64);
            for record in [borrowed, owned.as_ref()] {
                let headers: Headers =
                    record.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
                let (key, value) = (record.key().map(<[u8]>::to_vec), record.value().map(<[u8]>::to_vec));
                prop_assert_eq!(&(record.timestamp(), key, value, headers), row);
            }
            prop_assert_eq!(owned.offset(), borrowed.offset());
            prop_assert!(owned.value_bytes().as_deref() == borrowed.value());
            prop_assert!(owned.key_bytes().as_deref() == borrowed.key());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        for batch in batches(bytes.into()).flatten() {
            let _ = batch.check_produced();
            let _ = batch.decompress(Limits::default());
        }
    }

    #[test]
    fn a_broken_byte_under_the_checksum_never_panics(
        rows in rows(),
        kind in codec(),
        at: prop::sample::Index,
        to: u8,
    ) {
        let bytes = build(&rows, Stamp::NONE, kind);
        let at = ATTRIBUTES + at.index(bytes.len() - ATTRIBUTES);
        let broken = with(&bytes, at, &[to]);
        if let Some(Ok(batch)) = batches(broken).next() {
            let _ = batch.check_produced();
            if let Ok(records) = batch.decompress(Limits { bytes_max: 1 << 20, ratio_max: 1_000, ..Limits::default() }) {
                for record in &records {
                    prop_assert!(record.offset() <= records.header().last_offset());
                    record.headers().for_each(drop);
                }
                prop_assert_eq!(records.owned().count(), records.len());
            }
        }
    }

    #[test]
    fn a_batch_cut_off_anywhere_is_left_out(cut: prop::sample::Index) {
        let whole = batch_of(&["upper", "lower"], Compression::None);
        let length = cut.index(whole.len());
        let mut both = whole.to_vec();
        both.extend_from_slice(&whole[..length]);
        let mut walk = batches(both.into());
        prop_assert!(matches!(walk.next(), Some(Ok(_))));
        prop_assert!(walk.next().is_none());
        prop_assert_eq!(walk.rest().len(), length);
    }
}

#[test]
fn patches_lie_outside_the_checksum() {
    let mut bytes = batch_of(&["a", "b"], Compression::None).to_vec();
    patch_base_offset(&mut bytes, 40);
    patch_leader_epoch(&mut bytes, 7);
    let batch = only(bytes.into()).expect("it is a batch");
    assert_eq!(batch.check_crc(), Ok(()));
    assert_eq!((batch.base_offset, batch.last_offset(), batch.leader_epoch), (40, 41, 7));
    let records = batch.decompress(Limits::default()).expect("its records are sound");
    assert_eq!(records.iter().map(|record| record.offset()).collect::<Vec<_>>(), [40, 41]);
}

#[test]
fn a_batch_under_another_number_is_the_one_built_with_it() {
    let rows: Rows = vec![(7, Some(b"k".to_vec()), Some(b"v".to_vec()), vec![])];
    let first = Stamp { producer_id: 9, producer_epoch: 2, base_sequence: 77, transactional: false };
    let second = Stamp { producer_epoch: 3, base_sequence: 0, ..first };
    let again = restamp(&build(&rows, first, Compression::Gzip), second);
    assert_eq!(again, build(&rows, second, Compression::Gzip));
}

#[test]
fn a_flipped_bit_is_noticed() {
    let mut bytes = batch_of(&["a", "b"], Compression::None).to_vec();
    *bytes.last_mut().expect("there are bytes") ^= 1;
    let refused = opened(bytes.into()).expect_err("the bytes changed");
    assert!(matches!(refused, RecordErrorKind::BadCrc { .. }));
}

#[test]
fn a_log_append_time_is_every_records() {
    let bytes = batch_of(&["a", "b"], Compression::None);
    let stamped = with(&with(&bytes, ATTRIBUTES, &[0, 8]), MAX_TIMESTAMP, &5_000i64.to_be_bytes());
    let records = opened(stamped).expect("its records are sound");
    assert_eq!(records.header().timestamp_type(), TimestampType::LogAppendTime);
    assert!(records.iter().all(|record| record.timestamp() == 5_000));
    assert!(records.owned().all(|record| record.timestamp() == 5_000));
}

#[test]
fn an_empty_batch_of_a_compacted_log_keeps_its_last_offset() {
    let bytes = batch_of(&["a"], Compression::None).slice(..BATCH_OVERHEAD_BYTES);
    let bytes = with(&bytes, LENGTH, &49i32.to_be_bytes());
    let bytes = with(&with(&bytes, COUNT, &0i32.to_be_bytes()), LAST_OFFSET_DELTA, &9i32.to_be_bytes());
    let batch = only(bytes).expect("it is a batch");
    assert_eq!(batch.last_offset(), 9);
    assert_eq!(batch.check_produced().map_err(|error| error.kind), Err(RecordErrorKind::Empty));
    assert!(batch.decompress(Limits::default()).expect("it has no records").is_empty());
}

#[test]
fn records_since_an_offset_begin_with_the_first_that_is_left() {
    let bytes = batch_of(&["a", "b", "c"], Compression::None);
    // Compaction took one between the first and the second: length, attributes, timestamp delta, offset delta.
    let record_bytes = (bytes.len() - BATCH_OVERHEAD_BYTES) / 3;
    let delta = |record| BATCH_OVERHEAD_BYTES + record * record_bytes + 3;
    let bytes = with(&with(&bytes, delta(1), &[4]), delta(2), &[6]);
    let mut bytes = with(&bytes, LAST_OFFSET_DELTA, &5i32.to_be_bytes()).to_vec();
    patch_base_offset(&mut bytes, 100);
    let records = opened(bytes.into()).expect("it is sound");
    for (since, expected) in [
        (i64::MIN, &[100, 102, 103][..]),
        (100, &[100, 102, 103]),
        (101, &[102, 103]),
        (102, &[102, 103]),
        (103, &[103]),
        (104, &[]),
        (i64::MAX, &[]),
    ] {
        let borrowed: Vec<_> = records.since(since).map(|record| record.offset()).collect();
        let owned: Vec<_> = records.owned_since(since).map(|record| record.offset()).collect();
        assert_eq!((&borrowed[..], &owned[..]), (expected, expected), "since {since}");
        assert_eq!(
            (records.since(since).len(), records.owned_since(since).len()),
            (expected.len(), expected.len())
        );
    }
}

#[test]
fn headers_that_lie_are_refused_by_what_is_wrong() {
    let bytes = batch_of(&["a", "b"], Compression::None);
    let refused = |at, field: &[u8]| opened(with(&bytes, at, field)).expect_err("the header lies");
    assert_eq!(refused(MAGIC, &[1]), RecordErrorKind::UnsupportedMagic(1));
    assert_eq!(refused(LENGTH, &48i32.to_be_bytes()), RecordErrorKind::BadLength(48));
    assert_eq!(refused(LENGTH, &(-1i32).to_be_bytes()), RecordErrorKind::BadLength(-1));
    assert_eq!(refused(COUNT, &(-1i32).to_be_bytes()), RecordErrorKind::BadCount(-1));
    assert_eq!(refused(COUNT, &i32::MAX.to_be_bytes()), RecordErrorKind::BadCount(i32::MAX));
    assert_eq!(refused(COUNT, &1i32.to_be_bytes()), RecordErrorKind::TrailingBytes);
    assert_eq!(refused(ATTRIBUTES, &[0, 7]), RecordErrorKind::UnknownCompression(7));
    assert_eq!(refused(LAST_OFFSET_DELTA, &[0xff; 4]), RecordErrorKind::BadLastOffsetDelta(-1));
    let last = refused(LAST_OFFSET_DELTA, &0i32.to_be_bytes());
    assert_eq!(last, RecordErrorKind::BadOffsetDelta { index: 1, delta: 1 });
}

#[test]
fn a_produced_batch_takes_one_offset_a_record() {
    let bytes = batch_of(&["a", "b"], Compression::None);
    let produced = |bytes| only(bytes).expect("a batch").check_produced().map_err(|error| error.kind);
    let holey = produced(with(&bytes, LAST_OFFSET_DELTA, &5i32.to_be_bytes()));
    assert_eq!(holey, Err(RecordErrorKind::CountUnlikeDeltas { count: 2, last_offset_delta: 5 }));
    // The second record: length, attributes, a timestamp delta, then the offset delta, zigzag.
    let second = BATCH_OVERHEAD_BYTES + (bytes.len() - BATCH_OVERHEAD_BYTES) / 2 + 3;
    assert_eq!(bytes[second], 2);
    let repeated = produced(with(&bytes, second, &[0]));
    assert_eq!(repeated, Err(RecordErrorKind::BadOffsetDelta { index: 1, delta: 0 }));
}

#[test]
fn headers_have_limits() {
    let written = |count: usize, name_bytes: usize| {
        let headers: Headers = vec![(vec![b'n'; name_bytes], None); count];
        let mut builder = BatchBuilder::new();
        let record = RecordSlices { timestamp: 0, key: None, value: None, headers: &headers };
        builder.append(record).map_err(|error| error.to_string())?;
        let bytes = builder.finish(Stamp::NONE, Compression::None).expect("a record is there");
        Ok(opened(bytes).expect("what is written is read").len())
    };
    assert_eq!(written(HEADERS_MAX, 0), Ok(1));
    assert_eq!(written(1, HEADER_NAME_BYTES_MAX), Ok(1));
    let refused = |text: &str| Err(text.to_owned());
    let (many, long) = (written(HEADERS_MAX + 1, 0), written(1, HEADER_NAME_BYTES_MAX + 1));
    assert_eq!(many, refused("headers of the record would be 65537, the limit is 65536"));
    assert_eq!(long, refused("bytes of the header's name would be 32768, the limit is 32767"));
}

#[test]
fn a_reader_says_how_many_records_a_batch_may_have() {
    let bytes = batch_of(&["a", "b", "c"], Compression::None);
    let opened = |records_max| {
        let limits = Limits { records_max, ..Limits::default() };
        let opened = only(bytes.clone()).expect("a batch").decompress(limits);
        opened.map(|records| records.len()).map_err(|error| error.to_string())
    };
    assert_eq!(opened(3), Ok(3));
    let refused = "batch at offset 0: records of the batch would be 3, the limit is 2";
    assert_eq!(opened(2), Err(refused.to_owned()));
}

#[test]
fn a_produced_batch_has_headers_that_can_be_read() {
    let mut builder = BatchBuilder::new();
    let headers: Headers = vec![(b"name".to_vec(), Some(b"value".to_vec()))];
    let record = RecordSlices { timestamp: 0, key: None, value: None, headers: &headers };
    builder.append(record).expect("the batch has room");
    let bytes = builder.finish(Stamp::NONE, Compression::None).expect("a record is there");
    let produced = |bytes| only(bytes).expect("a batch").check_produced().map_err(|error| error.kind);
    assert_eq!(produced(bytes.clone()), Ok(()));
    // The count of headers comes before a name of four bytes and a value of five, each after its length.
    let count = bytes.len() - 12;
    assert_eq!(bytes[count], 2);
    for lie in [0, 1, 4] {
        let refused = produced(with(&bytes, count, &[lie]));
        assert_eq!(refused, Err(RecordErrorKind::BadRecord { index: 0 }), "zigzag {lie}");
    }
}

#[test]
fn a_packed_batch_claims_no_more_records_than_it_may_unpack_to() {
    for kind in Compression::ALL.into_iter().filter(|it| *it != Compression::None && it.is_available()) {
        let bytes = batch_of(&["a", "b"], kind);
        let claim = |count: i32| {
            let bytes = with(&bytes, COUNT, &count.to_be_bytes());
            let bytes = with(&bytes, LAST_OFFSET_DELTA, &(count - 1).to_be_bytes());
            only(bytes).expect("a batch").check_produced().map_err(|error| error.kind)
        };
        // Seven bytes are the smallest record.
        let most = (Limits::RATIO_FROM / 7) as i32;
        assert_eq!(claim(most), Ok(()), "{kind}");
        assert_eq!(claim(most + 1), Err(RecordErrorKind::BadCount(most + 1)), "{kind}");
        let refused = claim(i32::MAX).map_err(|kind| kind.to_string());
        assert_eq!(
            refused,
            Err("records of the batch would be 2147483647, the limit is 4194304".into()),
            "{kind}"
        );
    }
}

#[test]
fn a_batch_that_unpacks_to_more_than_allowed_is_refused() {
    let value = "v".repeat(20_000);
    for kind in Compression::ALL.into_iter().filter(|kind| kind.is_available()) {
        let batch = only(batch_of(&[&value], kind)).expect("it is a batch");
        let limits = Limits { bytes_max: 20_000, ..Limits::default() };
        let refused = batch.decompress(limits).expect_err("there is more than the value").kind;
        assert!(matches!(refused, RecordErrorKind::Compression(_)), "{kind}: {refused:?}");
    }
}

#[test]
fn a_bomb_is_refused_by_its_ratio() {
    let value = "\0".repeat(Limits::RATIO_FROM + 1);
    let batch = only(batch_of(&[&value], Compression::Gzip)).expect("it is a batch");
    let limits = Limits { ratio_max: 100, ..Limits::default() };
    assert!(batch.clone().decompress(limits).is_err());
    assert!(batch.decompress(Limits::default()).is_ok());
}

#[test]
fn a_record_that_cannot_be_appended_leaves_the_batch_as_it_was() {
    let mut batch = BatchBuilder::new();
    batch.append(RecordSlices::new(i64::MAX, None, None)).expect("the first record fits");
    let before = batch.bytes();
    let refused = batch.append(RecordSlices::new(-2, None, None)).expect_err("the delta does not fit");
    assert_eq!(refused.kind, RecordErrorKind::TimestampOutOfRange(-2));
    assert_eq!((batch.bytes(), batch.count()), (before, 1));
    let refused = BatchBuilder::new().finish(Stamp::NONE, Compression::None).expect_err("it is empty");
    assert_eq!(refused.kind, RecordErrorKind::Empty);
}

#[test]
fn a_marker_says_how_a_transaction_ended() {
    let marker = |key: &[u8]| {
        let mut batch = BatchBuilder::new();
        batch.append(RecordSlices::new(0, Some(key), Some(&[0; 6]))).expect("the marker fits");
        let bytes = batch.finish(Stamp::NONE, Compression::None).expect("it has a record");
        let records = opened(with(&bytes, ATTRIBUTES, &[0, 0x30])).expect("its records are sound");
        assert!(records.header().is_control());
        ControlMarker::of(records.iter().next().expect("it has a record")).map_err(|error| error.kind)
    };
    assert_eq!(marker(&[0, 0, 0, 0]), Ok(ControlMarker::Abort));
    assert_eq!(marker(&[0, 0, 0, 1]), Ok(ControlMarker::Commit));
    assert_eq!(marker(&[0, 1, 0, 6, 9]), Ok(ControlMarker::Other(6)));
    assert_eq!(marker(&[0, 0, 1]), Err(RecordErrorKind::BadControlRecord));
    assert_eq!(marker(&[0xff, 0xff, 0, 1]), Err(RecordErrorKind::BadControlRecord));
}

#[test]
fn a_message_set_of_old_is_refused_by_its_format() {
    // Offset, size, checksum, magic, attributes, no key, no value: 26 bytes.
    let mut message = vec![0; 12];
    message[11] = 14;
    message.extend([0, 0, 0, 0, 0, 0]);
    message.extend([0xff; 8]);
    let refused = batches(message.into()).next().expect("it is whole").expect_err("it is old");
    assert_eq!(refused.kind, RecordErrorKind::UnsupportedMagic(0));
}

#[test]
fn a_header_is_read_without_its_records() {
    let bytes = batch_of(&["a", "b"], Compression::None);
    let header = BatchHeader::parse(&bytes[..BATCH_OVERHEAD_BYTES]).expect("the header is whole");
    assert_eq!((header.length, header.count, header.base_timestamp), (bytes.len(), 2, 1_000));
    let cut = BatchHeader::parse(&bytes[..BATCH_OVERHEAD_BYTES - 1]).expect_err("a byte is missing");
    assert_eq!(cut.kind, RecordErrorKind::Truncated);
}
