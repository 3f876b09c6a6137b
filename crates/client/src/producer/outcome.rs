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
        Reason::Refused(code, message) => refused(code, message),
        Reason::TooLarge { bytes, message } => too_large(bytes, message),
        Reason::Expired(Some(code @ (ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId))) => {
            let what = format!("{code}, and that for {timeout:?}");
            Error::new(ErrorKind::UnknownTopic).what(what).fix("see whether the topic was deleted")
        }
        Reason::Expired(last) => expired(last, timeout, trouble),
        Reason::Orphaned => Error::new(ErrorKind::Disconnected)
            .what("a batch before it was given up, and no answer tells whether this one is written"),
        Reason::Overtaken => Error::refused(ErrorCode::OutOfOrderSequenceNumber)
            .what("a later batch is written and the broker no longer takes this one: not written, to keep the order"),
        Reason::Purged => Error::new(ErrorKind::Purged),
        Reason::Anonymous => trouble.cloned().unwrap_or_else(|| Error::new(ErrorKind::Unsupported)),
        Reason::Encoding(error) => {
            Error::new(ErrorKind::Config).what("the batch cannot be written").because(error)
        }
        Reason::Fatal(ErrorCode::RequestTimedOut) => {
            Error::new(ErrorKind::Closed).what("given up, as the producer was shut down")
        }
        Reason::Fatal(code) => refused(code, None),
    };
    error.doing(format!("producing to {partition}")).written_perhaps(maybe_written)
}

fn refused(code: ErrorCode, message: Option<String>) -> Error {
    let error = Error::refused(code);
    let error = match message {
        Some(message) => error.what(format!("{code}: {message}")),
        None => error,
    };
    match code {
        ErrorCode::UnsupportedCompressionType => error.fix("choose a compression that the broker knows"),
        ErrorCode::TopicAuthorizationFailed => error.fix("have the user allowed to write to the topic"),
        _ => error,
    }
}

/// A broker that does not say so keeps its limit to itself.
fn too_large(bytes: usize, message: Option<String>) -> Error {
    let limit = message.unwrap_or_else(|| "the limit is max.message.bytes of the topic".to_owned());
    let what =
        format!("a record of {bytes} bytes, its batch included, is larger than the broker takes: {limit}");
    Error::new(ErrorKind::TooLarge)
        .what(what)
        .fix("raise max.message.bytes of the topic, or send smaller records")
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
