//! Producer ids and epochs, for idempotent and transactional producers.

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
}
