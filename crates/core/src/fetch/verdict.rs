//! From the error code of a Fetch or ListOffsets response to what its partition needs.

use vltava_wire::{Class, ErrorCode};

/// What to do about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered.
    Answered,
    /// The same broker is to be asked again in a while.
    Wait,
    /// Another broker may lead: metadata is to be asked for.
    Refresh,
    /// The log has no such offset.
    OutOfRange,
    /// Asking again cannot help: the owner is to be told.
    Fatal,
}

impl From<ErrorCode> for Verdict {
    /// What passes never makes a position jump: only a broker that leads and says that an offset is not there does.
    fn from(error: ErrorCode) -> Self {
        match error {
            ErrorCode::None => Self::Answered,
            ErrorCode::OffsetOutOfRange => Self::OutOfRange,
            // The log itself is damaged at this offset; that does not pass.
            ErrorCode::CorruptMessage => Self::Fatal,
            ErrorCode::UnknownServerError => Self::Wait,
            error if error.class() == Class::RefreshMetadata => Self::Refresh,
            error if error.is_retriable() => Self::Wait,
            _ => Self::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_fetching_has_its_verdict() {
        let rows = [
            (ErrorCode::None, Verdict::Answered),
            (ErrorCode::OffsetOutOfRange, Verdict::OutOfRange),
            (ErrorCode::UnknownServerError, Verdict::Wait),
            (ErrorCode::UnknownLeaderEpoch, Verdict::Wait),
            (ErrorCode::OffsetNotAvailable, Verdict::Wait),
            (ErrorCode::RequestTimedOut, Verdict::Wait),
            (ErrorCode::ThrottlingQuotaExceeded, Verdict::Wait),
            (ErrorCode::NotLeaderOrFollower, Verdict::Refresh),
            (ErrorCode::FencedLeaderEpoch, Verdict::Refresh),
            (ErrorCode::UnknownTopicOrPartition, Verdict::Refresh),
            (ErrorCode::UnknownTopicId, Verdict::Refresh),
            (ErrorCode::InconsistentTopicId, Verdict::Refresh),
            (ErrorCode::ReplicaNotAvailable, Verdict::Refresh),
            (ErrorCode::LeaderNotAvailable, Verdict::Refresh),
            (ErrorCode::KafkaStorageError, Verdict::Refresh),
            (ErrorCode::CorruptMessage, Verdict::Fatal),
            (ErrorCode::TopicAuthorizationFailed, Verdict::Fatal),
            (ErrorCode::UnsupportedCompressionType, Verdict::Fatal),
            (ErrorCode::Unknown(999), Verdict::Fatal),
        ];
        for (code, verdict) in rows {
            assert_eq!(Verdict::from(code), verdict, "{code}");
        }
    }

    #[test]
    fn only_one_code_makes_a_position_jump() {
        let jumps = ErrorCode::ALL.iter().filter(|it| Verdict::from(**it) == Verdict::OutOfRange);
        assert_eq!(jumps.collect::<Vec<_>>(), [&ErrorCode::OffsetOutOfRange]);
    }
}
