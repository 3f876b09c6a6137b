//! What a coordinator tells of committed offsets: one shape for the two that its answers have.

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{OffsetFetchResponse, OffsetFetchResponsePartition, OffsetFetchResponsePartitions},
};

/// The first version of OffsetFetch that asks for several groups.
pub(crate) const GROUPS_SINCE: i16 = 8;

/// What is told of one partition.
pub(crate) struct Told {
    /// Empty where topics go by id.
    pub(crate) topic: String,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) error: ErrorCode,
    /// Below zero if nothing was committed.
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// What is told of each partition, of whichever group. Errors of the answer and of groups are for the caller to see.
pub(crate) fn told(answer: OffsetFetchResponse) -> impl Iterator<Item = Told> {
    let alone = answer.topics.into_iter().flat_map(|topic| {
        let partitions = topic.partitions.into_iter();
        partitions.map(move |it| alone(&topic.name, it))
    });
    let topics = answer.groups.into_iter().flat_map(|group| group.topics);
    let grouped = topics.flat_map(|topic| {
        let partitions = topic.partitions.into_iter();
        partitions.map(move |it| grouped(&topic.name, topic.topic_id, it))
    });
    alone.chain(grouped)
}

fn alone(topic: &str, it: OffsetFetchResponsePartition) -> Told {
    Told {
        topic: topic.to_owned(),
        topic_id: Uuid::ZERO,
        partition: it.partition_index,
        error: it.error_code.into(),
        offset: it.committed_offset,
        leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata.unwrap_or_default(),
    }
}

fn grouped(topic: &str, topic_id: Uuid, it: OffsetFetchResponsePartitions) -> Told {
    Told {
        topic: topic.to_owned(),
        topic_id,
        partition: it.partition_index,
        error: it.error_code.into(),
        offset: it.committed_offset,
        leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata.unwrap_or_default(),
    }
}
