//! What differs from Kafka on purpose, and why.

use vltava_wire::Class;

use crate::difference::{Difference, Meant};

/// Names that Rust keeps for itself.
pub(crate) const RENAMED: &[(&str, &str)] = &[("type", "kind"), ("match", "matching")];

/// Differences of messages.
pub(crate) const DIFFERENCES: &[Meant] = &[
    meant(
        "InitProducerIdRequest",
        ["unstable", "6", "never"],
        "it is read and written like the others; as in Kafka, no broker offers it",
    ),
    meant("AlterClientQuotasRequest.entries", ["type", "[]EntryData", "[]AlterEntryData"], SHARED),
    meant("AlterClientQuotasResponse.entries", ["type", "[]EntryData", "[]AlteredEntryData"], SHARED),
    meant(
        "ConsumerGroupDescribeResponse.groups.members.assignment",
        ["type", "Assignment", "DescribedAssignment"],
        SHARED,
    ),
    meant(
        "ConsumerGroupDescribeResponse.groups.members.assignment.topic_partitions",
        ["type", "[]TopicPartitions", "[]DescribedTopicPartitions"],
        SHARED,
    ),
    meant(
        "ConsumerGroupDescribeResponse.groups.members.target_assignment",
        ["type", "Assignment", "DescribedAssignment"],
        SHARED,
    ),
    meant(
        "ConsumerGroupDescribeResponse.groups.members.target_assignment.topic_partitions",
        ["type", "[]TopicPartitions", "[]DescribedTopicPartitions"],
        SHARED,
    ),
    meant("DescribeQuorumResponse.topics", ["type", "[]TopicData", "[]QuorumTopicData"], SHARED),
    meant(
        "DescribeQuorumResponse.topics.partitions",
        ["type", "[]PartitionData", "[]QuorumPartitionData"],
        SHARED,
    ),
    meant(
        "IncrementalAlterConfigsRequest.resources",
        ["type", "[]AlterConfigsResource", "[]IncrementalAlterConfigsResource"],
        SHARED,
    ),
    meant(
        "IncrementalAlterConfigsRequest.resources.configs",
        ["type", "[]AlterableConfig", "[]IncrementallyAlterableConfig"],
        SHARED,
    ),
    meant(
        "ListTransactionsResponse.transaction_states",
        ["type", "[]TransactionState", "[]ListedTransaction"],
        SHARED,
    ),
];

const SHARED: &str =
    "in Kafka, structs of different content share this name; here they would be in one module";

const fn meant(place: &'static str, words: [&'static str; 3], why: &'static str) -> Meant {
    let [aspect, kafka, ours] = words;
    (Difference { place, aspect, kafka, ours }, why)
}

/// Definitions that are left out, and why.
pub(crate) const UNSPOKEN: &[(&str, &[&str])] = &[
    (
        "no version of it is left since Kafka 4.0",
        &["LeaderAndIsr", "StopReplica", "UpdateMetadata", "ControlledShutdown"],
    ),
    (
        "brokers and controllers say it to each other",
        &[
            "WriteTxnMarkers",
            "Vote",
            "BeginQuorumEpoch",
            "EndQuorumEpoch",
            "AlterPartition",
            "Envelope",
            "FetchSnapshot",
            "BrokerRegistration",
            "BrokerHeartbeat",
            "AllocateProducerIds",
            "ControllerRegistration",
            "AssignReplicasToDirs",
            "UpdateRaftVoter",
        ],
    ),
    (
        "it moves the nodes of a cluster and the folders of a node, which Kafka's own tools do",
        &["AlterReplicaLogDirs", "UnregisterBroker", "AddRaftVoter", "RemoveRaftVoter"],
    ),
    (
        "delegation tokens are not used",
        &[
            "CreateDelegationToken",
            "RenewDelegationToken",
            "ExpireDelegationToken",
            "DescribeDelegationToken",
        ],
    ),
    ("clients do not send their metrics to brokers", &["GetTelemetrySubscriptions", "PushTelemetry"]),
    (
        "there are no share groups",
        &[
            "ShareGroupHeartbeat",
            "ShareGroupDescribe",
            "ShareFetch",
            "ShareAcknowledge",
            "InitializeShareGroupState",
            "ReadShareGroupState",
            "WriteShareGroupState",
            "DeleteShareGroupState",
            "ReadShareGroupStateSummary",
            "DescribeShareGroupOffsets",
            "AlterShareGroupOffsets",
            "DeleteShareGroupOffsets",
        ],
    ),
    ("there are no groups of Kafka Streams", &["StreamsGroupHeartbeat", "StreamsGroupDescribe"]),
];

/// Definitions of what is neither asked nor answered, and why they are not compared.
pub(crate) const ELSEWHERE: &[(&str, &[&str])] = &[
    ("headers are compared as bytes", &["RequestHeader", "ResponseHeader"]),
    ("a control record is read by hand, `record/control`", &["ControlRecordTypeSchema", "EndTxnMarker"]),
    (
        "only controllers write it, into their own log",
        &[
            "KRaftVersionRecord",
            "LeaderChangeMessage",
            "SnapshotFooterRecord",
            "SnapshotHeaderRecord",
            "VotersRecord",
        ],
    ),
    ("brokers pass it on to controllers", &["DefaultPrincipalData"]),
];

/// Errors whose class is not what Kafka's exception says, and why.
pub(crate) const CLASSES: &[(&str, Class, &str)] = &[
    (
        "REBALANCE_IN_PROGRESS",
        Class::Rejoin,
        "Java's coordinator rejoins too, it is only not said by the exception",
    ),
    (
        "NOT_CONTROLLER",
        Class::RefreshMetadata,
        "who is the controller is in the metadata; Java's admin asks for it",
    ),
    ("DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Class::Denied, "it is about who asks"),
    ("MEMBER_ID_REQUIRED", Class::Rejoin, "the member joins again with the id that it was given"),
    ("FENCED_MEMBER_EPOCH", Class::Rejoin, "the member gives up what it has and joins again (KIP-848)"),
    (
        "STALE_MEMBER_EPOCH",
        Class::Rejoin,
        "it goes away with the next heartbeat, which brings the epoch (KIP-848)",
    ),
    (
        "REBOOTSTRAP_REQUIRED",
        Class::RefreshMetadata,
        "the metadata is asked for again from the first servers (KIP-1102)",
    ),
];
