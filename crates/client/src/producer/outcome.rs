//! What became of a batch, in the words of an error.

use std::time::Duration;

use vltava_core::{
    TopicPartition,
    produce::{Failure, Reason},
};
use vltava_wire::ErrorCode;

use crate::error::{Error, ErrorKind};

/// The error that a batch's records fail with. `trouble` is the latest that went wrong on the way to a broker.
pub(super) fn error(
    partition: &TopicPartition,
    failure: Failure,
    timeout: Duration,
    trouble: Option<&Error>,
) -> Error {
    let maybe_written = failure.maybe_written;
    let error = match failure.reason {
        Reason::Refused(code) => refused(code),
        Reason::Expired(Some(code @ (ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId))) => {
            let what = format!("{code}, and that for {timeout:?}");
            Error::new(ErrorKind::UnknownTopic).what(what).fix("see whether the topic was deleted")
        }
        Reason::Expired(last) => expired(last, timeout, trouble),
        Reason::Orphaned => Error::new(ErrorKind::Disconnected)
            .what("a batch before it was given up, and no answer tells whether this one is written"),
        Reason::Overtaken => Error::refused(ErrorCode::OutOfOrderSequenceNumber)
            .what("a later batch is written and the broker no longer takes this one: not written, to keep the order"),
        Reason::Anonymous => trouble.cloned().unwrap_or_else(|| Error::new(ErrorKind::Unsupported)),
        Reason::Encoding(error) => {
            Error::new(ErrorKind::Config).what("the batch cannot be written").because(error)
        }
        Reason::Fatal(ErrorCode::RequestTimedOut) => {
            Error::new(ErrorKind::Closed).what("given up, as the producer was shut down")
        }
        Reason::Fatal(code) => refused(code),
    };
    error.doing(format!("producing to {partition}")).written_perhaps(maybe_written)
}

fn refused(code: ErrorCode) -> Error {
    let error = Error::refused(code);
    match code {
        ErrorCode::MessageTooLarge => error.fix("lower batch_bytes, or raise max.message.bytes of the topic"),
        ErrorCode::UnsupportedCompressionType => error.fix("choose a compression that the broker knows"),
        ErrorCode::TopicAuthorizationFailed => error.fix("have the user allowed to write to the topic"),
        _ => error,
    }
}

fn expired(last: Option<ErrorCode>, timeout: Duration, trouble: Option<&Error>) -> Error {
    let late = Error::new(ErrorKind::TimedOut);
    match (last, trouble) {
        (Some(code), _) => {
            late.what(format!("not delivered within {timeout:?}; the broker last said {code}"))
        }
        (None, Some(trouble)) => {
            late.what(format!("not delivered within {timeout:?}; {trouble}")).because(trouble.clone())
        }
        (None, None) => late.what(format!("not delivered within {timeout:?}")),
    }
}
