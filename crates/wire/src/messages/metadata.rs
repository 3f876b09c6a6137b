//! What a cluster consists of: brokers, topics, partitions and their leaders.

use crate::primitive::Uuid;

crate::messages! {
    pub struct MetadataRequest {
        topics: Option<Vec<MetadataRequestTopic>> = Some(Default::default()) => 0.., nullable 1..;
        #[required] allow_auto_topic_creation: bool = true => 4..;
        #[required] include_cluster_authorized_operations: bool => 8..=10;
        #[required] include_topic_authorized_operations: bool => 8..;
    }

    pub struct MetadataRequestTopic {
        topic_id: Uuid => 10..;
        name: Option<String> = Some(Default::default()) => 0.., nullable 10..;
    }

    pub struct MetadataResponse {
        throttle_time_ms: i32 => 3..;
        brokers: Vec<MetadataResponseBroker> => 0..;
        cluster_id: Option<String> => 2..;
        controller_id: i32 = -1 => 1..;
        topics: Vec<MetadataResponseTopic> => 0..;
        #[required] cluster_authorized_operations: i32 = i32::MIN => 8..=10;
        error_code: i16 => 13..;
    }

    pub struct MetadataResponseBroker {
        node_id: i32 => 0..;
        host: String => 0..;
        port: i32 => 0..;
        rack: Option<String> => 1..;
    }

    pub struct MetadataResponseTopic {
        error_code: i16 => 0..;
        name: Option<String> = Some(Default::default()) => 0.., nullable 12..;
        topic_id: Uuid => 10..;
        is_internal: bool => 1..;
        partitions: Vec<MetadataResponsePartition> => 0..;
        #[required] topic_authorized_operations: i32 = i32::MIN => 8..;
    }

    pub struct MetadataResponsePartition {
        error_code: i16 => 0..;
        partition_index: i32 => 0..;
        leader_id: i32 => 0..;
        leader_epoch: i32 = -1 => 7..;
        replica_nodes: Vec<i32> => 0..;
        isr_nodes: Vec<i32> => 0..;
        offline_replicas: Vec<i32> => 5..;
    }

    pub struct DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest> => 0..;
        response_partition_limit: i32 = 2000 => 0..;
        cursor: Option<Cursor> => 0..;
    }

    pub struct TopicRequest {
        name: String => 0..;
    }

    pub struct Cursor {
        topic_name: String => 0..;
        partition_index: i32 => 0..;
    }

    pub struct DescribeTopicPartitionsResponse {
        throttle_time_ms: i32 => 0..;
        topics: Vec<DescribeTopicPartitionsResponseTopic> => 0..;
        next_cursor: Option<Cursor> => 0..;
    }

    pub struct DescribeTopicPartitionsResponseTopic {
        error_code: i16 => 0..;
        name: Option<String> = Some(Default::default()) => 0..;
        topic_id: Uuid => 0..;
        is_internal: bool => 0..;
        partitions: Vec<DescribeTopicPartitionsResponsePartition> => 0..;
        topic_authorized_operations: i32 = i32::MIN => 0..;
    }

    pub struct DescribeTopicPartitionsResponsePartition {
        error_code: i16 => 0..;
        partition_index: i32 => 0..;
        leader_id: i32 => 0..;
        leader_epoch: i32 = -1 => 0..;
        replica_nodes: Vec<i32> => 0..;
        isr_nodes: Vec<i32> => 0..;
        eligible_leader_replicas: Option<Vec<i32>> => 0..;
        last_known_elr: Option<Vec<i32>> => 0..;
        offline_replicas: Vec<i32> => 0..;
    }
}
