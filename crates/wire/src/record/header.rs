//! The 61 bytes that open every batch, and the two fields of them that lie outside the checksum.

use crate::compress::Compression;

use super::error::{RecordError, RecordErrorKind};

/// A batch's bytes before its records.
pub const BATCH_OVERHEAD_BYTES: usize = 61;

/// The base offset and the length: what must be there to know where a batch ends.
pub const LENGTH_PREFIX_BYTES: usize = 12;

/// Where the header's fields begin.
pub(super) mod at {
    pub(in super::super) const BASE_OFFSET: usize = 0;
    pub(in super::super) const LENGTH: usize = 8;
    pub(in super::super) const LEADER_EPOCH: usize = 12;
    pub(in super::super) const MAGIC: usize = 16;
    pub(in super::super) const CRC: usize = 17;
    pub(in super::super) const ATTRIBUTES: usize = 21;
    pub(in super::super) const LAST_OFFSET_DELTA: usize = 23;
    pub(in super::super) const BASE_TIMESTAMP: usize = 27;
    pub(in super::super) const MAX_TIMESTAMP: usize = 35;
    pub(in super::super) const PRODUCER_ID: usize = 43;
    pub(in super::super) const PRODUCER_EPOCH: usize = 51;
    pub(in super::super) const BASE_SEQUENCE: usize = 53;
    pub(in super::super) const COUNT: usize = 57;
}

pub(super) const MAGIC: i8 = 2;
pub(super) const COMPRESSION_BITS: i16 = 0x07;
pub(super) const LOG_APPEND_TIME: i16 = 0x08;
pub(super) const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;
pub(super) const DELETE_HORIZON: i16 = 0x40;

/// The fewest bytes a record takes: its length, attributes, two deltas, two lengths, a count of headers.
const RECORD_BYTES_MIN: usize = 7;

/// Who gave the records of a batch their timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// Whoever produced them.
    CreateTime,
    /// The broker: every record has the batch's `max_timestamp`.
    LogAppendTime,
}

/// A batch's header. What it says of its records is not verified by parsing it, but fits together: the count fits
/// the length, and the last offset is an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset that the records' deltas count from.
    pub base_offset: i64,
    /// Bytes of the whole batch, this header included.
    pub length: usize,
    /// The epoch of the leader that appended it; -1 before that.
    pub leader_epoch: i32,
    /// The checksum of all that follows it.
    pub crc: u32,
    /// Flags; asked by methods.
    pub attributes: i16,
    /// The last offset less the base offset. Compaction keeps it when it takes the record away.
    pub last_offset_delta: i32,
    /// The timestamp that the records' deltas count from.
    pub base_timestamp: i64,
    /// The latest of the records' timestamps, or all of them: see [`TimestampType`].
    pub max_timestamp: i64,
    /// Who produced it, or -1.
    pub producer_id: i64,
    /// The producer's epoch, or -1.
    pub producer_epoch: i16,
    /// The first record's sequence number, or -1.
    pub base_sequence: i32,
    /// How many records there are. Compaction may have left none.
    pub count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the rest of the batch.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        // Messages of old may be shorter than this header, but say what they are at the same place.
        match bytes.get(at::MAGIC).map(|magic| i8::from_be_bytes([*magic])) {
            Some(MAGIC) | None => {}
            Some(other) => return Err(RecordErrorKind::UnsupportedMagic(other).into_error()),
        }
        let header = bytes.first_chunk().ok_or(RecordErrorKind::Truncated.into_error())?;
        let parsed = Self::fields(header);
        let length = i32::from_be_bytes(field(header, at::LENGTH));
        let broken = |kind: RecordErrorKind| Err(kind.of_batch(parsed.base_offset));
        if length < (BATCH_OVERHEAD_BYTES - LENGTH_PREFIX_BYTES) as i32 {
            return broken(RecordErrorKind::BadLength(length));
        }
        let codec = (parsed.attributes & COMPRESSION_BITS) as u8;
        if Compression::from_id(codec).is_none() {
            return broken(RecordErrorKind::UnknownCompression(codec));
        }
        if parsed.last_offset_delta < 0
            || parsed.base_offset.checked_add(i64::from(parsed.last_offset_delta)).is_none()
        {
            return broken(RecordErrorKind::BadLastOffsetDelta(parsed.last_offset_delta));
        }
        if parsed.count < 0 || (codec == 0 && !parsed.count_fits(parsed.length - BATCH_OVERHEAD_BYTES)) {
            return broken(RecordErrorKind::BadCount(parsed.count));
        }
        Ok(parsed)
    }

    /// The last offset the batch stands for, whether or not a record is still there.
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// How the records are packed.
    pub fn compression(&self) -> Compression {
        let id = (self.attributes & COMPRESSION_BITS) as u8;
        Compression::from_id(id).expect("the number was checked when the header was parsed")
    }

    /// Who gave the records their timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes & LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// Whether it is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether it holds no records of users but a marker, see [`super::ControlMarker`].
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// From when on its tombstones may go. Compaction notes that when it meets them first, in place of the base
    /// timestamp.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Whether so many bytes of unpacked records can be as many records as the header says.
    pub(super) fn count_fits(&self, records_bytes: usize) -> bool {
        usize::try_from(self.count).is_ok_and(|count| count <= records_bytes / RECORD_BYTES_MIN)
    }

    fn fields(header: &[u8; BATCH_OVERHEAD_BYTES]) -> Self {
        let length = i32::from_be_bytes(field(header, at::LENGTH));
        Self {
            base_offset: i64::from_be_bytes(field(header, at::BASE_OFFSET)),
            length: usize::try_from(length).unwrap_or_default().saturating_add(LENGTH_PREFIX_BYTES),
            leader_epoch: i32::from_be_bytes(field(header, at::LEADER_EPOCH)),
            crc: u32::from_be_bytes(field(header, at::CRC)),
            attributes: i16::from_be_bytes(field(header, at::ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(field(header, at::LAST_OFFSET_DELTA)),
            base_timestamp: i64::from_be_bytes(field(header, at::BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(field(header, at::MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(field(header, at::PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(field(header, at::PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(field(header, at::BASE_SEQUENCE)),
            count: i32::from_be_bytes(field(header, at::COUNT)),
        }
    }
}

/// Moves a batch in its partition. The checksum does not cover the base offset.
///
/// # Panics
/// If `batch` is shorter than a header.
pub fn patch_base_offset(batch: &mut [u8], base_offset: i64) {
    assert!(batch.len() >= BATCH_OVERHEAD_BYTES, "a batch has a header");
    batch[at::BASE_OFFSET..at::LENGTH].copy_from_slice(&base_offset.to_be_bytes());
}

/// Notes in whose reign a batch was appended. The checksum does not cover the leader epoch.
///
/// # Panics
/// If `batch` is shorter than a header.
pub fn patch_leader_epoch(batch: &mut [u8], epoch: i32) {
    assert!(batch.len() >= BATCH_OVERHEAD_BYTES, "a batch has a header");
    batch[at::LEADER_EPOCH..at::MAGIC].copy_from_slice(&epoch.to_be_bytes());
}

fn field<const N: usize>(header: &[u8; BATCH_OVERHEAD_BYTES], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("the slice has N bytes")
}
