//! What went wrong: what was being done, with which broker, what happened, and what would likely help.

use std::{fmt, sync::Arc};

use vltava_wire::{Class, ErrorCode};

use crate::net::Address;

/// The result of whatever this crate does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done. Cheap to clone: all records of a batch fail by the same one.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    doing: Option<String>,
    broker: Option<Broker>,
    what: Option<String>,
    fix: Option<String>,
    maybe_written: bool,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The broker an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broker {
    /// Its node id; none for an address that the user gave.
    pub(crate) node: Option<i32>,
    /// Where it was, or was to be, reached.
    pub(crate) address: Address,
}

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for makes no sense as it stands; nothing was sent.
    Config,
    /// The name of a host could not be resolved.
    Dns,
    /// No connection came about.
    Tcp,
    /// A connection ended while an answer was due.
    Disconnected,
    /// An answer or a condition did not come in time.
    TimedOut,
    /// A broker sent what is no Kafka message, or not the one that was due.
    Malformed,
    /// The broker speaks no version of what is needed.
    Unsupported,
    /// The broker answered with an error.
    Refused(ErrorCode),
    /// The topic or partition is not there.
    UnknownTopic,
    /// A record is larger than may be sent.
    TooLarge,
    /// A fetched batch is damaged or cannot be decompressed.
    Corrupt,
    /// There is no offset to start from, and no rule that says where to start.
    NoOffset,
    /// The end of a log was lost after it was read: a leader was elected that did not have it.
    LogTruncated {
        /// What was read from this offset on is another's now; none if the log does not say.
        safe_offset: Option<i64>,
    },
    /// The assignment of a partition has ended.
    Retired,
    /// It could only be done by waiting, which was not wanted.
    WouldBlock,
    /// The user dropped it before it was done.
    Purged,
    /// The client, producer or consumer was shut down.
    Closed,
}

/// How far a connection came before it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the host's name.
    Dns,
    /// Opening the connection.
    Tcp,
    /// Talking Kafka over it.
    Api,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        let (doing, broker, what, fix, source) = (None, None, None, None, None);
        Self(Arc::new(Inner { kind, doing, broker, what, fix, maybe_written: false, source }))
    }

    pub(crate) fn refused(code: ErrorCode) -> Self {
        Self::new(ErrorKind::Refused(code))
    }

    /// Says what was being done, unless that is known already.
    pub(crate) fn doing(mut self, doing: impl Into<String>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.doing.get_or_insert_with(|| doing.into());
        self
    }

    /// Says with which broker, unless that is known already.
    pub(crate) fn with(mut self, broker: &Broker) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.broker.get_or_insert_with(|| broker.clone());
        self
    }

    /// Says what happened, in more words than the kind has.
    pub(crate) fn what(mut self, what: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).what = Some(what.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).fix = Some(fix.into());
        self
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    pub(crate) fn written_perhaps(mut self, maybe_written: bool) -> Self {
        Arc::make_mut(&mut self.0).maybe_written = maybe_written;
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The broker's error code, if a broker answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Refused(code) => Some(code),
            _ => None,
        }
    }

    /// How far the connection came; none if the error is not about one.
    pub fn phase(&self) -> Option<Phase> {
        match self.0.kind {
            ErrorKind::Dns => Some(Phase::Dns),
            ErrorKind::Tcp => Some(Phase::Tcp),
            ErrorKind::Disconnected | ErrorKind::TimedOut | ErrorKind::Malformed => {
                self.0.broker.as_ref().map(|_| Phase::Api)
            }
            ErrorKind::Unsupported | ErrorKind::Refused(_) => Some(Phase::Api),
            _ => None,
        }
    }

    /// The address of the broker it is about: the one given by the user, or the one the broker advertises.
    pub fn address(&self) -> Option<&Address> {
        self.0.broker.as_ref().map(|broker| &broker.address)
    }

    /// What would likely help.
    pub fn likely_fix(&self) -> Option<&str> {
        self.0.fix.as_deref()
    }

    /// Whether the same thing may well succeed when it is tried again.
    pub fn is_retriable(&self) -> bool {
        match self.0.kind {
            ErrorKind::Dns | ErrorKind::Tcp | ErrorKind::Disconnected | ErrorKind::TimedOut => true,
            ErrorKind::WouldBlock => true,
            ErrorKind::Refused(code) => code.is_retriable(),
            _ => false,
        }
    }

    /// Whether whoever did this cannot go on: it was fenced off by another, or shut down.
    pub fn is_fatal(&self) -> bool {
        match self.0.kind {
            ErrorKind::Closed => true,
            ErrorKind::Refused(code) => code.class() == Class::Fenced,
            _ => false,
        }
    }

    /// Whether the broker may have done what was asked, though no answer says so.
    pub fn maybe_written(&self) -> bool {
        self.0.maybe_written
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, doing, broker, what, .. } = &*self.0;
        if let Some(doing) = doing {
            write!(f, "{doing}: ")?;
        }
        if let Some(broker) = broker {
            write!(f, "{broker}: ")?;
        }
        match self.phase() {
            Some(Phase::Dns) => write!(f, "dns: ")?,
            Some(Phase::Tcp) => write!(f, "tcp: ")?,
            Some(Phase::Api) | None => (),
        }
        match what {
            Some(what) => write!(f, "{what}"),
            None => write!(f, "{kind}"),
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "broker {node}, which advertises {}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Config => "the configuration makes no sense",
            Self::Dns => "the name cannot be resolved",
            Self::Tcp => "no connection",
            Self::Disconnected => "the connection ended before the answer came",
            Self::TimedOut => "no answer in time",
            Self::Malformed => "the answer is not what Kafka's protocol says",
            Self::Unsupported => "the broker speaks no version that is understood here",
            Self::Refused(code) => return write!(f, "{code}"),
            Self::UnknownTopic => "the topic or partition is not there",
            Self::TooLarge => "the record is too large",
            Self::Corrupt => "the batch is damaged",
            Self::NoOffset => "there is no offset to start from",
            Self::LogTruncated { .. } => "what was read is no longer in the log",
            Self::Retired => "the assignment has ended",
            Self::WouldBlock => "it would have to wait",
            Self::Purged => "dropped before it was done",
            Self::Closed => "already shut down",
        };
        f.write_str(text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, doing, broker, what, fix, maybe_written, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("doing", doing)
            .field("broker", broker)
            .field("what", what)
            .field("fix", fix)
            .field("maybe_written", maybe_written)
            .field("source", source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(node: Option<i32>) -> Broker {
        Broker { node, address: "10.0.0.5:9093".parse().expect("an address") }
    }

    #[test]
    fn an_error_says_what_was_done_with_whom_and_what_happened() {
        let advertised = Error::new(ErrorKind::Tcp).what("refused").with(&broker(Some(2))).doing("fetching");
        assert_eq!(
            advertised.to_string(),
            "fetching: broker 2, which advertises 10.0.0.5:9093: tcp: refused"
        );
        let given = Error::new(ErrorKind::TimedOut).with(&broker(None));
        assert_eq!(given.to_string(), "10.0.0.5:9093: no answer in time");
        assert_eq!(given.phase(), Some(Phase::Api));
    }

    #[test]
    fn the_first_to_say_what_was_done_knows_best() {
        let error = Error::new(ErrorKind::Closed).doing("inner").doing("outer");
        assert_eq!(error.to_string(), "inner: already shut down");
    }

    #[test]
    fn what_can_be_tried_again_and_what_ends_everything() {
        for (kind, retriable, fatal) in [
            (ErrorKind::Disconnected, true, false),
            (ErrorKind::Config, false, false),
            (ErrorKind::WouldBlock, true, false),
            (ErrorKind::Closed, false, true),
            (ErrorKind::Refused(ErrorCode::NotLeaderOrFollower), true, false),
            (ErrorKind::Refused(ErrorCode::ProducerFenced), false, true),
            (ErrorKind::Refused(ErrorCode::MessageTooLarge), false, false),
        ] {
            let error = Error::new(kind);
            assert_eq!((error.is_retriable(), error.is_fatal()), (retriable, fatal), "{kind:?}");
        }
    }
}
