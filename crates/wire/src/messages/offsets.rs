//! Offsets: of a log by timestamp or epoch, and those a group has committed.

use crate::primitive::Uuid;

crate::messages! {
    pub struct ListOffsetsRequest {
        replica_id: i32 => 0..;
        #[required] isolation_level: i8 => 2..;
        topics: Vec<ListOffsetsTopic> => 0..;
        timeout_ms: i32 => 10..;
    }

    pub struct ListOffsetsTopic {
        name: String => 0..;
        partitions: Vec<ListOffsetsPartition> => 0..;
    }

    pub struct ListOffsetsPartition {
        partition_index: i32 => 0..;
        current_leader_epoch: i32 = -1 => 4..;
        timestamp: i64 => 0..;
    }

    pub struct ListOffsetsResponse {
        throttle_time_ms: i32 => 2..;
        topics: Vec<ListOffsetsTopicResponse> => 0..;
    }

    pub struct ListOffsetsTopicResponse {
        name: String => 0..;
        partitions: Vec<ListOffsetsPartitionResponse> => 0..;
    }

    pub struct ListOffsetsPartitionResponse {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
        timestamp: i64 = -1 => 1..;
        offset: i64 = -1 => 1..;
        #[required] leader_epoch: i32 = -1 => 4..;
    }

    pub struct OffsetForLeaderEpochRequest {
        replica_id: i32 = -2 => 3..;
        topics: Vec<OffsetForLeaderTopic> => 0..;
    }

    pub struct OffsetForLeaderTopic {
        topic: String => 0..;
        partitions: Vec<OffsetForLeaderPartition> => 0..;
    }

    pub struct OffsetForLeaderPartition {
        partition: i32 => 0..;
        current_leader_epoch: i32 = -1 => 2..;
        leader_epoch: i32 => 0..;
    }

    pub struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32 => 2..;
        topics: Vec<OffsetForLeaderTopicResult> => 0..;
    }

    pub struct OffsetForLeaderTopicResult {
        topic: String => 0..;
        partitions: Vec<EpochEndOffset> => 0..;
    }

    pub struct EpochEndOffset {
        error_code: i16 => 0..;
        partition: i32 => 0..;
        leader_epoch: i32 = -1 => 1..;
        end_offset: i64 = -1 => 0..;
    }

    pub struct OffsetCommitRequest {
        group_id: String => 0..;
        generation_id_or_member_epoch: i32 = -1 => 1..;
        member_id: String => 1..;
        #[required] group_instance_id: Option<String> => 7..;
        retention_time_ms: i64 = -1 => 2..=4;
        topics: Vec<OffsetCommitRequestTopic> => 0..;
    }

    pub struct OffsetCommitRequestTopic {
        name: String => 0..=9;
        topic_id: Uuid => 10..;
        partitions: Vec<OffsetCommitRequestPartition> => 0..;
    }

    pub struct OffsetCommitRequestPartition {
        partition_index: i32 => 0..;
        committed_offset: i64 => 0..;
        committed_leader_epoch: i32 = -1 => 6..;
        committed_metadata: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct OffsetCommitResponse {
        throttle_time_ms: i32 => 3..;
        topics: Vec<OffsetCommitResponseTopic> => 0..;
    }

    pub struct OffsetCommitResponseTopic {
        name: String => 0..=9;
        topic_id: Uuid => 10..;
        partitions: Vec<OffsetCommitResponsePartition> => 0..;
    }

    pub struct OffsetCommitResponsePartition {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
    }

    pub struct OffsetFetchRequest {
        #[required] group_id: String => 0..=7;
        #[required] topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Default::default()) => 0..=7, nullable 2..=7;
        #[required] groups: Vec<OffsetFetchRequestGroup> => 8..;
        #[required] require_stable: bool => 7..;
    }

    pub struct OffsetFetchRequestTopic {
        name: String => 0..=7;
        partition_indexes: Vec<i32> => 0..=7;
    }

    pub struct OffsetFetchRequestGroup {
        group_id: String => 8..;
        member_id: Option<String> => 9..;
        member_epoch: i32 = -1 => 9..;
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Default::default()) => 8..;
    }

    pub struct OffsetFetchRequestTopics {
        name: String => 8..=9;
        topic_id: Uuid => 10..;
        partition_indexes: Vec<i32> => 8..;
    }

    pub struct OffsetFetchResponse {
        throttle_time_ms: i32 => 3..;
        #[required] topics: Vec<OffsetFetchResponseTopic> => 0..=7;
        error_code: i16 => 2..=7;
        #[required] groups: Vec<OffsetFetchResponseGroup> => 8..;
    }

    pub struct OffsetFetchResponseTopic {
        name: String => 0..=7;
        partitions: Vec<OffsetFetchResponsePartition> => 0..=7;
    }

    pub struct OffsetFetchResponsePartition {
        partition_index: i32 => 0..=7;
        committed_offset: i64 => 0..=7;
        committed_leader_epoch: i32 = -1 => 5..=7;
        metadata: Option<String> = Some(Default::default()) => 0..=7;
        error_code: i16 => 0..=7;
    }

    pub struct OffsetFetchResponseGroup {
        group_id: String => 8..;
        topics: Vec<OffsetFetchResponseTopics> => 8..;
        error_code: i16 => 8..;
    }

    pub struct OffsetFetchResponseTopics {
        name: String => 8..=9;
        topic_id: Uuid => 10..;
        partitions: Vec<OffsetFetchResponsePartitions> => 8..;
    }

    pub struct OffsetFetchResponsePartitions {
        partition_index: i32 => 8..;
        committed_offset: i64 => 8..;
        committed_leader_epoch: i32 = -1 => 8..;
        metadata: Option<String> = Some(Default::default()) => 8..;
        error_code: i16 => 8..;
    }

    pub struct OffsetDeleteRequest {
        group_id: String => 0..;
        topics: Vec<OffsetDeleteRequestTopic> => 0..;
    }

    pub struct OffsetDeleteRequestTopic {
        name: String => 0..;
        partitions: Vec<OffsetDeleteRequestPartition> => 0..;
    }

    pub struct OffsetDeleteRequestPartition {
        partition_index: i32 => 0..;
    }

    pub struct OffsetDeleteResponse {
        error_code: i16 => 0..;
        throttle_time_ms: i32 => 0..;
        topics: Vec<OffsetDeleteResponseTopic> => 0..;
    }

    pub struct OffsetDeleteResponseTopic {
        name: String => 0..;
        partitions: Vec<OffsetDeleteResponsePartition> => 0..;
    }

    pub struct OffsetDeleteResponsePartition {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
    }
}
