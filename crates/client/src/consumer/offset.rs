//! Where to read a partition from.

use vltava_core::Timestamp;

/// Where to read a partition from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// The first record there is.
    Earliest,
    /// Behind the last record there is, looked up once.
    Latest,
    /// This offset.
    Exact(i64),
    /// The first record that is as late or later; behind the last if there is none.
    Timestamp(Timestamp),
}

impl From<i64> for Offset {
    fn from(offset: i64) -> Self {
        Self::Exact(offset)
    }
}
