//! Consumer groups of the classic protocol, and what members tell each other inside it.

use bytes::Bytes;

crate::messages! {
    pub struct FindCoordinatorRequest {
        #[required] key: String => 0..=3;
        #[required] key_type: i8 => 1..;
        #[required] coordinator_keys: Vec<String> => 4..;
    }

    pub struct FindCoordinatorResponse {
        throttle_time_ms: i32 => 1..;
        #[required] error_code: i16 => 0..=3;
        error_message: Option<String> = Some(Default::default()) => 1..=3;
        #[required] node_id: i32 => 0..=3;
        #[required] host: String => 0..=3;
        #[required] port: i32 => 0..=3;
        #[required] coordinators: Vec<Coordinator> => 4..;
    }

    pub struct Coordinator {
        key: String => 4..;
        node_id: i32 => 4..;
        host: String => 4..;
        port: i32 => 4..;
        error_code: i16 => 4..;
        error_message: Option<String> = Some(Default::default()) => 4..;
    }

    pub struct JoinGroupRequest {
        group_id: String => 0..;
        session_timeout_ms: i32 => 0..;
        rebalance_timeout_ms: i32 = -1 => 1..;
        member_id: String => 0..;
        #[required] group_instance_id: Option<String> => 5..;
        protocol_type: String => 0..;
        protocols: Vec<JoinGroupRequestProtocol> => 0..;
        reason: Option<String> => 8..;
    }

    pub struct JoinGroupRequestProtocol {
        name: String => 0..;
        metadata: Bytes => 0..;
    }

    pub struct JoinGroupResponse {
        throttle_time_ms: i32 => 2..;
        error_code: i16 => 0..;
        generation_id: i32 = -1 => 0..;
        protocol_type: Option<String> => 7..;
        protocol_name: Option<String> = Some(Default::default()) => 0.., nullable 7..;
        leader: String => 0..;
        #[required] skip_assignment: bool => 9..;
        member_id: String => 0..;
        members: Vec<JoinGroupResponseMember> => 0..;
    }

    pub struct JoinGroupResponseMember {
        member_id: String => 0..;
        group_instance_id: Option<String> => 5..;
        metadata: Bytes => 0..;
    }

    pub struct HeartbeatRequest {
        group_id: String => 0..;
        generation_id: i32 => 0..;
        member_id: String => 0..;
        #[required] group_instance_id: Option<String> => 3..;
    }

    pub struct HeartbeatResponse {
        throttle_time_ms: i32 => 1..;
        error_code: i16 => 0..;
    }

    pub struct LeaveGroupRequest {
        group_id: String => 0..;
        #[required] member_id: String => 0..=2;
        #[required] members: Vec<MemberIdentity> => 3..;
    }

    pub struct MemberIdentity {
        member_id: String => 3..;
        group_instance_id: Option<String> => 3..;
        reason: Option<String> => 5..;
    }

    pub struct LeaveGroupResponse {
        throttle_time_ms: i32 => 1..;
        error_code: i16 => 0..;
        #[required] members: Vec<MemberResponse> => 3..;
    }

    pub struct MemberResponse {
        member_id: String => 3..;
        group_instance_id: Option<String> = Some(Default::default()) => 3..;
        error_code: i16 => 3..;
    }

    pub struct SyncGroupRequest {
        group_id: String => 0..;
        generation_id: i32 => 0..;
        member_id: String => 0..;
        #[required] group_instance_id: Option<String> => 3..;
        protocol_type: Option<String> => 5..;
        protocol_name: Option<String> => 5..;
        assignments: Vec<SyncGroupRequestAssignment> => 0..;
    }

    pub struct SyncGroupRequestAssignment {
        member_id: String => 0..;
        assignment: Bytes => 0..;
    }

    pub struct SyncGroupResponse {
        throttle_time_ms: i32 => 1..;
        error_code: i16 => 0..;
        protocol_type: Option<String> => 5..;
        protocol_name: Option<String> => 5..;
        assignment: Bytes => 0..;
    }

    pub struct DescribeGroupsRequest {
        groups: Vec<String> => 0..;
        #[required] include_authorized_operations: bool => 3..;
    }

    pub struct DescribeGroupsResponse {
        throttle_time_ms: i32 => 1..;
        groups: Vec<DescribedGroup> => 0..;
    }

    pub struct DescribedGroup {
        error_code: i16 => 0..;
        #[required] error_message: Option<String> => 6..;
        group_id: String => 0..;
        group_state: String => 0..;
        protocol_type: String => 0..;
        protocol_data: String => 0..;
        members: Vec<DescribedGroupMember> => 0..;
        #[required] authorized_operations: i32 = i32::MIN => 3..;
    }

    pub struct DescribedGroupMember {
        member_id: String => 0..;
        group_instance_id: Option<String> => 4..;
        client_id: String => 0..;
        client_host: String => 0..;
        member_metadata: Bytes => 0..;
        member_assignment: Bytes => 0..;
    }

    pub struct ListGroupsRequest {
        #[required] states_filter: Vec<String> => 4..;
        #[required] types_filter: Vec<String> => 5..;
    }

    pub struct ListGroupsResponse {
        throttle_time_ms: i32 => 1..;
        error_code: i16 => 0..;
        groups: Vec<ListedGroup> => 0..;
    }

    pub struct ListedGroup {
        group_id: String => 0..;
        protocol_type: String => 0..;
        group_state: String => 4..;
        group_type: String => 5..;
    }

    pub struct DeleteGroupsRequest {
        groups_names: Vec<String> => 0..;
    }

    pub struct DeleteGroupsResponse {
        throttle_time_ms: i32 => 0..;
        results: Vec<DeletableGroupResult> => 0..;
    }

    pub struct DeletableGroupResult {
        group_id: String => 0..;
        error_code: i16 => 0..;
    }

    pub struct ConsumerProtocolSubscription {
        topics: Vec<String> => 0..;
        user_data: Option<Bytes> => 0..;
        owned_partitions: Vec<TopicPartition> => 1..;
        generation_id: i32 = -1 => 2..;
        rack_id: Option<String> => 3..;
    }

    pub struct TopicPartition {
        topic: String => 0..;
        partitions: Vec<i32> => 0..;
    }

    pub struct ConsumerProtocolAssignment {
        assigned_partitions: Vec<TopicPartition> => 0..;
        user_data: Option<Bytes> => 0..;
    }
}
