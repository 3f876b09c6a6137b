//! The marker in a control batch: how a transaction ended on this partition.

use super::{
    error::{RecordError, RecordErrorKind},
    reader::RecordRef,
};

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlMarker {
    /// The producer's transaction was rolled back.
    Abort,
    /// The producer's transaction was committed.
    Commit,
    /// Something else: controllers' messages have such, and newer brokers may.
    Other(i16),
}

impl ControlMarker {
    /// Reads the marker of a record from a control batch. Its key has a version, of which later ones only append,
    /// and the type.
    pub fn of(record: RecordRef<'_>) -> Result<Self, RecordError> {
        match record.key() {
            Some(&[first, _, high, low, ..]) if first < 0x80 => Ok(match i16::from_be_bytes([high, low]) {
                0 => Self::Abort,
                1 => Self::Commit,
                other => Self::Other(other),
            }),
            _ => Err(RecordErrorKind::BadControlRecord.into_error()),
        }
    }
}
