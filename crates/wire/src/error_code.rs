//! What a broker answers when it does not do as asked: code, name, and what a client should do about it.
//!
//! What a code means may depend on who asked; rooms that know better (idempotent produce, group membership) decide
//! for themselves and fall back on the class.

use std::fmt;

/// What a client should do about an error, if it knows nothing better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing: there is no error.
    Success,
    /// Ask again, the same node, after a pause.
    Retry,
    /// Ask for metadata, then again, whoever leads by then.
    RefreshMetadata,
    /// Find the coordinator, then ask again.
    RefreshCoordinator,
    /// Join the group again: the membership ended, or is about to be agreed on anew.
    Rejoin,
    /// Stop using this identity: a newer holder has it, or the broker has forgotten it.
    Fenced,
    /// Abort the transaction, or begin a new run of sequence numbers, and go on.
    Abortable,
    /// Tell the user that they may not.
    Denied,
    /// Tell the user: asking again as before cannot help.
    Fatal,
}

/// Declares [`ErrorCode`] from a table of `code Variant NAME: Class;` rows.
macro_rules! error_codes {
    ($($(#[$mark:meta])? $code:literal $variant:ident $name:ident: $class:ident;)*) => {
        /// An error of the Kafka protocol. Codes that this crate does not know survive a round trip.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$mark])? #[doc = concat!("`", stringify!($name), "`, ", $code, ".")] $variant,)*
            /// A code that came after Kafka 4.3.
            Unknown(i16),
        }

        impl ErrorCode {
            /// Every code of Kafka 4.3, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its number on the wire.
            pub fn code(self) -> i16 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown(code) => code,
                }
            }

            /// Its name in Kafka.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)*
                    Self::Unknown(_) => "UNKNOWN_ERROR_CODE",
                }
            }

            /// What to do about it.
            pub fn class(self) -> Class {
                match self {
                    $(Self::$variant => Class::$class,)*
                    Self::Unknown(_) => Class::Fatal,
                }
            }
        }

        impl From<i16> for ErrorCode {
            fn from(code: i16) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    _ => Self::Unknown(code),
                }
            }
        }
    };
}

error_codes! {
    -1 UnknownServerError UNKNOWN_SERVER_ERROR: Fatal;
    #[default]
    0 None NONE: Success;
    1 OffsetOutOfRange OFFSET_OUT_OF_RANGE: Fatal;
    2 CorruptMessage CORRUPT_MESSAGE: Retry;
    3 UnknownTopicOrPartition UNKNOWN_TOPIC_OR_PARTITION: RefreshMetadata;
    4 InvalidFetchSize INVALID_FETCH_SIZE: Fatal;
    5 LeaderNotAvailable LEADER_NOT_AVAILABLE: RefreshMetadata;
    6 NotLeaderOrFollower NOT_LEADER_OR_FOLLOWER: RefreshMetadata;
    7 RequestTimedOut REQUEST_TIMED_OUT: Retry;
    8 BrokerNotAvailable BROKER_NOT_AVAILABLE: Fatal;
    9 ReplicaNotAvailable REPLICA_NOT_AVAILABLE: RefreshMetadata;
    10 MessageTooLarge MESSAGE_TOO_LARGE: Fatal;
    11 StaleControllerEpoch STALE_CONTROLLER_EPOCH: Fatal;
    12 OffsetMetadataTooLarge OFFSET_METADATA_TOO_LARGE: Fatal;
    13 NetworkException NETWORK_EXCEPTION: RefreshMetadata;
    14 CoordinatorLoadInProgress COORDINATOR_LOAD_IN_PROGRESS: Retry;
    15 CoordinatorNotAvailable COORDINATOR_NOT_AVAILABLE: RefreshCoordinator;
    16 NotCoordinator NOT_COORDINATOR: RefreshCoordinator;
    17 InvalidTopicException INVALID_TOPIC_EXCEPTION: Fatal;
    18 RecordListTooLarge RECORD_LIST_TOO_LARGE: Fatal;
    19 NotEnoughReplicas NOT_ENOUGH_REPLICAS: Retry;
    20 NotEnoughReplicasAfterAppend NOT_ENOUGH_REPLICAS_AFTER_APPEND: Retry;
    21 InvalidRequiredAcks INVALID_REQUIRED_ACKS: Fatal;
    22 IllegalGeneration ILLEGAL_GENERATION: Rejoin;
    23 InconsistentGroupProtocol INCONSISTENT_GROUP_PROTOCOL: Fatal;
    24 InvalidGroupId INVALID_GROUP_ID: Fatal;
    25 UnknownMemberId UNKNOWN_MEMBER_ID: Rejoin;
    26 InvalidSessionTimeout INVALID_SESSION_TIMEOUT: Fatal;
    27 RebalanceInProgress REBALANCE_IN_PROGRESS: Rejoin;
    28 InvalidCommitOffsetSize INVALID_COMMIT_OFFSET_SIZE: Fatal;
    29 TopicAuthorizationFailed TOPIC_AUTHORIZATION_FAILED: Denied;
    30 GroupAuthorizationFailed GROUP_AUTHORIZATION_FAILED: Denied;
    31 ClusterAuthorizationFailed CLUSTER_AUTHORIZATION_FAILED: Denied;
    32 InvalidTimestamp INVALID_TIMESTAMP: Fatal;
    33 UnsupportedSaslMechanism UNSUPPORTED_SASL_MECHANISM: Denied;
    34 IllegalSaslState ILLEGAL_SASL_STATE: Denied;
    35 UnsupportedVersion UNSUPPORTED_VERSION: Fatal;
    36 TopicAlreadyExists TOPIC_ALREADY_EXISTS: Fatal;
    37 InvalidPartitions INVALID_PARTITIONS: Fatal;
    38 InvalidReplicationFactor INVALID_REPLICATION_FACTOR: Fatal;
    39 InvalidReplicaAssignment INVALID_REPLICA_ASSIGNMENT: Fatal;
    40 InvalidConfig INVALID_CONFIG: Fatal;
    41 NotController NOT_CONTROLLER: RefreshMetadata;
    42 InvalidRequest INVALID_REQUEST: Fatal;
    43 UnsupportedForMessageFormat UNSUPPORTED_FOR_MESSAGE_FORMAT: Fatal;
    44 PolicyViolation POLICY_VIOLATION: Fatal;
    45 OutOfOrderSequenceNumber OUT_OF_ORDER_SEQUENCE_NUMBER: Abortable;
    46 DuplicateSequenceNumber DUPLICATE_SEQUENCE_NUMBER: Fatal;
    47 InvalidProducerEpoch INVALID_PRODUCER_EPOCH: Fenced;
    48 InvalidTxnState INVALID_TXN_STATE: Fatal;
    49 InvalidProducerIdMapping INVALID_PRODUCER_ID_MAPPING: Fenced;
    50 InvalidTransactionTimeout INVALID_TRANSACTION_TIMEOUT: Fatal;
    51 ConcurrentTransactions CONCURRENT_TRANSACTIONS: Retry;
    52 TransactionCoordinatorFenced TRANSACTION_COORDINATOR_FENCED: Fatal;
    53 TransactionalIdAuthorizationFailed TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Denied;
    54 SecurityDisabled SECURITY_DISABLED: Fatal;
    55 OperationNotAttempted OPERATION_NOT_ATTEMPTED: Fatal;
    56 KafkaStorageError KAFKA_STORAGE_ERROR: RefreshMetadata;
    57 LogDirNotFound LOG_DIR_NOT_FOUND: Fatal;
    58 SaslAuthenticationFailed SASL_AUTHENTICATION_FAILED: Denied;
    59 UnknownProducerId UNKNOWN_PRODUCER_ID: Abortable;
    60 ReassignmentInProgress REASSIGNMENT_IN_PROGRESS: Fatal;
    61 DelegationTokenAuthDisabled DELEGATION_TOKEN_AUTH_DISABLED: Fatal;
    62 DelegationTokenNotFound DELEGATION_TOKEN_NOT_FOUND: Fatal;
    63 DelegationTokenOwnerMismatch DELEGATION_TOKEN_OWNER_MISMATCH: Fatal;
    64 DelegationTokenRequestNotAllowed DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: Denied;
    65 DelegationTokenAuthorizationFailed DELEGATION_TOKEN_AUTHORIZATION_FAILED: Denied;
    66 DelegationTokenExpired DELEGATION_TOKEN_EXPIRED: Fatal;
    67 InvalidPrincipalType INVALID_PRINCIPAL_TYPE: Fatal;
    68 NonEmptyGroup NON_EMPTY_GROUP: Fatal;
    69 GroupIdNotFound GROUP_ID_NOT_FOUND: Fatal;
    70 FetchSessionIdNotFound FETCH_SESSION_ID_NOT_FOUND: Retry;
    71 InvalidFetchSessionEpoch INVALID_FETCH_SESSION_EPOCH: Retry;
    72 ListenerNotFound LISTENER_NOT_FOUND: RefreshMetadata;
    73 TopicDeletionDisabled TOPIC_DELETION_DISABLED: Fatal;
    74 FencedLeaderEpoch FENCED_LEADER_EPOCH: RefreshMetadata;
    75 UnknownLeaderEpoch UNKNOWN_LEADER_EPOCH: Retry;
    76 UnsupportedCompressionType UNSUPPORTED_COMPRESSION_TYPE: Fatal;
    77 StaleBrokerEpoch STALE_BROKER_EPOCH: Fatal;
    78 OffsetNotAvailable OFFSET_NOT_AVAILABLE: Retry;
    79 MemberIdRequired MEMBER_ID_REQUIRED: Rejoin;
    80 PreferredLeaderNotAvailable PREFERRED_LEADER_NOT_AVAILABLE: RefreshMetadata;
    81 GroupMaxSizeReached GROUP_MAX_SIZE_REACHED: Fatal;
    82 FencedInstanceId FENCED_INSTANCE_ID: Fenced;
    83 EligibleLeadersNotAvailable ELIGIBLE_LEADERS_NOT_AVAILABLE: RefreshMetadata;
    84 ElectionNotNeeded ELECTION_NOT_NEEDED: RefreshMetadata;
    85 NoReassignmentInProgress NO_REASSIGNMENT_IN_PROGRESS: Fatal;
    86 GroupSubscribedToTopic GROUP_SUBSCRIBED_TO_TOPIC: Fatal;
    87 InvalidRecord INVALID_RECORD: Fatal;
    88 UnstableOffsetCommit UNSTABLE_OFFSET_COMMIT: Retry;
    89 ThrottlingQuotaExceeded THROTTLING_QUOTA_EXCEEDED: Retry;
    90 ProducerFenced PRODUCER_FENCED: Fenced;
    91 ResourceNotFound RESOURCE_NOT_FOUND: Fatal;
    92 DuplicateResource DUPLICATE_RESOURCE: Fatal;
    93 UnacceptableCredential UNACCEPTABLE_CREDENTIAL: Fatal;
    94 InconsistentVoterSet INCONSISTENT_VOTER_SET: Fatal;
    95 InvalidUpdateVersion INVALID_UPDATE_VERSION: Fatal;
    96 FeatureUpdateFailed FEATURE_UPDATE_FAILED: Fatal;
    97 PrincipalDeserializationFailure PRINCIPAL_DESERIALIZATION_FAILURE: Fatal;
    98 SnapshotNotFound SNAPSHOT_NOT_FOUND: Fatal;
    99 PositionOutOfRange POSITION_OUT_OF_RANGE: Fatal;
    100 UnknownTopicId UNKNOWN_TOPIC_ID: RefreshMetadata;
    101 DuplicateBrokerRegistration DUPLICATE_BROKER_REGISTRATION: Fatal;
    102 BrokerIdNotRegistered BROKER_ID_NOT_REGISTERED: Fatal;
    103 InconsistentTopicId INCONSISTENT_TOPIC_ID: RefreshMetadata;
    104 InconsistentClusterId INCONSISTENT_CLUSTER_ID: Fatal;
    105 TransactionalIdNotFound TRANSACTIONAL_ID_NOT_FOUND: Fatal;
    106 FetchSessionTopicIdError FETCH_SESSION_TOPIC_ID_ERROR: Retry;
    107 IneligibleReplica INELIGIBLE_REPLICA: Fatal;
    108 NewLeaderElected NEW_LEADER_ELECTED: Fatal;
    109 OffsetMovedToTieredStorage OFFSET_MOVED_TO_TIERED_STORAGE: Fatal;
    110 FencedMemberEpoch FENCED_MEMBER_EPOCH: Rejoin;
    111 UnreleasedInstanceId UNRELEASED_INSTANCE_ID: Fatal;
    112 UnsupportedAssignor UNSUPPORTED_ASSIGNOR: Fatal;
    113 StaleMemberEpoch STALE_MEMBER_EPOCH: Rejoin;
    114 MismatchedEndpointType MISMATCHED_ENDPOINT_TYPE: Fatal;
    115 UnsupportedEndpointType UNSUPPORTED_ENDPOINT_TYPE: Fatal;
    116 UnknownControllerId UNKNOWN_CONTROLLER_ID: Fatal;
    117 UnknownSubscriptionId UNKNOWN_SUBSCRIPTION_ID: Fatal;
    118 TelemetryTooLarge TELEMETRY_TOO_LARGE: Fatal;
    119 InvalidRegistration INVALID_REGISTRATION: Fatal;
    120 TransactionAbortable TRANSACTION_ABORTABLE: Abortable;
    121 InvalidRecordState INVALID_RECORD_STATE: Fatal;
    122 ShareSessionNotFound SHARE_SESSION_NOT_FOUND: Retry;
    123 InvalidShareSessionEpoch INVALID_SHARE_SESSION_EPOCH: Retry;
    124 FencedStateEpoch FENCED_STATE_EPOCH: Fatal;
    125 InvalidVoterKey INVALID_VOTER_KEY: Fatal;
    126 DuplicateVoter DUPLICATE_VOTER: Fatal;
    127 VoterNotFound VOTER_NOT_FOUND: Fatal;
    128 InvalidRegularExpression INVALID_REGULAR_EXPRESSION: Fatal;
    129 RebootstrapRequired REBOOTSTRAP_REQUIRED: RefreshMetadata;
    130 StreamsInvalidTopology STREAMS_INVALID_TOPOLOGY: Fatal;
    131 StreamsInvalidTopologyEpoch STREAMS_INVALID_TOPOLOGY_EPOCH: Fatal;
    132 StreamsTopologyFenced STREAMS_TOPOLOGY_FENCED: Fatal;
    133 ShareSessionLimitReached SHARE_SESSION_LIMIT_REACHED: Retry;
}

impl ErrorCode {
    /// Whether the same request may succeed later, perhaps elsewhere.
    pub fn is_retriable(self) -> bool {
        matches!(self.class(), Class::Retry | Class::RefreshMetadata | Class::RefreshCoordinator)
    }

    /// The code as a result.
    pub fn ok(self) -> Result<(), Self> {
        match self {
            Self::None => Ok(()),
            error => Err(error),
        }
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(code) => write!(f, "error code {code}"),
            known => f.write_str(known.name()),
        }
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back() {
        for code in i16::MIN..=i16::MAX {
            assert_eq!(ErrorCode::from(code).code(), code);
        }
    }

    #[test]
    fn the_table_has_each_code_of_kafka_once() {
        let codes: Vec<i16> = ErrorCode::ALL.iter().map(|error| error.code()).collect();
        assert_eq!(codes, (-1..=133).collect::<Vec<_>>());
    }

    #[test]
    fn only_no_error_is_a_success() {
        let successes: Vec<_> =
            ErrorCode::ALL.iter().filter(|error| error.class() == Class::Success).collect();
        assert_eq!(successes, [&ErrorCode::None]);
        assert_eq!(ErrorCode::default().ok(), Ok(()));
        assert_eq!(ErrorCode::Unknown(700).ok(), Err(ErrorCode::Unknown(700)));
    }
}
