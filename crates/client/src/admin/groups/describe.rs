//! Who is in a group, and who has what.

use std::sync::Arc;

use bytes::Bytes;
use vltava_core::{TopicPartition, cluster::Target};
use vltava_wire::{
    DecodeError, Decoder, ErrorCode, Version, Wire,
    messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerProtocolAssignment,
        DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember, next_group,
    },
};

use super::{
    super::Admin,
    retriable,
    words::{GroupState, GroupType},
};
use crate::{
    cluster::Attempt,
    error::{Error, ErrorKind, Result},
};

/// What the members of consumer groups call the protocol they speak among each other.
const CONSUMER_PROTOCOL: &str = "consumer";

/// What reading an assignment may allocate.
const ASSIGNMENT_BYTES_MAX: usize = 16 << 20;

/// A group as its coordinator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group: String,
    /// The protocol it speaks with its coordinator.
    pub group_type: GroupType,
    /// Its state.
    pub state: GroupState,
    /// What its members speak among each other; `consumer` for consumer groups.
    pub protocol_type: String,
    /// How partitions are shared out; `range`, say.
    pub protocol: String,
    /// How often it has changed, where the coordinator assigns.
    pub epoch: Option<i32>,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// The name that it keeps over restarts, if it is a static member.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it speaks from.
    pub host: String,
    /// Its epoch, where the coordinator assigns; the group's if it is up to date.
    pub epoch: Option<i32>,
    /// What it was assigned, if the group is one of consumers and, a classic one, stable.
    pub partitions: Vec<TopicPartition>,
    /// What it is to have, where the coordinator assigns; it gets there as others let go.
    pub target: Option<Vec<TopicPartition>>,
}

impl Admin {
    /// A group of either protocol. One that is not there comes as one without members in state
    /// [`Dead`](GroupState::Dead), unless brokers are new enough to refuse it with `GROUP_ID_NOT_FOUND`.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription> {
        match self.describe_consumer_group(group).await {
            // It may be a classic one, and older brokers have no others.
            Ok(None) => self.describe_classic_group(group).await,
            Ok(Some(described)) => Ok(described),
            Err(error) if error.kind() == ErrorKind::Unsupported => self.describe_classic_group(group).await,
            Err(error) => Err(error),
        }
    }

    /// The broker that coordinates a group.
    pub async fn coordinator(&self, group: &str) -> Result<i32> {
        let (context, cluster) = (&self.client.context, &self.client.cluster);
        let deadline = context.now() + context.connection.call_timeout;
        let attempt = Attempt { pool: cluster.pool(), target: Target::Coordinator(group.into()), deadline };
        let node = cluster.locate(&attempt).await;
        node.map(|it| it.0).map_err(|it| it.doing(format!("looking for the coordinator of group {group}")))
    }

    /// A group of KIP-848; none if it is no such group.
    async fn describe_consumer_group(&self, group: &str) -> Result<Option<GroupDescription>> {
        let doing = format!("describing group {group}");
        let request =
            ConsumerGroupDescribeRequest { group_ids: vec![group.to_owned()], ..Default::default() };
        let judge = |answer: &ConsumerGroupDescribeResponse| {
            answer.groups.first().map_or(ErrorCode::None, |it| retriable(it.error_code))
        };
        let target = Target::Coordinator(group.into());
        let answer = self.client.cluster.call(target, &doing, |_| request.clone(), judge).await?;
        let described = answer.groups.into_iter().next();
        let described = described.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        match ErrorCode::from(described.error_code) {
            ErrorCode::None => Ok(Some(next_description(described))),
            ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion => Ok(None),
            code => Err(Error::refused(code).doing(doing)),
        }
    }

    async fn describe_classic_group(&self, group: &str) -> Result<GroupDescription> {
        let doing = format!("describing group {group}");
        let build = |_| DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
        let judge = |answer: &DescribeGroupsResponse| {
            answer.groups.first().map_or(ErrorCode::None, |group| ErrorCode::from(group.error_code))
        };
        let target = Target::Coordinator(group.into());
        let answer = self.client.cluster.call(target, &doing, build, judge).await?;
        let described = answer.groups.into_iter().next();
        described.map(classic_description).ok_or_else(|| Error::new(ErrorKind::Malformed).doing(doing))
    }
}

fn classic_description(group: DescribedGroup) -> GroupDescription {
    let consumers = group.protocol_type == CONSUMER_PROTOCOL;
    let member = |it: DescribedGroupMember| GroupMember {
        member_id: it.member_id,
        instance_id: it.group_instance_id,
        client_id: it.client_id,
        host: it.client_host,
        // Members may write what they like there; what cannot be read is as good as nothing.
        partitions: if consumers { assigned(it.member_assignment).unwrap_or_default() } else { Vec::new() },
        ..GroupMember::default()
    };
    GroupDescription {
        group: group.group_id,
        group_type: GroupType::Classic,
        state: (&*group.group_state).into(),
        protocol_type: group.protocol_type,
        protocol: group.protocol_data,
        epoch: None,
        members: group.members.into_iter().map(member).collect(),
    }
}

fn assigned(bytes: Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let version = |number| Version { number, flexible: false };
    let mut input = Decoder::new(bytes, version(0), ASSIGNMENT_BYTES_MAX);
    let number = i16::decode(&mut input)?;
    input.set_version(version(number));
    let assignment = ConsumerProtocolAssignment::decode(&mut input)?;
    let topics = assignment.assigned_partitions.into_iter();
    Ok(topics.flat_map(|topic| named(topic.topic, topic.partitions)).collect())
}

fn next_description(group: next_group::DescribedGroup) -> GroupDescription {
    let member = |it: next_group::Member| GroupMember {
        member_id: it.member_id,
        instance_id: it.instance_id,
        client_id: it.client_id,
        host: it.client_host,
        epoch: Some(it.member_epoch),
        partitions: next_assigned(it.assignment),
        target: Some(next_assigned(it.target_assignment)),
    };
    GroupDescription {
        group: group.group_id,
        group_type: GroupType::Consumer,
        state: (&*group.group_state).into(),
        protocol_type: CONSUMER_PROTOCOL.to_owned(),
        protocol: group.assignor_name,
        epoch: Some(group.group_epoch),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn next_assigned(assignment: next_group::DescribedAssignment) -> Vec<TopicPartition> {
    let topics = assignment.topic_partitions.into_iter();
    topics.flat_map(|topic| named(topic.topic_name, topic.partitions)).collect()
}

fn named(topic: String, partitions: Vec<i32>) -> impl Iterator<Item = TopicPartition> {
    let name: Arc<str> = topic.into();
    partitions.into_iter().map(move |partition| TopicPartition::new(name.clone(), partition))
}
