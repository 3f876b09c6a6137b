//! Listing and describing consumer groups.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use vltava_core::{TopicPartition, cluster::Target};
use vltava_wire::{
    DecodeError, Decoder, ErrorCode, Version, Wire,
    messages::{
        ConsumerProtocolAssignment, DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
        DescribedGroupMember, ListGroupsRequest, ListGroupsResponse,
    },
};

use super::Admin;
use crate::error::{Error, ErrorKind, Result};

/// What the members of consumer groups call the protocol they speak among each other.
const CONSUMER_PROTOCOL: &str = "consumer";

/// What reading an assignment may allocate.
const ASSIGNMENT_BYTES_MAX: usize = 16 << 20;

/// A group as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub group: String,
    /// What its members speak among each other; `consumer` for consumer groups.
    pub protocol_type: String,
    /// Its state; empty where brokers are too old to say.
    pub state: String,
    /// The broker that coordinates it.
    pub coordinator: i32,
}

/// A group as its coordinator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub group: String,
    /// Its state, in Kafka's words: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub state: String,
    /// What its members speak among each other; `consumer` for consumer groups.
    pub protocol_type: String,
    /// How partitions are shared out; `range`, say.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// The id its coordinator gave it.
    pub member_id: String,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it speaks from.
    pub host: String,
    /// What it was assigned, if the group is one of consumers and stable.
    pub partitions: Vec<TopicPartition>,
}

impl Admin {
    /// Every group of every broker, by name.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>> {
        let cluster = &self.client.cluster;
        let mut groups = BTreeMap::new();
        for node in cluster.nodes() {
            let judge = |answer: &ListGroupsResponse| ErrorCode::from(answer.error_code);
            let build = |_| ListGroupsRequest::default();
            let answer = cluster.call(Target::Node(node), "listing groups", build, judge).await?;
            for it in answer.groups {
                let (protocol_type, state) = (it.protocol_type, it.group_state);
                let listing =
                    GroupListing { group: it.group_id.clone(), protocol_type, state, coordinator: node.0 };
                groups.insert(it.group_id, listing);
            }
        }
        Ok(groups.into_values().collect())
    }

    /// A group. One that is not there comes as one without members in state `Dead`, unless brokers are new enough
    /// to refuse it with `GROUP_ID_NOT_FOUND`.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription> {
        let doing = format!("describing group {group}");
        let build = |_| DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
        let judge = |answer: &DescribeGroupsResponse| {
            answer.groups.first().map_or(ErrorCode::None, |group| ErrorCode::from(group.error_code))
        };
        let target = Target::Coordinator(group.into());
        let answer = self.client.cluster.call(target, &doing, build, judge).await?;
        let described = answer.groups.into_iter().next();
        described.map(description).ok_or_else(|| Error::new(ErrorKind::Malformed).doing(doing))
    }
}

fn description(group: DescribedGroup) -> GroupDescription {
    let consumers = group.protocol_type == CONSUMER_PROTOCOL;
    let member = |it: DescribedGroupMember| GroupMember {
        member_id: it.member_id,
        client_id: it.client_id,
        host: it.client_host,
        // Members may write what they like there; what cannot be read is as good as nothing.
        partitions: if consumers { assigned(it.member_assignment).unwrap_or_default() } else { Vec::new() },
    };
    GroupDescription {
        group: group.group_id,
        state: group.group_state,
        protocol_type: group.protocol_type,
        protocol: group.protocol_data,
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
    let named = assignment.assigned_partitions.into_iter().flat_map(|topic| {
        let name: Arc<str> = topic.topic.into();
        topic.partitions.into_iter().map(move |partition| TopicPartition::new(name.clone(), partition))
    });
    Ok(named.collect())
}
