//! What can be wrong with a batch, or keep a record out of one.

use std::fmt;

use crate::{budget::OverLimit, compress::CompressionError};

/// Why a batch could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// What is wrong.
    pub kind: RecordErrorKind,
    /// The base offset of the batch, if it got as far as having one.
    pub base_offset: Option<i64>,
}

/// What is wrong with a batch or a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordErrorKind {
    /// The bytes end before the batch does.
    Truncated,
    /// Bytes follow the batch's last record.
    TrailingBytes,
    /// A format other than v2: 0 and 1 are the message sets of old, others are unknown.
    UnsupportedMagic(i8),
    /// A batch shorter than its own header.
    BadLength(i32),
    /// A count of records that is negative, or more than so many bytes can hold.
    BadCount(i32),
    /// A last offset delta that is negative or leads past the last possible offset.
    BadLastOffsetDelta(i32),
    /// The count of a produced batch is not its last offset delta plus one.
    CountUnlikeDeltas {
        /// What the header says of the records.
        count: i32,
        /// What it says of their offsets.
        last_offset_delta: i32,
    },
    /// The bytes are not those that the checksum was made of.
    BadCrc {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the bytes.
        actual: u32,
    },
    /// A number that stands for no compression.
    UnknownCompression(u8),
    /// The records could not be packed or unpacked.
    Compression(CompressionError),
    /// More records, or headers of a record, or bytes of a header's name, than are allowed.
    OverLimit(OverLimit),
    /// A record whose fields do not fit into its length, or whose headers are more than are allowed.
    BadRecord {
        /// Which one, from zero.
        index: u32,
    },
    /// A record whose offset does not follow the one before, or lies behind the batch's last.
    BadOffsetDelta {
        /// Which one, from zero.
        index: u32,
        /// The delta it has.
        delta: i32,
    },
    /// A control record that is not one.
    BadControlRecord,
    /// The batch would be longer than its length field can say.
    TooLong,
    /// A timestamp further from the batch's first than a delta can say.
    TimestampOutOfRange(i64),
    /// A batch without records has no meaning to a broker.
    Empty,
}

impl RecordErrorKind {
    /// The error, not yet of a certain batch.
    pub(super) fn into_error(self) -> RecordError {
        RecordError { kind: self, base_offset: None }
    }

    /// The error of a batch.
    pub(super) fn of_batch(self, base_offset: i64) -> RecordError {
        RecordError { kind: self, base_offset: Some(base_offset) }
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base_offset {
            Some(offset) => write!(f, "batch at offset {offset}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Display for RecordErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "it ends too early"),
            Self::TrailingBytes => write!(f, "bytes follow its last record"),
            Self::UnsupportedMagic(magic @ (0 | 1)) => {
                write!(f, "message format v{magic} is not supported, only v2 (Kafka 0.11 and later)")
            }
            Self::UnsupportedMagic(magic) => write!(f, "message format v{magic} is unknown"),
            Self::BadLength(length) => write!(f, "length {length} is less than a header"),
            Self::BadCount(count) => write!(f, "so few bytes cannot hold {count} records"),
            Self::BadLastOffsetDelta(delta) => write!(f, "last offset delta {delta} is out of range"),
            Self::CountUnlikeDeltas { count, last_offset_delta } => {
                write!(f, "{count} records cannot end at offset delta {last_offset_delta}")
            }
            Self::BadCrc { expected, actual } => {
                write!(f, "its checksum is {actual:08x} but should be {expected:08x}")
            }
            Self::UnknownCompression(id) => write!(f, "compression {id} is unknown"),
            Self::Compression(_) => write!(f, "its records cannot be packed or unpacked"),
            Self::OverLimit(over) => over.fmt(f),
            Self::BadRecord { index } => write!(f, "record {index} is malformed"),
            Self::BadOffsetDelta { index, delta } => {
                write!(f, "record {index} is out of order, at delta {delta}")
            }
            Self::BadControlRecord => write!(f, "its control record is malformed"),
            Self::TooLong => write!(f, "a batch cannot be that long"),
            Self::TimestampOutOfRange(timestamp) => {
                write!(f, "timestamp {timestamp} is too far from the first of the batch")
            }
            Self::Empty => write!(f, "it has no records"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RecordErrorKind::Compression(error) => Some(error),
            _ => None,
        }
    }
}
