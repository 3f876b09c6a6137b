//! What a fetch asks for, and how what came is kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use vltava_core::TopicPartition;
use vltava_wire::messages::{
    FetchRequest, FetchResponse,
    fetch::{FetchPartition, FetchTopic},
};

use super::AssignmentId;
use crate::config;

/// While partitions are held back that may want something any moment, a broker that has nothing new does not hold
/// an answer back for longer.
const HELD_BACK_WAIT: Duration = Duration::from_millis(20);

/// Records of a partition that are fewer bytes than this, and a small part of their answer, are copied out of it, so
/// that they do not keep all of it in memory.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// A partition that is fetched from.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) topic_partition: TopicPartition,
    pub(super) assignment: AssignmentId,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
}

/// A fetch outside of any session, while `queued` bytes lie in lanes already.
pub(super) fn request(
    config: &config::Consumer,
    wanted: &[Wanted],
    queued: usize,
    held_back: bool,
) -> FetchRequest {
    let mut topics: BTreeMap<&Arc<str>, Vec<FetchPartition>> = BTreeMap::new();
    for it in wanted {
        let partition = FetchPartition {
            partition: it.topic_partition.partition,
            current_leader_epoch: it.leader_epoch,
            fetch_offset: it.offset,
            partition_max_bytes: number(config.partition_max_bytes),
            ..Default::default()
        };
        topics.entry(&it.topic_partition.topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&Arc<str>, _)| FetchTopic {
        topic: name.to_string(),
        partitions,
        ..Default::default()
    };
    let max_wait = if held_back { config.max_wait.min(HELD_BACK_WAIT) } else { config.max_wait };
    // One batch comes even if it is larger: no partition starves while others fill the memory.
    let room = config.prefetch_bytes.saturating_sub(queued).max(1);
    FetchRequest {
        max_wait_ms: i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: number(config.min_bytes),
        max_bytes: number(config.max_bytes.min(room)),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

/// How many bytes of records an answer has.
pub(super) fn bytes(answer: &FetchResponse) -> usize {
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    partitions.filter_map(|partition| partition.records.as_ref()).map(Bytes::len).sum()
}

/// Records as they are kept: a small part of a large answer is copied.
pub(super) fn own(records: Bytes, answer_bytes: usize) -> Bytes {
    match records.len() {
        small @ ..COPIED_BYTES_MAX if small < answer_bytes / 4 => Bytes::copy_from_slice(&records),
        _ => records,
    }
}

fn number(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
