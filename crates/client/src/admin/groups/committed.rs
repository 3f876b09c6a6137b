//! How far groups have come, and what an administrator has them do next.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vltava_core::{TopicPartition, cluster::Target};
use vltava_wire::{
    ErrorCode,
    messages::{
        OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
        OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetDeleteResponse,
        OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
    },
};

use super::{super::Admin, refused, retriable};
use crate::{
    cluster::{GROUPS_SINCE, Told, told},
    error::{Error, Result},
};

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset to resume from.
    pub offset: i64,
    /// The epoch of the leader that wrote the last record done; below zero if unknown.
    pub leader_epoch: i32,
    /// What was kept beside it.
    pub metadata: String,
}

impl From<i64> for CommittedOffset {
    /// The offset alone.
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: -1, metadata: String::new() }
    }
}

impl Admin {
    /// All that a group has committed.
    pub async fn committed_offsets(&self, group: &str) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let doing = format!("asking for the offsets of group {group}");
        let judge = |answer: &OffsetFetchResponse| {
            let code = answer.groups.first().map_or(answer.error_code, |group| group.error_code);
            ErrorCode::from(code)
        };
        let target = Target::Coordinator(group.into());
        let build = |version| request(group, version);
        let answer = self.client.cluster.call(target, &doing, build, judge).await?;
        committed(answer).map_err(|error| error.doing(doing))
    }

    /// Has a group go on from these offsets, further on or back, and makes it if it is not there. A group with members
    /// is refused. If a partition is refused, the error names it, and the others may have their offsets.
    pub async fn alter_offsets(
        &self,
        group: &str,
        offsets: impl IntoIterator<Item = (TopicPartition, CommittedOffset)>,
    ) -> Result<()> {
        let doing = format!("setting the offsets of group {group}");
        let request = commit(group, offsets);
        if request.topics.is_empty() {
            return Ok(());
        }
        let first_error = |answer: &OffsetCommitResponse| {
            let mut partitions = answer.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|it| (&topic.name, it.partition_index, it.error_code))
            });
            partitions.find(|(.., code)| *code != ErrorCode::None.code()).map(|(topic, partition, code)| {
                (TopicPartition::new(topic.as_str(), partition), ErrorCode::from(code))
            })
        };
        let judge = |answer: &OffsetCommitResponse| match first_error(answer) {
            // The coordinator knows every topic.
            None | Some((_, ErrorCode::UnknownTopicOrPartition)) => ErrorCode::None,
            Some((_, code)) => retriable(code.code()),
        };
        let target = Target::Coordinator(group.into());
        let answer = self.client.cluster.call(target, &doing, |_| request.clone(), judge).await?;
        match first_error(&answer) {
            None => Ok(()),
            Some((at, code)) => Err(refused(group, code, &format!("{doing} for {at}"))),
        }
    }

    /// Has a group forget what it has committed for these partitions. Topics that its members are subscribed to are
    /// refused. If a partition is refused, the error names it, and the others may be forgotten.
    pub async fn delete_offsets(
        &self,
        group: &str,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<()> {
        let doing = format!("deleting offsets of group {group}");
        let request = deletion(group, partitions);
        let target = Target::Coordinator(group.into());
        let judge = |answer: &OffsetDeleteResponse| retriable(answer.error_code);
        let answer = self.client.cluster.call(target, &doing, |_| request.clone(), judge).await?;
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => (),
            code => return Err(refused(group, code, &doing)),
        }
        for topic in &answer.topics {
            let refusal = topic.partitions.iter().find(|it| it.error_code != ErrorCode::None.code());
            if let Some(it) = refusal {
                let doing = format!("{doing} for {}-{}", topic.name, it.partition_index);
                return Err(refused(group, it.error_code.into(), &doing));
            }
        }
        Ok(())
    }
}

fn request(group: &str, version: i16) -> OffsetFetchRequest {
    match version {
        ..GROUPS_SINCE => {
            OffsetFetchRequest { group_id: group.to_owned(), topics: None, ..Default::default() }
        }
        _ => {
            let group =
                OffsetFetchRequestGroup { group_id: group.to_owned(), topics: None, ..Default::default() };
            OffsetFetchRequest { groups: vec![group], ..Default::default() }
        }
    }
}

/// What an answer says, in whichever version. Partitions without an offset are left out.
fn committed(answer: OffsetFetchResponse) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
    let mut all = BTreeMap::new();
    for Told { topic, partition, error, offset, leader_epoch, metadata, .. } in told(answer) {
        let partition = TopicPartition::new(topic, partition);
        match error {
            ErrorCode::None if offset >= 0 => {
                all.insert(partition, CommittedOffset { offset, leader_epoch, metadata });
            }
            ErrorCode::None => (),
            code => return Err(Error::refused(code).doing(format!("asking for the offset of {partition}"))),
        }
    }
    Ok(all)
}

/// The commit of somebody who is no member.
fn commit(
    group: &str,
    offsets: impl IntoIterator<Item = (TopicPartition, CommittedOffset)>,
) -> OffsetCommitRequest {
    let mut topics: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, CommittedOffset { offset, leader_epoch, metadata }) in offsets {
        topics.entry(at.topic).or_default().push(OffsetCommitRequestPartition {
            partition_index: at.partition,
            committed_offset: offset,
            committed_leader_epoch: leader_epoch,
            committed_metadata: Some(metadata),
        });
    }
    let topic = |(name, partitions): (Arc<str>, _)| OffsetCommitRequestTopic {
        name: name.to_string(),
        partitions,
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

fn deletion(group: &str, partitions: impl IntoIterator<Item = TopicPartition>) -> OffsetDeleteRequest {
    let mut topics: BTreeMap<_, BTreeSet<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(at.topic).or_default().insert(at.partition);
    }
    let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
    let topic = |(name, partitions): (Arc<str>, BTreeSet<i32>)| OffsetDeleteRequestTopic {
        name: name.to_string(),
        partitions: partitions.into_iter().map(partition).collect(),
    };
    OffsetDeleteRequest { group_id: group.to_owned(), topics: topics.into_iter().map(topic).collect() }
}
