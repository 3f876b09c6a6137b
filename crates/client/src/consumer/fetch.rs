//! How what a fetch brought is kept until its reader takes it.

use bytes::Bytes;
use vltava_core::{
    TopicPartition,
    fetch::{Failure, Fetched, Isolation, Visible},
};
use vltava_wire::{ErrorCode, messages::FetchResponse, record};

use super::lane::Item;
use crate::error::{Error, ErrorKind};

/// Records of a partition that are fewer bytes than this, and a small part of their answer, are copied out of it, so
/// that they do not keep all of it in memory.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// How many bytes of records an answer has.
pub(super) fn bytes(answer: &FetchResponse) -> usize {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum()
}

/// The whole batches that came, for the lane of their partition, and whether they were copied out of their answer,
/// which has `answer_bytes`.
pub(super) fn items(fetched: Fetched, answer_bytes: usize, isolation: Isolation) -> (Vec<Item>, bool) {
    let Fetched { records, from, ends, aborted, .. } = fetched;
    let mut items = Vec::new();
    if isolation == Isolation::ReadCommitted {
        items.push(Item::Visible(Visible::new(aborted)));
    }
    let is_copied = records.len() < COPIED_BYTES_MAX && records.len() < answer_bytes / 4;
    let records = if is_copied { Bytes::copy_from_slice(&records) } else { records };
    let whole = record::batches(records).map_while(Result::ok);
    let wanted = whole.filter(|batch| batch.last_offset() >= from);
    let high_watermark = ends.high_watermark;
    items.extend(wanted.map(|batch| Item::Batch { batch, high_watermark }));
    (items, is_copied)
}

/// Why reading has stopped at `offset`.
pub(super) fn failure(partition: &TopicPartition, offset: Option<i64>, failure: Failure) -> Error {
    let at = offset.map_or_else(String::new, |offset| format!(" at offset {offset}"));
    let error = match failure {
        Failure::Truncated { safe } => truncated(safe),
        Failure::Refused(code) => refused(code),
    };
    error.doing(format!("reading {partition}{at}"))
}

fn truncated(safe_offset: Option<i64>) -> Error {
    let since = safe_offset.map_or_else(String::new, |safe| format!(" from offset {safe} on"));
    Error::new(ErrorKind::LogTruncated { safe_offset })
        .what(format!(
            "what was read is no longer in the log{since}: a leader was elected that did not have it"
        ))
        .fix("start at the first offset that is another's, or say by `start` to go on there")
}

fn refused(code: ErrorCode) -> Error {
    match code {
        ErrorCode::OffsetOutOfRange => Error::new(ErrorKind::NoOffset)
            .what("the log does not have this offset, or not any more")
            .fix("start elsewhere, or say by `start` where to start then"),
        ErrorCode::CorruptMessage => {
            Error::new(ErrorKind::Corrupt).fix("have the broker's disk checked; other replicas may be intact")
        }
        ErrorCode::TopicAuthorizationFailed => {
            Error::refused(code).fix("have the user allowed to read the topic")
        }
        ErrorCode::InconsistentTopicId => Error::refused(code)
            .what("the topic was deleted and made anew since it was last read")
            .fix("start at an offset of the new topic, or say by `start` where to start then"),
        code => Error::refused(code),
    }
}
