//! What a broker does to a batch it stores: it sets timestamps, and compaction takes records away.
//!
//! Either renews the checksum. Offsets stay: a record keeps its own, a batch the range it stands for.

use bytes::Bytes;

use crate::compress::{Compression, Compressor};

use super::{
    batch::{Batch, checksum},
    error::{RecordError, RecordErrorKind},
    fields::Fields,
    header::{
        BATCH_OVERHEAD_BYTES, BatchHeader, DELETE_HORIZON, LENGTH_PREFIX_BYTES, LOG_APPEND_TIME,
        TimestampType, at,
    },
    reader::{RecordRef, Records},
    varint,
};

/// The earliest and the latest timestamp of a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamps {
    /// No record is earlier.
    pub earliest: i64,
    /// No record is later.
    pub latest: i64,
}

impl Batch {
    /// The records' timestamps as producers gave them. Those of a packed batch are believed to be what its header
    /// says.
    pub fn timestamps(&self) -> Timestamps {
        let BatchHeader { base_timestamp, max_timestamp, count, .. } = *self.header();
        let mut all = Timestamps { earliest: base_timestamp, latest: base_timestamp.max(max_timestamp) };
        if self.compression() != Compression::None {
            return all;
        }
        let records = &self.bytes()[BATCH_OVERHEAD_BYTES..];
        let mut at = 0;
        all.latest = i64::MIN;
        for _ in 0..count {
            let Some(fields) = Fields::read(records, at) else { break };
            at = fields.end();
            let timestamp = base_timestamp.wrapping_add(fields.timestamp_delta);
            all.earliest = all.earliest.min(timestamp);
            all.latest = all.latest.max(timestamp);
        }
        all
    }
}

/// Sets the latest timestamp of a batch, and who gave it.
///
/// # Panics
/// If `batch` is shorter than a header.
pub fn patch_timestamps(batch: &mut [u8], kind: TimestampType, latest: i64) {
    assert!(batch.len() >= BATCH_OVERHEAD_BYTES, "a batch has a header");
    let attributes = i16::from_be_bytes([batch[at::ATTRIBUTES], batch[at::ATTRIBUTES + 1]]);
    let attributes = match kind {
        TimestampType::CreateTime => attributes & !LOG_APPEND_TIME,
        TimestampType::LogAppendTime => attributes | LOG_APPEND_TIME,
    };
    put(batch, at::ATTRIBUTES, &attributes.to_be_bytes());
    put(batch, at::MAX_TIMESTAMP, &latest.to_be_bytes());
    renew_checksum(batch);
}

impl Records {
    /// The batch with no more than the records that are to be kept, or none if there is none left. With a horizon,
    /// the batch says that its tombstones may go from then on (KIP-534).
    pub fn retain(
        &self,
        mut keep: impl FnMut(RecordRef<'_>) -> bool,
        horizon: Option<i64>,
    ) -> Result<Option<Bytes>, RecordError> {
        let header = self.header();
        let base = horizon.unwrap_or(header.base_timestamp);
        let mut out = vec![0; BATCH_OVERHEAD_BYTES];
        let (mut count, mut latest, mut at) = (0i32, i64::MIN, 0);
        for record in self {
            let fields = Fields::read(self.unpacked(), at).expect("records were checked as a whole");
            at = fields.end();
            if !keep(record) {
                continue;
            }
            let timestamp = header.base_timestamp.wrapping_add(fields.timestamp_delta);
            put_record(&mut out, timestamp.wrapping_sub(base), self.unpacked(), &fields);
            count += 1;
            latest = latest.max(timestamp);
        }
        if count == 0 {
            return Ok(None);
        }
        if header.timestamp_type() == TimestampType::LogAppendTime {
            latest = header.max_timestamp;
        }
        let attributes = header.attributes | if horizon.is_some() { DELETE_HORIZON } else { 0 };
        let kept = BatchHeader { base_timestamp: base, max_timestamp: latest, attributes, count, ..*header };
        finish(out, &kept).map(Some)
    }
}

fn put_record(out: &mut Vec<u8>, timestamp_delta: i64, records: &[u8], fields: &Fields) {
    let (key, value, headers) = (fields.key(records), fields.value(records), fields.headers(records));
    let part_bytes = |part: Option<&[u8]>| part.map_or(1, |it| varint::size(it.len() as i64) + it.len());
    let body = 1
        + varint::size(timestamp_delta)
        + varint::size(i64::from(fields.offset_delta))
        + part_bytes(key)
        + part_bytes(value)
        + headers.len();
    varint::put(body as i64, out);
    out.push(0);
    varint::put(timestamp_delta, out);
    varint::put(i64::from(fields.offset_delta), out);
    for part in [key, value] {
        varint::put(part.map_or(-1, |it| it.len() as i64), out);
        out.extend_from_slice(part.unwrap_or_default());
    }
    out.extend_from_slice(headers);
}

/// Packs the records and writes the header.
fn finish(mut out: Vec<u8>, header: &BatchHeader) -> Result<Bytes, RecordError> {
    if header.compression() != Compression::None {
        let mut packed = vec![0; BATCH_OVERHEAD_BYTES];
        let mut compressor = Compressor::new(header.compression());
        let records = compressor.compress(&out[BATCH_OVERHEAD_BYTES..]);
        packed.extend_from_slice(
            records.map_err(|error| RecordErrorKind::Compression(error).of_batch(header.base_offset))?,
        );
        out = packed;
    }
    let length = i32::try_from(out.len() - LENGTH_PREFIX_BYTES)
        .map_err(|_| RecordErrorKind::TooLong.of_batch(header.base_offset))?;
    put(&mut out, at::BASE_OFFSET, &header.base_offset.to_be_bytes());
    put(&mut out, at::LENGTH, &length.to_be_bytes());
    put(&mut out, at::LEADER_EPOCH, &header.leader_epoch.to_be_bytes());
    put(&mut out, at::MAGIC, &super::header::MAGIC.to_be_bytes());
    put(&mut out, at::ATTRIBUTES, &header.attributes.to_be_bytes());
    put(&mut out, at::LAST_OFFSET_DELTA, &header.last_offset_delta.to_be_bytes());
    put(&mut out, at::BASE_TIMESTAMP, &header.base_timestamp.to_be_bytes());
    put(&mut out, at::MAX_TIMESTAMP, &header.max_timestamp.to_be_bytes());
    put(&mut out, at::PRODUCER_ID, &header.producer_id.to_be_bytes());
    put(&mut out, at::PRODUCER_EPOCH, &header.producer_epoch.to_be_bytes());
    put(&mut out, at::BASE_SEQUENCE, &header.base_sequence.to_be_bytes());
    put(&mut out, at::COUNT, &header.count.to_be_bytes());
    renew_checksum(&mut out);
    Ok(Bytes::from(out))
}

fn renew_checksum(batch: &mut [u8]) {
    let crc = checksum(&batch[at::ATTRIBUTES..]);
    put(batch, at::CRC, &crc.to_be_bytes());
}

fn put(batch: &mut [u8], at: usize, field: &[u8]) {
    batch[at..at + field.len()].copy_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Limits, RecordSlices, Stamp};

    fn codecs() -> impl Iterator<Item = Compression> {
        Compression::ALL.into_iter().filter(|kind| kind.is_available())
    }

    /// Five records, keys a to e, with timestamps that rise and fall; that of c is a tombstone.
    fn batch(compression: Compression) -> Batch {
        let mut builder = BatchBuilder::new();
        for (key, timestamp) in [("a", 1_000), ("b", 1_500), ("c", 900), ("d", 2_000), ("e", 1_200)] {
            let value = (key != "c").then_some(b"value".as_slice());
            let headers: &[(&str, Option<&[u8]>)] = &[("from", Some(key.as_bytes()))];
            let record = RecordSlices { timestamp, key: Some(key.as_bytes()), value, headers };
            builder.append(record).unwrap();
        }
        let stamp = Stamp { producer_id: 7, producer_epoch: 1, base_sequence: 30, transactional: false };
        let mut bytes = Vec::from(builder.finish(stamp, compression).unwrap());
        crate::record::patch_base_offset(&mut bytes, 100);
        Batch::parse(bytes.into()).unwrap()
    }

    fn all(records: &Records) -> Vec<(i64, i64, String, bool, usize)> {
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let headers = |it: RecordRef<'_>| it.headers().count();
        let tell = |it: RecordRef<'_>| {
            (it.offset(), it.timestamp(), text(it.key()), it.value().is_some(), headers(it))
        };
        records.iter().map(tell).collect()
    }

    #[test]
    fn the_timestamps_of_a_batch_are_those_of_its_records() {
        let plain = batch(Compression::None);
        assert_eq!(plain.timestamps(), Timestamps { earliest: 900, latest: 2_000 });
        let mut liar = plain.bytes().to_vec();
        patch_timestamps(&mut liar, TimestampType::CreateTime, 9_000);
        let liar = Batch::parse(liar.into()).unwrap();
        assert_eq!((liar.max_timestamp, liar.timestamps().latest), (9_000, 2_000));
        assert_eq!(batch(Compression::Lz4).timestamps(), Timestamps { earliest: 1_000, latest: 2_000 });
    }

    #[test]
    fn who_gave_the_timestamps_is_part_of_what_is_checked() {
        for compression in codecs() {
            let mut bytes = batch(compression).bytes().to_vec();
            patch_timestamps(&mut bytes, TimestampType::LogAppendTime, 5_555);
            let appended = Batch::parse(bytes.into()).unwrap();
            appended.check_produced().unwrap();
            assert_eq!(appended.timestamp_type(), TimestampType::LogAppendTime);
            let records = appended.decompress(Limits::default()).unwrap();
            assert!(records.iter().all(|it| it.timestamp() == 5_555), "{compression:?}");
        }
    }

    #[test]
    fn what_is_kept_is_as_it_was() {
        for compression in codecs() {
            let whole = batch(compression).decompress(Limits::default()).unwrap();
            let kept = whole.retain(|it| matches!(it.key(), Some(b"b" | b"c" | b"e")), None).unwrap();
            let kept = Batch::parse(kept.unwrap()).unwrap();
            kept.check_crc().unwrap();
            let header = *kept.header();
            let kept = kept.decompress(Limits::default()).unwrap();
            let expected: Vec<_> = all(&whole).into_iter().filter(|it| "bce".contains(&it.2)).collect();
            assert_eq!(all(&kept), expected, "{compression:?}");
            assert_eq!((header.base_offset, header.last_offset(), header.count), (100, 104, 3));
            assert_eq!((header.max_timestamp, header.base_sequence, header.producer_id), (1_500, 30, 7));
            assert_eq!(header.delete_horizon(), None);
        }
    }

    #[test]
    fn a_horizon_changes_no_records_timestamp() {
        let whole = batch(Compression::Gzip).decompress(Limits::default()).unwrap();
        let kept = Batch::parse(whole.retain(|_| true, Some(77_000)).unwrap().unwrap()).unwrap();
        kept.check_crc().unwrap();
        assert_eq!(kept.delete_horizon(), Some(77_000));
        assert_eq!(all(&kept.decompress(Limits::default()).unwrap()), all(&whole));
    }

    #[test]
    fn of_a_batch_without_records_nothing_is_left() {
        assert_eq!(
            batch(Compression::None).decompress(Limits::default()).unwrap().retain(|_| false, None),
            Ok(None)
        );
    }
}
