//! Creating, growing, trimming and deleting topics.

use crate::primitive::Uuid;

crate::messages! {
    pub struct CreateTopicsRequest {
        topics: Vec<CreatableTopic> => 0..;
        timeout_ms: i32 = 60000 => 0..;
        validate_only: bool => 1..;
    }

    pub struct CreatableTopic {
        name: String => 0..;
        num_partitions: i32 => 0..;
        replication_factor: i16 => 0..;
        assignments: Vec<CreatableReplicaAssignment> => 0..;
        configs: Vec<CreatableTopicConfig> => 0..;
    }

    pub struct CreatableReplicaAssignment {
        partition_index: i32 => 0..;
        broker_ids: Vec<i32> => 0..;
    }

    pub struct CreatableTopicConfig {
        name: String => 0..;
        value: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct CreateTopicsResponse {
        throttle_time_ms: i32 => 2..;
        topics: Vec<CreatableTopicResult> => 0..;
    }

    pub struct CreatableTopicResult {
        name: String => 0..;
        topic_id: Uuid => 7..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 1..;
        num_partitions: i32 = -1 => 5..;
        replication_factor: i16 = -1 => 5..;
        configs: Option<Vec<CreatableTopicConfigs>> = Some(Default::default()) => 5..;
    } tagged {
        0 => topic_config_error_code: i16 => 5..;
    }

    pub struct CreatableTopicConfigs {
        name: String => 5..;
        value: Option<String> = Some(Default::default()) => 5..;
        read_only: bool => 5..;
        config_source: i8 = -1 => 5..;
        is_sensitive: bool => 5..;
    }

    pub struct DeleteTopicsRequest {
        #[required] topics: Vec<DeleteTopicState> => 6..;
        topic_names: Vec<String> => 0..=5;
        timeout_ms: i32 => 0..;
    }

    pub struct DeleteTopicState {
        name: Option<String> => 6..;
        topic_id: Uuid => 6..;
    }

    pub struct DeleteTopicsResponse {
        throttle_time_ms: i32 => 1..;
        responses: Vec<DeletableTopicResult> => 0..;
    }

    pub struct DeletableTopicResult {
        name: Option<String> = Some(Default::default()) => 0.., nullable 6..;
        topic_id: Uuid => 6..;
        error_code: i16 => 0..;
        error_message: Option<String> => 5..;
    }

    pub struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic> => 0..;
        timeout_ms: i32 => 0..;
        validate_only: bool => 0..;
    }

    pub struct CreatePartitionsTopic {
        name: String => 0..;
        count: i32 => 0..;
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Default::default()) => 0..;
    }

    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32> => 0..;
    }

    pub struct CreatePartitionsResponse {
        throttle_time_ms: i32 => 0..;
        results: Vec<CreatePartitionsTopicResult> => 0..;
    }

    pub struct CreatePartitionsTopicResult {
        name: String => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> => 0..;
    }

    pub struct DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic> => 0..;
        timeout_ms: i32 => 0..;
    }

    pub struct DeleteRecordsTopic {
        name: String => 0..;
        partitions: Vec<DeleteRecordsPartition> => 0..;
    }

    pub struct DeleteRecordsPartition {
        partition_index: i32 => 0..;
        offset: i64 => 0..;
    }

    pub struct DeleteRecordsResponse {
        throttle_time_ms: i32 => 0..;
        topics: Vec<DeleteRecordsTopicResult> => 0..;
    }

    pub struct DeleteRecordsTopicResult {
        name: String => 0..;
        partitions: Vec<DeleteRecordsPartitionResult> => 0..;
    }

    pub struct DeleteRecordsPartitionResult {
        partition_index: i32 => 0..;
        low_watermark: i64 => 0..;
        error_code: i16 => 0..;
    }
}
