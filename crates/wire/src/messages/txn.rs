//! Producer ids and epochs, for idempotent and transactional producers; transactions, run and looked at.

crate::messages! {
    pub struct InitProducerIdRequest {
        transactional_id: Option<String> = Some(Default::default()) => 0..;
        transaction_timeout_ms: i32 => 0..;
        #[required] producer_id: i64 = -1 => 3..;
        #[required] producer_epoch: i16 = -1 => 3..;
        #[required] enable2_pc: bool => 6..;
        #[required] keep_prepared_txn: bool => 6..;
    }

    pub struct InitProducerIdResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        producer_id: i64 = -1 => 0..;
        producer_epoch: i16 => 0..;
        #[required] ongoing_txn_producer_id: i64 = -1 => 6..;
        #[required] ongoing_txn_producer_epoch: i16 = -1 => 6..;
    }

    pub struct AddPartitionsToTxnRequest {
        #[required] transactions: Vec<AddPartitionsToTxnTransaction> => 4..;
        #[required] v3_and_below_transactional_id: String => 0..=3;
        #[required] v3_and_below_producer_id: i64 => 0..=3;
        #[required] v3_and_below_producer_epoch: i16 => 0..=3;
        #[required] v3_and_below_topics: Vec<AddPartitionsToTxnTopic> => 0..=3;
    }

    pub struct AddPartitionsToTxnTransaction {
        transactional_id: String => 4..;
        producer_id: i64 => 4..;
        producer_epoch: i16 => 4..;
        verify_only: bool => 4..;
        topics: Vec<AddPartitionsToTxnTopic> => 4..;
    }

    pub struct AddPartitionsToTxnTopic {
        name: String => 0..;
        partitions: Vec<i32> => 0..;
    }

    pub struct AddPartitionsToTxnResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 4..;
        #[required] results_by_transaction: Vec<AddPartitionsToTxnResult> => 4..;
        #[required] results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> => 0..=3;
    }

    pub struct AddPartitionsToTxnResult {
        transactional_id: String => 4..;
        topic_results: Vec<AddPartitionsToTxnTopicResult> => 4..;
    }

    pub struct AddPartitionsToTxnTopicResult {
        name: String => 0..;
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult> => 0..;
    }

    pub struct AddPartitionsToTxnPartitionResult {
        partition_index: i32 => 0..;
        partition_error_code: i16 => 0..;
    }

    pub struct AddOffsetsToTxnRequest {
        transactional_id: String => 0..;
        producer_id: i64 => 0..;
        producer_epoch: i16 => 0..;
        group_id: String => 0..;
    }

    pub struct AddOffsetsToTxnResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
    }

    pub struct EndTxnRequest {
        transactional_id: String => 0..;
        producer_id: i64 => 0..;
        producer_epoch: i16 => 0..;
        committed: bool => 0..;
    }

    pub struct EndTxnResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        producer_id: i64 = -1 => 5..;
        producer_epoch: i16 = -1 => 5..;
    }

    pub struct TxnOffsetCommitRequest {
        transactional_id: String => 0..;
        group_id: String => 0..;
        producer_id: i64 => 0..;
        producer_epoch: i16 => 0..;
        #[required] generation_id: i32 = -1 => 3..;
        #[required] member_id: String => 3..;
        #[required] group_instance_id: Option<String> => 3..;
        topics: Vec<TxnOffsetCommitRequestTopic> => 0..;
    }

    pub struct TxnOffsetCommitRequestTopic {
        name: String => 0..;
        partitions: Vec<TxnOffsetCommitRequestPartition> => 0..;
    }

    pub struct TxnOffsetCommitRequestPartition {
        partition_index: i32 => 0..;
        committed_offset: i64 => 0..;
        committed_leader_epoch: i32 = -1 => 2..;
        committed_metadata: Option<String> = Some(Default::default()) => 0..;
    }

    pub struct TxnOffsetCommitResponse {
        throttle_time_ms: i32 => 0..;
        topics: Vec<TxnOffsetCommitResponseTopic> => 0..;
    }

    pub struct TxnOffsetCommitResponseTopic {
        name: String => 0..;
        partitions: Vec<TxnOffsetCommitResponsePartition> => 0..;
    }

    pub struct TxnOffsetCommitResponsePartition {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
    }

    pub struct DescribeProducersRequest {
        topics: Vec<TopicRequest> => 0..;
    }

    pub struct TopicRequest {
        name: String => 0..;
        partition_indexes: Vec<i32> => 0..;
    }

    pub struct DescribeProducersResponse {
        throttle_time_ms: i32 => 0..;
        topics: Vec<TopicResponse> => 0..;
    }

    pub struct TopicResponse {
        name: String => 0..;
        partitions: Vec<PartitionResponse> => 0..;
    }

    pub struct PartitionResponse {
        partition_index: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<String> => 0..;
        active_producers: Vec<ProducerState> => 0..;
    }

    pub struct ProducerState {
        producer_id: i64 => 0..;
        producer_epoch: i32 => 0..;
        last_sequence: i32 = -1 => 0..;
        last_timestamp: i64 = -1 => 0..;
        coordinator_epoch: i32 => 0..;
        current_txn_start_offset: i64 = -1 => 0..;
    }

    pub struct DescribeTransactionsRequest {
        transactional_ids: Vec<String> => 0..;
    }

    pub struct DescribeTransactionsResponse {
        throttle_time_ms: i32 => 0..;
        transaction_states: Vec<TransactionState> => 0..;
    }

    pub struct TransactionState {
        error_code: i16 => 0..;
        transactional_id: String => 0..;
        transaction_state: String => 0..;
        transaction_timeout_ms: i32 => 0..;
        transaction_start_time_ms: i64 => 0..;
        producer_id: i64 => 0..;
        producer_epoch: i16 => 0..;
        topics: Vec<TopicData> => 0..;
    }

    pub struct TopicData {
        topic: String => 0..;
        partitions: Vec<i32> => 0..;
    }

    pub struct ListTransactionsRequest {
        state_filters: Vec<String> => 0..;
        producer_id_filters: Vec<i64> => 0..;
        #[required] duration_filter: i64 = -1 => 1..;
        #[required] transactional_id_pattern: Option<String> => 2..;
    }

    pub struct ListTransactionsResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        unknown_state_filters: Vec<String> => 0..;
        transaction_states: Vec<ListedTransaction> => 0..;
    }

    pub struct ListedTransaction {
        transactional_id: String => 0..;
        producer_id: i64 => 0..;
        transaction_state: String => 0..;
    }
}
