//! OffsetCommit, versions 2 to 10: how far a group has come. From 9 on also of KIP-848, from 10 on topics go by id.
//!
//! Anyone may commit for a group without members, which is how consumers with assigned partitions do it. The
//! response leaves when the commit is settled. Offsets are kept until their topic is deleted, or nobody has needed them
//! for as long as all are kept; a retention time of their own (2 to 4) is not served.

use vltava_core::{Timestamp, TopicPartition};
use vltava_wire::{
    ErrorCode,
    messages::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
        OffsetCommitResponsePartition, OffsetCommitResponseTopic,
    },
};

use crate::{
    call::{Answer, Call},
    ledger::{offsets::Commit, topics::Topic},
    node::Node,
};

/// From this version on topics go by id.
const IDS_SINCE: i16 = 10;

/// From this version on members of KIP-848 may commit.
const MEMBER_EPOCH_SINCE: i16 = 9;

/// Kafka's `offset.metadata.max.bytes`, which it counts in UTF-16 units.
const METADATA_UNITS_MAX: usize = 4096;

pub(crate) fn answer(call: Call<'_>, request: OffsetCommitRequest) -> Answer<OffsetCommitResponse> {
    // The commit is noted under the lock of the groups: none that was allowed comes after a rebalance.
    let asked = call.node.coordinator.ask(|groups, now| {
        let coordinated = call.check_coordinator(&request.group_id);
        let allowed = coordinated.and_then(|()| groups.on_commit(now, &request));
        let allowed = allowed.map_err(|code| match code {
            ErrorCode::StaleMemberEpoch if call.version < MEMBER_EPOCH_SINCE => ErrorCode::UnsupportedVersion,
            code => code,
        });
        commit(call.node, call.version, allowed, request)
    });
    asked.answer
}

fn commit(
    node: &Node,
    version: i16,
    allowed: Result<(), ErrorCode>,
    request: OffsetCommitRequest,
) -> Answer<OffsetCommitResponse> {
    let wall = node.clock.wall();
    let mut commits = Vec::new();
    let mut answer = |asked| match allowed {
        Ok(()) => check_topic(node, version, wall, asked, &mut commits),
        Err(code) => refused_topic(asked, code),
    };
    let topics = request.topics.into_iter().map(&mut answer).collect();
    let response = OffsetCommitResponse { topics, ..Default::default() };
    if commits.is_empty() {
        return Answer::Now(response);
    }
    match node.log.commit_offsets(&request.group_id, &commits) {
        Ok(position) => {
            let settled = node.settled(position);
            Answer::Later(Box::pin(async move {
                match settled.await {
                    Ok(()) => response,
                    Err(code) => all_failed(response, code),
                }
            }))
        }
        Err(refused) => Answer::Now(all_failed(response, refused.code())),
    }
}

/// Adds what of a topic is to be committed; says what is answered once it is.
fn check_topic(
    node: &Node,
    version: i16,
    timestamp: Timestamp,
    asked: OffsetCommitRequestTopic,
    commits: &mut Vec<(TopicPartition, Commit)>,
) -> OffsetCommitResponseTopic {
    let topic = match node.find_topic(&asked.name, asked.topic_id, version >= IDS_SINCE) {
        Ok(topic) => topic,
        Err(code) => return refused_topic(asked, code),
    };
    let mut partitions = Vec::new();
    for partition in asked.partitions {
        let outcome = check_partition(&topic, &partition);
        partitions.push(answer_partition(&partition, outcome.err().unwrap_or(ErrorCode::None)));
        if outcome.is_ok() {
            let at = TopicPartition::new(topic.name.clone(), partition.partition_index);
            let commit = Commit {
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.committed_metadata.unwrap_or_default(),
                timestamp,
            };
            commits.push((at, commit));
        }
    }
    OffsetCommitResponseTopic { name: asked.name, topic_id: asked.topic_id, partitions }
}

fn check_partition(topic: &Topic, asked: &OffsetCommitRequestPartition) -> Result<(), ErrorCode> {
    if !(0..topic.partitions()).contains(&asked.partition_index) {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let metadata = asked.committed_metadata.as_deref().unwrap_or_default();
    if metadata.encode_utf16().count() > METADATA_UNITS_MAX {
        return Err(ErrorCode::OffsetMetadataTooLarge);
    }
    Ok(())
}

fn refused_topic(asked: OffsetCommitRequestTopic, code: ErrorCode) -> OffsetCommitResponseTopic {
    let partitions = asked.partitions.iter().map(|partition| answer_partition(partition, code)).collect();
    OffsetCommitResponseTopic { name: asked.name, topic_id: asked.topic_id, partitions }
}

fn answer_partition(asked: &OffsetCommitRequestPartition, code: ErrorCode) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition { partition_index: asked.partition_index, error_code: code.code() }
}

/// Nothing was kept: what had been accepted fails, what had been refused stays so.
fn all_failed(mut response: OffsetCommitResponse, code: ErrorCode) -> OffsetCommitResponse {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        partition.error_code = code.code();
    }
    response
}
