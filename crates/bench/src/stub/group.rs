//! A group of one member: whoever joins leads, and gets what it assigned to itself.

use vltava_wire::messages::*;

use super::Shared;

const MEMBER: &str = "the-only-member";

/// Nothing is committed.
const NO_OFFSET: i64 = -1;

pub(super) fn found(request: FindCoordinatorRequest, shared: &Shared) -> FindCoordinatorResponse {
    let (host, port) = (String::from("127.0.0.1"), i32::from(shared.ports[0]));
    let coordinator = |key| Coordinator { key, node_id: 0, host: host.clone(), port, ..Default::default() };
    FindCoordinatorResponse {
        node_id: 0,
        host: host.clone(),
        port,
        coordinators: request.coordinator_keys.into_iter().map(coordinator).collect(),
        ..Default::default()
    }
}

pub(super) fn joined(request: JoinGroupRequest) -> JoinGroupResponse {
    let protocol = request.protocols.into_iter().next().unwrap_or_default();
    let member = JoinGroupResponseMember {
        member_id: String::from(MEMBER),
        group_instance_id: request.group_instance_id,
        metadata: protocol.metadata,
    };
    JoinGroupResponse {
        generation_id: 1,
        protocol_type: Some(request.protocol_type),
        protocol_name: Some(protocol.name),
        leader: String::from(MEMBER),
        member_id: String::from(MEMBER),
        members: vec![member],
        ..Default::default()
    }
}

pub(super) fn synced(request: SyncGroupRequest) -> SyncGroupResponse {
    let own = request.assignments.into_iter().find(|it| it.member_id == MEMBER);
    SyncGroupResponse {
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignment: own.map(|it| it.assignment).unwrap_or_default(),
        ..Default::default()
    }
}

pub(super) fn left(request: LeaveGroupRequest) -> LeaveGroupResponse {
    let member = |it: MemberIdentity| MemberResponse {
        member_id: it.member_id,
        group_instance_id: it.group_instance_id,
        error_code: 0,
    };
    LeaveGroupResponse { members: request.members.into_iter().map(member).collect(), ..Default::default() }
}

pub(super) fn offsets(request: OffsetFetchRequest) -> OffsetFetchResponse {
    let old = |it: OffsetFetchRequestTopic| {
        let partition = |partition_index| OffsetFetchResponsePartition {
            partition_index,
            committed_offset: NO_OFFSET,
            ..Default::default()
        };
        let partitions = it.partition_indexes.into_iter().map(partition).collect();
        OffsetFetchResponseTopic { name: it.name, partitions }
    };
    let topic = |it: OffsetFetchRequestTopics| {
        let partition = |partition_index| OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: NO_OFFSET,
            ..Default::default()
        };
        let partitions = it.partition_indexes.into_iter().map(partition).collect();
        OffsetFetchResponseTopics { name: it.name, topic_id: it.topic_id, partitions }
    };
    let group = |it: OffsetFetchRequestGroup| OffsetFetchResponseGroup {
        group_id: it.group_id,
        topics: it.topics.into_iter().flatten().map(topic).collect(),
        error_code: 0,
    };
    OffsetFetchResponse {
        topics: request.topics.into_iter().flatten().map(old).collect(),
        groups: request.groups.into_iter().map(group).collect(),
        ..Default::default()
    }
}

pub(super) fn committed(request: OffsetCommitRequest) -> OffsetCommitResponse {
    let topic = |it: OffsetCommitRequestTopic| {
        let partition = |it: OffsetCommitRequestPartition| OffsetCommitResponsePartition {
            partition_index: it.partition_index,
            error_code: 0,
        };
        let partitions = it.partitions.into_iter().map(partition).collect();
        OffsetCommitResponseTopic { name: it.name, topic_id: it.topic_id, partitions }
    };
    OffsetCommitResponse { topics: request.topics.into_iter().map(topic).collect(), ..Default::default() }
}
