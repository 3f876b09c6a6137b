//! What became of a batch.

use vltava_wire::{ErrorCode, record::RecordError};

/// Where a batch was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The offset of its first record; none if a copy was written so long ago that the broker has forgotten where.
    pub base_offset: Option<i64>,
    /// The broker's clock in milliseconds, if that is what the topic's records carry.
    pub log_append_time: Option<i64>,
}

/// What became of a batch.
pub type Outcome = Result<Written, Failure>;

/// Why a batch was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub reason: Reason,
    /// Whether it may be written all the same, now or a little later.
    pub maybe_written: bool,
}

/// What went wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The broker will not have it, for what it says.
    Refused(ErrorCode, Option<String>),
    /// It is one record, and longer than the broker takes.
    TooLarge {
        /// Bytes that were refused.
        bytes: usize,
        /// What the broker says.
        message: Option<String>,
    },
    /// The delivery deadline passed; the error is what the broker last answered, if it answered at all.
    Expired(Option<ErrorCode>),
    /// A batch before it was given up, and nothing tells whether this one is written.
    Orphaned,
    /// A batch behind it is written and the broker does not take it any more: it could only go out of order.
    Overtaken,
    /// There is no identity under which it could be written.
    Anonymous,
    /// Its owner dropped it.
    Purged,
    /// It could not be packed.
    Encoding(RecordError),
    /// The producer as a whole cannot go on.
    Fatal(ErrorCode),
}
