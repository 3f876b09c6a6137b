//! A record that was not taken, and why.

use std::fmt;

use super::ProducerRecord;
use crate::error::Error;

/// A record that [`try_send`](super::Producer::try_send) did not take.
#[derive(Debug)]
pub struct Unsent(Box<(ProducerRecord, Error)>);

impl Unsent {
    pub(super) fn new(record: ProducerRecord, error: Error) -> Self {
        Self(Box::new((record, error)))
    }

    /// Why it was not taken: `ErrorKind::WouldBlock` if it may be later.
    pub fn error(&self) -> &Error {
        &self.0.1
    }

    /// The record.
    pub fn into_record(self) -> ProducerRecord {
        self.0.0
    }
}

impl From<Unsent> for Error {
    fn from(unsent: Unsent) -> Self {
        unsent.0.1
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl std::error::Error for Unsent {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error().source()
    }
}
