//! The cluster itself: brokers, disks, replicas, leaders, the controllers' quorum, features.

use crate::primitive::Uuid;

crate::messages! {
    pub struct DescribeLogDirsRequest {
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Default::default()) => 0..;
    }

    pub struct DescribableLogDirTopic {
        topic: String => 0..;
        partitions: Vec<i32> => 0..;
    }

    pub struct DescribeLogDirsResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 3..;
        results: Vec<DescribeLogDirsResult> => 0..;
    }

    pub struct DescribeLogDirsResult {
        error_code: i16 => 0..;
        log_dir: String => 0..;
        topics: Vec<DescribeLogDirsTopic> => 0..;
        total_bytes: i64 = -1 => 4..;
        usable_bytes: i64 = -1 => 4..;
        is_cordoned: bool => 5..;
    }

    pub struct DescribeLogDirsTopic {
        name: String => 0..;
        partitions: Vec<DescribeLogDirsPartition> => 0..;
    }

    pub struct DescribeLogDirsPartition {
        partition_index: i32 => 0..;
        partition_size: i64 => 0..;
        offset_lag: i64 => 0..;
        is_future_key: bool => 0..;
    }

    pub struct ElectLeadersRequest {
        #[required] election_type: i8 => 1..;
        topic_partitions: Option<Vec<TopicPartitions>> = Some(Default::default()) => 0..;
        timeout_ms: i32 = 60000 => 0..;
    }

    pub struct TopicPartitions {
        topic: String => 0..;
        partitions: Vec<i32> => 0..;
    }

    pub struct ElectLeadersResponse {
        throttle_time_ms: i32 => 0..;
        #[required] error_code: i16 => 1..;
        replica_election_results: Vec<ReplicaElectionResult> => 0..;
    }

    pub struct ReplicaElectionResult {
        topic: String => 0..;
        partition_result: Vec<PartitionResult> => 0..;
    }

    pub struct PartitionResult {
        partition_id: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000 => 0..;
        #[required] allow_replication_factor_change: bool = true => 1..;
        topics: Vec<ReassignableTopic> => 0..;
    }

    pub struct ReassignableTopic {
        name: String => 0..;
        partitions: Vec<ReassignablePartition> => 0..;
    }

    pub struct ReassignablePartition {
        partition_index: i32 => 0..;
        replicas: Option<Vec<i32>> => 0..;
    }

    pub struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32 => 0..;
        allow_replication_factor_change: bool = true => 1..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        responses: Vec<ReassignableTopicResponse> => 0..;
    }

    pub struct ReassignableTopicResponse {
        name: String => 0..;
        partitions: Vec<ReassignablePartitionResponse> => 0..;
    }

    pub struct ReassignablePartitionResponse {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000 => 0..;
        topics: Option<Vec<ListPartitionReassignmentsTopics>> => 0..;
    }

    pub struct ListPartitionReassignmentsTopics {
        name: String => 0..;
        partition_indexes: Vec<i32> => 0..;
    }

    pub struct ListPartitionReassignmentsResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        topics: Vec<OngoingTopicReassignment> => 0..;
    }

    pub struct OngoingTopicReassignment {
        name: String => 0..;
        partitions: Vec<OngoingPartitionReassignment> => 0..;
    }

    pub struct OngoingPartitionReassignment {
        partition_index: i32 => 0..;
        replicas: Vec<i32> => 0..;
        adding_replicas: Vec<i32> => 0..;
        removing_replicas: Vec<i32> => 0..;
    }

    pub struct DescribeQuorumRequest {
        topics: Vec<TopicData> => 0..;
    }

    pub struct TopicData {
        topic_name: String => 0..;
        partitions: Vec<PartitionData> => 0..;
    }

    pub struct PartitionData {
        partition_index: i32 => 0..;
    }

    pub struct DescribeQuorumResponse {
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 2..;
        topics: Vec<QuorumTopicData> => 0..;
        #[required] nodes: Vec<Node> => 2..;
    }

    pub struct QuorumTopicData {
        topic_name: String => 0..;
        partitions: Vec<QuorumPartitionData> => 0..;
    }

    pub struct QuorumPartitionData {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 2..;
        leader_id: i32 => 0..;
        leader_epoch: i32 => 0..;
        high_watermark: i64 => 0..;
        current_voters: Vec<ReplicaState> => 0..;
        observers: Vec<ReplicaState> => 0..;
    }

    pub struct ReplicaState {
        replica_id: i32 => 0..;
        #[required] replica_directory_id: Uuid => 2..;
        log_end_offset: i64 => 0..;
        last_fetch_timestamp: i64 = -1 => 1..;
        last_caught_up_timestamp: i64 = -1 => 1..;
    }

    pub struct Node {
        node_id: i32 => 2..;
        listeners: Vec<Listener> => 2..;
    }

    pub struct Listener {
        name: String => 2..;
        host: String => 2..;
        port: u16 => 2..;
    }

    pub struct UpdateFeaturesRequest {
        timeout_ms: i32 = 60000 => 0..;
        feature_updates: Vec<FeatureUpdateKey> => 0..;
        #[required] validate_only: bool => 1..;
    }

    pub struct FeatureUpdateKey {
        feature: String => 0..;
        max_version_level: i16 => 0..;
        #[required] allow_downgrade: bool => 0..=0;
        #[required] upgrade_type: i8 = 1 => 1..;
    }

    pub struct UpdateFeaturesResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
        results: Vec<UpdatableFeatureResult> => 0..=1;
    }

    pub struct UpdatableFeatureResult {
        feature: String => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool => 0..;
        #[required] endpoint_type: i8 = 1 => 1..;
        #[required] include_fenced_brokers: bool => 2..;
    }

    pub struct DescribeClusterResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> => 0..;
        #[required] endpoint_type: i8 = 1 => 1..;
        cluster_id: String => 0..;
        controller_id: i32 = -1 => 0..;
        brokers: Vec<DescribeClusterBroker> => 0..;
        cluster_authorized_operations: i32 = i32::MIN => 0..;
    }

    pub struct DescribeClusterBroker {
        broker_id: i32 => 0..;
        host: String => 0..;
        port: i32 => 0..;
        rack: Option<String> => 0..;
        #[required] is_fenced: bool => 2..;
    }
}
