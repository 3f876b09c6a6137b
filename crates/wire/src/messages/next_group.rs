//! Consumer groups of the next protocol (KIP-848), in which the coordinator assigns.

use crate::primitive::Uuid;

crate::messages! {
    pub struct ConsumerGroupHeartbeatRequest {
        group_id: String => 0..;
        member_id: String => 0..;
        member_epoch: i32 => 0..;
        instance_id: Option<String> => 0..;
        rack_id: Option<String> => 0..;
        rebalance_timeout_ms: i32 = -1 => 0..;
        subscribed_topic_names: Option<Vec<String>> => 0..;
        #[required] subscribed_topic_regex: Option<String> => 1..;
        server_assignor: Option<String> => 0..;
        topic_partitions: Option<Vec<TopicPartitions>> => 0..;
    }

    pub struct TopicPartitions {
        topic_id: Uuid => 0..;
        partitions: Vec<i32> => 0..;
    }

    pub struct ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> => 0..;
        member_id: Option<String> => 0..;
        member_epoch: i32 => 0..;
        heartbeat_interval_ms: i32 => 0..;
        assignment: Option<Assignment> => 0..;
    }

    pub struct Assignment {
        topic_partitions: Vec<TopicPartitions> => 0..;
    }

    pub struct ConsumerGroupDescribeRequest {
        group_ids: Vec<String> => 0..;
        include_authorized_operations: bool => 0..;
    }

    pub struct ConsumerGroupDescribeResponse {
        throttle_time_ms: i32 => 0..;
        groups: Vec<DescribedGroup> => 0..;
    }

    pub struct DescribedGroup {
        error_code: i16 => 0..;
        error_message: Option<String> => 0..;
        group_id: String => 0..;
        group_state: String => 0..;
        group_epoch: i32 => 0..;
        assignment_epoch: i32 => 0..;
        assignor_name: String => 0..;
        members: Vec<Member> => 0..;
        authorized_operations: i32 = i32::MIN => 0..;
    }

    pub struct Member {
        member_id: String => 0..;
        instance_id: Option<String> => 0..;
        rack_id: Option<String> => 0..;
        member_epoch: i32 => 0..;
        client_id: String => 0..;
        client_host: String => 0..;
        subscribed_topic_names: Vec<String> => 0..;
        subscribed_topic_regex: Option<String> => 0..;
        assignment: DescribedAssignment => 0..;
        target_assignment: DescribedAssignment => 0..;
        member_type: i8 = -1 => 1..;
    }

    pub struct DescribedAssignment {
        topic_partitions: Vec<DescribedTopicPartitions> => 0..;
    }

    pub struct DescribedTopicPartitions {
        topic_id: Uuid => 0..;
        topic_name: String => 0..;
        partitions: Vec<i32> => 0..;
    }
}
