//! What stands in the way of a request or a part of it, as a client is told.

use vltava_wire::ErrorCode;

/// A code for the client, and words for who reads its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Denied {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
