//! OffsetFetch, versions 1 to 10: how far groups have come. From 8 on a request names many groups, from 10 on
//! topics go by id.
//!
//! A partition without a committed offset is answered with offset -1 and no error, also if there is no such
//! partition; from 10 on an unknown id is an error. A member of KIP-848 (9) is told of its own epoch only. There are no transactions, so every offset is stable. The
//! response leaves when what it tells is settled.

use std::collections::{BTreeMap, BTreeSet};

use vltava_core::{
    TopicPartition,
    planted::{Plant, planted},
};
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
        OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
    },
};

use crate::{
    call::{Answer, Call},
    ledger::offsets::Commit,
    log::Log,
};

/// From this version on a request names many groups.
const GROUPS_SINCE: i16 = 8;

/// From this version on a request may fail as a whole.
const WHOLE_SINCE: i16 = 2;

/// From this version on topics go by id.
const IDS_SINCE: i16 = 10;

pub(crate) fn answer(call: Call<'_>, request: OffsetFetchRequest) -> Answer<OffsetFetchResponse> {
    let version = call.version;
    let mut groups = if version >= GROUPS_SINCE { request.groups } else { vec![single(request)] };
    // A group that is asked for many times is told once, so that a small request gets no huge response.
    let mut seen = BTreeSet::new();
    groups.retain(|group| seen.insert(group.group_id.clone()));
    let (node, at) = (call.node.clone(), call.peer.node);
    Answer::Later(Box::pin(async move {
        let fetch = |group: OffsetFetchRequestGroup| {
            if node.coordinator_of(&group.group_id) != at {
                return not_here(version, group);
            }
            match node.coordinator.ask(|groups, _| groups.on_offset_fetch(&group)).answer {
                Ok(()) => fetch(&node.log, version, group),
                Err(code) => failed(group.group_id, code),
            }
        };
        let groups: Vec<_> = groups.into_iter().map(fetch).collect();
        let settled = match planted(Plant::CommitToldUnsynced) {
            true => Ok(()),
            false => node.ledger_settled().await,
        };
        let groups = match settled {
            Ok(()) => groups,
            Err(code) => groups.into_iter().map(|group| failed(group.group_id, code)).collect(),
        };
        if version >= GROUPS_SINCE {
            return OffsetFetchResponse { groups, ..Default::default() };
        }
        groups.into_iter().next().map(unwrapped).unwrap_or_default()
    }))
}

/// The one group of an early version, in the form of the later ones.
fn single(request: OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.map(|topics| {
        let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
            name: topic.name,
            topic_id: Uuid::ZERO,
            partition_indexes: topic.partition_indexes,
        };
        topics.into_iter().map(topic).collect()
    });
    OffsetFetchRequestGroup { group_id: request.group_id, topics, ..Default::default() }
}

fn unwrapped(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |it: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: it.partition_index,
        committed_offset: it.committed_offset,
        committed_leader_epoch: it.committed_leader_epoch,
        metadata: it.metadata,
        error_code: it.error_code,
    };
    let topic = |it: OffsetFetchResponseTopics| OffsetFetchResponseTopic {
        name: it.name,
        partitions: it.partitions.into_iter().map(partition).collect(),
    };
    let topics = group.topics.into_iter().map(topic).collect();
    OffsetFetchResponse { topics, error_code: group.error_code, ..Default::default() }
}

fn fetch(log: &Log, version: i16, asked: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let group_id = asked.group_id;
    let topics = match asked.topics {
        None => everything(log, &group_id),
        Some(topics) => topics.into_iter().map(|topic| named(log, version, &group_id, topic)).collect(),
    };
    OffsetFetchResponseGroup { group_id, topics, error_code: ErrorCode::None.code() }
}

/// All that a group has committed.
fn everything(log: &Log, group_id: &str) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: BTreeMap<&str, Vec<OffsetFetchResponsePartitions>> = BTreeMap::new();
    let all = log.all_committed(group_id);
    for (at, commit) in &all {
        topics.entry(&at.topic).or_default().push(partition(at.partition, Some(commit)));
    }
    let topic = |(name, partitions): (&str, _)| OffsetFetchResponseTopics {
        name: name.to_owned(),
        topic_id: log.topic(name).map_or(Uuid::ZERO, |topic| topic.id),
        partitions,
    };
    topics.into_iter().map(topic).collect()
}

fn named(
    log: &Log,
    version: i16,
    group_id: &str,
    asked: OffsetFetchRequestTopics,
) -> OffsetFetchResponseTopics {
    let known = if version < IDS_SINCE {
        Some(asked.name.as_str().into())
    } else {
        log.topic_with_id(asked.topic_id).map(|topic| topic.name.clone())
    };
    let answer = |index: i32| match &known {
        Some(name) => {
            partition(index, log.committed(group_id, &TopicPartition::new(name.clone(), index)).as_ref())
        }
        None => OffsetFetchResponsePartitions {
            error_code: ErrorCode::UnknownTopicId.code(),
            ..partition(index, None)
        },
    };
    let partitions = asked.partition_indexes.into_iter().map(answer).collect();
    OffsetFetchResponseTopics { name: asked.name, topic_id: asked.topic_id, partitions }
}

fn partition(partition_index: i32, commit: Option<&Commit>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: commit.map_or(-1, |commit| commit.offset),
        committed_leader_epoch: commit.map_or(-1, |commit| commit.leader_epoch),
        metadata: Some(commit.map_or_else(String::new, |commit| commit.metadata.clone())),
        error_code: ErrorCode::None.code(),
    }
}

/// What is told of a group that another node coordinates.
fn not_here(version: i16, asked: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let code = ErrorCode::NotCoordinator;
    if version >= WHOLE_SINCE {
        return failed(asked.group_id, code);
    }
    let refused = |index| OffsetFetchResponsePartitions { error_code: code.code(), ..partition(index, None) };
    let topic = |it: OffsetFetchRequestTopics| OffsetFetchResponseTopics {
        name: it.name,
        topic_id: Uuid::ZERO,
        partitions: it.partition_indexes.into_iter().map(refused).collect(),
    };
    let topics = asked.topics.into_iter().flatten().map(topic).collect();
    OffsetFetchResponseGroup { group_id: asked.group_id, topics, error_code: ErrorCode::None.code() }
}

fn failed(group_id: String, code: ErrorCode) -> OffsetFetchResponseGroup {
    OffsetFetchResponseGroup { group_id, topics: Vec::new(), error_code: code.code() }
}
