//! What can go wrong with a broker as a whole. What goes wrong with a request is said in its response.

use std::{fmt, io};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a broker could not start, go on or stop cleanly.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + std::marker::Sync>>,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the builder was told makes no sense.
    Config,
    /// An address could not be listened on.
    Listen,
    /// Another process has the data folder.
    Locked,
    /// What is stored is damaged in a way that no crash explains.
    Damaged,
    /// The disk failed, or failed before and is not trusted any more.
    Disk,
    /// The disk has no room. What was acknowledged is safe, and writing goes on once there is room.
    Full,
    /// The broker was stopped.
    Stopped,
    /// There is no such topic or partition.
    UnknownTopicOrPartition,
    /// The broker has no node with this id.
    UnknownNode,
    /// The node is stopped, and cannot lead.
    NodeStopped,
    /// The node is the last that runs, and cannot be stopped.
    LastNode,
}

impl ErrorKind {
    /// What it means that something could not be written.
    pub(crate) fn of_writing(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Disk,
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + std::marker::Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same call may succeed later without anyone changing anything here: the folder or the address may
    /// become free, the disk may get room.
    pub fn is_retriable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Listen | ErrorKind::Locked | ErrorKind::Full)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, message, source } = &*self.0;
        f.debug_struct("Error").field("kind", kind).field("message", message).field("source", source).finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
