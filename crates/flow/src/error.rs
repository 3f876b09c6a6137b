//! What ends a flow before its time.

use std::{error, fmt};

use vltava_client::TopicPartition;

use crate::{Failure, Record};

/// Why a flow could not start, or stopped.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The flow was told something that makes no sense.
    Config,
    /// The cluster could not be reached, or refused something.
    Client,
    /// A record could not be dealt with.
    Record,
    /// A sink could not be opened or flushed, or a handler not flushed.
    Sink,
    /// A partition's offsets went back: its log was cut off, or its topic was made anew.
    WentBack,
    /// The flow was told to stop at once.
    Interrupted,
    /// The flow was stopped, and its deadline came before all was done.
    Overdue,
    /// The flow's own code panicked.
    Panicked,
}

/// Short for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), source: None }))
    }

    fn because(mut self, source: Box<dyn error::Error + Send + Sync>) -> Self {
        self.0.source = Some(source);
        self
    }

    /// A record that failed, by its place and key.
    pub(crate) fn record(record: &Record, failure: Failure) -> Self {
        Self::new(ErrorKind::Record, format!("{} failed", record.name())).because(failure.into_source())
    }

    /// What the client could not do.
    pub(crate) fn client(what: impl Into<String>, error: vltava_client::Error) -> Self {
        Self::new(ErrorKind::Client, what).because(Box::new(error))
    }

    /// A partition that is no longer what was read of it.
    pub(crate) fn went_back(partition: &TopicPartition, from: i64, to: i64) -> Self {
        let what = format!(
            "{partition} went back from offset {from} to {to}: its log was cut off, or its topic was made anew; \
             reset the group's offset of it to where to go on, or use another group"
        );
        Self::new(ErrorKind::WentBack, what)
    }

    /// What a sink could not do.
    pub(crate) fn sink(what: impl Into<String>, failure: Failure) -> Self {
        Self::new(ErrorKind::Sink, what).because(failure.into_source())
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The client's error behind this one, if there is one.
    pub fn as_client(&self) -> Option<&vltava_client::Error> {
        self.0.source.as_deref()?.downcast_ref()
    }

    /// Whether starting the flow again may well help.
    pub fn is_retriable(&self) -> bool {
        self.as_client().is_some_and(vltava_client::Error::is_retriable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

/// For people: with all its causes, and what would likely help.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = error::Error::source(self);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        match self.as_client().and_then(vltava_client::Error::likely_fix) {
            Some(fix) => write!(f, "\n  {fix}"),
            None => Ok(()),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
