//! From the error code of a Produce response to what its batch needs.

use vltava_wire::{
    Class, ErrorCode,
    messages::produce::{BatchIndexAndErrorMessage, PartitionProduceResponse},
};

/// What a broker answered to one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub error: ErrorCode,
    /// What the broker says about the error.
    pub message: Option<String>,
    /// The records because of which it refuses the batch, if it says which (KIP-467).
    pub rejected: Vec<Rejection>,
    /// The offset of the first record, or -1.
    pub base_offset: i64,
    /// The broker's clock, if the topic's records carry that, or -1.
    pub log_append_time: i64,
}

/// A record that a broker does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Why.
    pub message: Option<String>,
}

impl Answer {
    /// Written from this offset on.
    pub fn written(base_offset: i64) -> Self {
        Self { base_offset, ..Self::refused(ErrorCode::None) }
    }

    /// Nothing but an error.
    pub fn refused(error: ErrorCode) -> Self {
        Self { error, message: None, rejected: Vec::new(), base_offset: -1, log_append_time: -1 }
    }
}

impl From<&PartitionProduceResponse> for Answer {
    fn from(response: &PartitionProduceResponse) -> Self {
        let rejection = |it: &BatchIndexAndErrorMessage| {
            // A place that is none is no record's.
            let index = u32::try_from(it.batch_index).ok()?;
            Some(Rejection { index, message: it.batch_index_error_message.clone() })
        };
        Self {
            error: response.error_code.into(),
            message: response.error_message.clone(),
            rejected: response.record_errors.iter().filter_map(rejection).collect(),
            base_offset: response.base_offset,
            log_append_time: response.log_append_time_ms,
        }
    }
}

/// What to do about a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is written.
    Written,
    /// An earlier copy of it is written, so long ago that the broker no longer knows where.
    Duplicate,
    /// It is to be sent again. Where `refresh` says so, metadata is to be asked for: another broker may lead.
    Retry {
        /// Whether the leader may have changed.
        refresh: bool,
        /// Whether this copy of it is certain not to be written, now or later.
        unwritten: bool,
    },
    /// The broker misses what comes before it. This copy of it is not written.
    Gap,
    /// The broker knows a newer holder of the producer's identity. This copy of it is not written.
    Fenced,
    /// It is too large as a whole. This copy of it is not written.
    TooLarge,
    /// It will not be taken, however often it is sent.
    Refused {
        /// Whether this copy of it is certain not to be written, now or later.
        unwritten: bool,
    },
    /// Nothing of this producer will be taken.
    Fatal,
}

impl From<ErrorCode> for Verdict {
    fn from(error: ErrorCode) -> Self {
        match error {
            ErrorCode::None => Self::Written,
            ErrorCode::DuplicateSequenceNumber => Self::Duplicate,
            // Which of the two it is depends on how much the broker has forgotten, and so on its version.
            ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId => Self::Gap,
            ErrorCode::InvalidProducerEpoch
            | ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerIdMapping => Self::Fenced,
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => Self::TooLarge,
            // The batch was damaged on its way; the broker checks that before anything else.
            ErrorCode::CorruptMessage => Self::Retry { refresh: false, unwritten: true },
            error if error.class() == Class::RefreshMetadata => {
                Self::Retry { refresh: true, unwritten: false }
            }
            error if error.is_retriable() => Self::Retry { refresh: false, unwritten: false },
            ErrorCode::ClusterAuthorizationFailed
            | ErrorCode::TransactionalIdAuthorizationFailed
            | ErrorCode::SaslAuthenticationFailed
            | ErrorCode::IllegalSaslState
            | ErrorCode::UnsupportedSaslMechanism
            | ErrorCode::SecurityDisabled => Self::Fatal,
            // The broker failed somewhere, before or after writing.
            ErrorCode::UnknownServerError | ErrorCode::Unknown(_) => Self::Refused { unwritten: false },
            _ => Self::Refused { unwritten: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGAIN: Verdict = Verdict::Retry { refresh: false, unwritten: false };
    const ELSEWHERE: Verdict = Verdict::Retry { refresh: true, unwritten: false };
    const REFUSED: Verdict = Verdict::Refused { unwritten: true };

    /// What is not in here is [`REFUSED`].
    const ROWS: &[(ErrorCode, Verdict)] = &[
        (ErrorCode::UnknownServerError, Verdict::Refused { unwritten: false }),
        (ErrorCode::None, Verdict::Written),
        (ErrorCode::CorruptMessage, Verdict::Retry { refresh: false, unwritten: true }),
        (ErrorCode::UnknownTopicOrPartition, ELSEWHERE),
        (ErrorCode::LeaderNotAvailable, ELSEWHERE),
        (ErrorCode::MessageTooLarge, Verdict::TooLarge),
        (ErrorCode::RecordListTooLarge, Verdict::TooLarge),
        (ErrorCode::NotLeaderOrFollower, ELSEWHERE),
        (ErrorCode::RequestTimedOut, AGAIN),
        (ErrorCode::ReplicaNotAvailable, ELSEWHERE),
        (ErrorCode::NetworkException, ELSEWHERE),
        (ErrorCode::CoordinatorLoadInProgress, AGAIN),
        (ErrorCode::CoordinatorNotAvailable, AGAIN),
        (ErrorCode::NotCoordinator, AGAIN),
        (ErrorCode::NotEnoughReplicas, AGAIN),
        (ErrorCode::NotEnoughReplicasAfterAppend, AGAIN),
        (ErrorCode::ClusterAuthorizationFailed, Verdict::Fatal),
        (ErrorCode::UnsupportedSaslMechanism, Verdict::Fatal),
        (ErrorCode::IllegalSaslState, Verdict::Fatal),
        (ErrorCode::NotController, ELSEWHERE),
        (ErrorCode::OutOfOrderSequenceNumber, Verdict::Gap),
        (ErrorCode::DuplicateSequenceNumber, Verdict::Duplicate),
        (ErrorCode::InvalidProducerEpoch, Verdict::Fenced),
        (ErrorCode::InvalidProducerIdMapping, Verdict::Fenced),
        (ErrorCode::ConcurrentTransactions, AGAIN),
        (ErrorCode::TransactionalIdAuthorizationFailed, Verdict::Fatal),
        (ErrorCode::SecurityDisabled, Verdict::Fatal),
        (ErrorCode::KafkaStorageError, ELSEWHERE),
        (ErrorCode::SaslAuthenticationFailed, Verdict::Fatal),
        (ErrorCode::UnknownProducerId, Verdict::Gap),
        (ErrorCode::FetchSessionIdNotFound, AGAIN),
        (ErrorCode::InvalidFetchSessionEpoch, AGAIN),
        (ErrorCode::ListenerNotFound, ELSEWHERE),
        (ErrorCode::FencedLeaderEpoch, ELSEWHERE),
        (ErrorCode::UnknownLeaderEpoch, AGAIN),
        (ErrorCode::OffsetNotAvailable, AGAIN),
        (ErrorCode::PreferredLeaderNotAvailable, ELSEWHERE),
        (ErrorCode::EligibleLeadersNotAvailable, ELSEWHERE),
        (ErrorCode::ElectionNotNeeded, ELSEWHERE),
        (ErrorCode::UnstableOffsetCommit, AGAIN),
        (ErrorCode::ThrottlingQuotaExceeded, AGAIN),
        (ErrorCode::ProducerFenced, Verdict::Fenced),
        (ErrorCode::UnknownTopicId, ELSEWHERE),
        (ErrorCode::InconsistentTopicId, ELSEWHERE),
        (ErrorCode::FetchSessionTopicIdError, AGAIN),
        (ErrorCode::RebootstrapRequired, ELSEWHERE),
        (ErrorCode::ShareSessionNotFound, AGAIN),
        (ErrorCode::InvalidShareSessionEpoch, AGAIN),
        (ErrorCode::ShareSessionLimitReached, AGAIN),
        (ErrorCode::Unknown(999), Verdict::Refused { unwritten: false }),
    ];

    #[test]
    fn every_code_has_its_verdict() {
        let expected = |code| ROWS.iter().find(|row| row.0 == code).map_or(REFUSED, |row| row.1);
        for &code in ErrorCode::ALL.iter().chain(&[ErrorCode::Unknown(999)]) {
            assert_eq!(Verdict::from(code), expected(code), "{code}");
        }
    }

    #[test]
    fn what_a_leader_says_after_writing_leaves_doubt() {
        for code in [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::RequestTimedOut,
            ErrorCode::NotEnoughReplicasAfterAppend,
            ErrorCode::KafkaStorageError,
        ] {
            assert!(matches!(Verdict::from(code), Verdict::Retry { unwritten: false, .. }), "{code}");
        }
    }
}
