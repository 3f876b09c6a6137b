//! Why a producer does not take a record.

use std::fmt;

use vltava_wire::{ErrorCode, record::RecordError};

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// There is no memory left for so many bytes; some will be when a batch is done.
    Full {
        /// Bytes of the record.
        bytes: usize,
    },
    /// It is larger than the limit.
    TooLarge {
        /// Bytes of the record, in a batch of its own.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It cannot be encoded.
    Unsound(RecordError),
    /// The producer cannot go on.
    Fatal(ErrorCode),
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { bytes } => write!(f, "no memory is left for a record of {bytes} bytes"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "a record of {bytes} bytes is larger than the limit of {bytes_max}")
            }
            Self::Unsound(_) => write!(f, "the record cannot be encoded"),
            Self::Fatal(error) => write!(f, "the producer cannot go on: {error}"),
        }
    }
}

impl std::error::Error for Rejected {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsound(error) => Some(error),
            _ => None,
        }
    }
}
