//! The table of APIs: key, versions, since when flexible, how long a request may be, and which response answers
//! which request.

use std::ops::RangeInclusive;

use crate::{messages::*, primitive::Wire, schema::Struct, version::Version};

/// A request type and all that its API fixes.
pub trait Request: Wire + Send + 'static {
    /// What answers it.
    type Response: Struct + Send + 'static;
    /// Its API.
    const API: Api;
}

/// The longest request that carries records, as Kafka's `socket.request.max.bytes`.
const RECORDS: usize = 100 << 20;

/// The longest request that may name every topic or partition that a client has to do with, or bring something for
/// each: 250,000 partitions to fetch from, or as many offsets with little metadata, or 30,000 topics with the longest
/// names.
const LISTS: usize = 8 << 20;

/// The longest request that lists what somebody picked: groups, transactions, quotas, partitions of some topics.
const NAMES: usize = 1 << 20;

/// The longest request that names one thing or nothing; such may come from a peer that nobody knows yet.
const SMALL: usize = 64 << 10;

/// The longest step of a login, as Kafka's `sasl.server.max.receive.size`: tickets and tokens can be long.
const TOKENS: usize = 512 << 10;

/// For [`Version::flexible`] of an API that came before flexible versions and was never changed again.
const NEVER: i16 = i16::MAX;

/// Declares [`Api`] from a table of `key Name: Request => Response, versions, flexible since, bytes;` rows.
macro_rules! apis {
    (
        $($key:literal $name:ident: $request:ident => $response:ident, $versions:expr, flexible $flexible:expr, $bytes:expr;)*
    ) => {
        /// An API of the Kafka protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        #[repr(i16)]
        pub enum Api {
            $($name = $key,)*
        }

        impl Api {
            /// Every API this crate speaks, by key.
            pub const ALL: &[Api] = &[$(Api::$name,)*];

            /// The API of a key, if this crate speaks it.
            pub fn from_key(key: i16) -> Option<Self> {
                match key {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The versions this crate speaks.
            pub fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $versions,)*
                }
            }

            /// How long a request's frame may be, without its length. A reader that knows the key refuses what is
            /// longer before it comes.
            pub fn request_bytes_max(self) -> usize {
                match self {
                    $(Self::$name => $bytes,)*
                }
            }

            /// The first flexible version.
            fn flexible_since(self) -> i16 {
                match self {
                    $(Self::$name => $flexible,)*
                }
            }
        }

        #[cfg(any(test, feature = "sample"))]
        pub(crate) fn each_message(visitor: &mut impl crate::sample::Visitor) {
            $(
                visitor.ask::<$request>();
                visitor.visit::<$request>(Api::$name, stringify!($request));
                visitor.visit::<$response>(Api::$name, stringify!($response));
            )*
        }

        #[cfg(any(test, feature = "sample"))]
        pub(crate) fn exchanges() -> Vec<crate::describe::Exchange> {
            use crate::describe::{Exchange, table};
            vec![$(Exchange {
                api: Api::$name,
                request: table::<$request>(),
                response: table::<$response>(),
            },)*]
        }

        $(impl Request for $request {
            type Response = $response;
            const API: Api = Api::$name;
        })*
    };
}

apis! {
    0 Produce: ProduceRequest => ProduceResponse, 3..=13, flexible 9, RECORDS;
    1 Fetch: FetchRequest => FetchResponse, 4..=18, flexible 12, LISTS;
    2 ListOffsets: ListOffsetsRequest => ListOffsetsResponse, 1..=11, flexible 6, LISTS;
    3 Metadata: MetadataRequest => MetadataResponse, 0..=13, flexible 9, LISTS;
    8 OffsetCommit: OffsetCommitRequest => OffsetCommitResponse, 2..=10, flexible 8, LISTS;
    9 OffsetFetch: OffsetFetchRequest => OffsetFetchResponse, 1..=10, flexible 6, LISTS;
    10 FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse, 0..=6, flexible 3, NAMES;
    11 JoinGroup: JoinGroupRequest => JoinGroupResponse, 0..=9, flexible 6, LISTS;
    12 Heartbeat: HeartbeatRequest => HeartbeatResponse, 0..=4, flexible 4, SMALL;
    13 LeaveGroup: LeaveGroupRequest => LeaveGroupResponse, 0..=5, flexible 4, NAMES;
    14 SyncGroup: SyncGroupRequest => SyncGroupResponse, 0..=5, flexible 4, LISTS;
    15 DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse, 0..=6, flexible 5, NAMES;
    16 ListGroups: ListGroupsRequest => ListGroupsResponse, 0..=5, flexible 3, NAMES;
    17 SaslHandshake: SaslHandshakeRequest => SaslHandshakeResponse, 0..=1, flexible NEVER, SMALL;
    18 ApiVersions: ApiVersionsRequest => ApiVersionsResponse, 0..=4, flexible 3, SMALL;
    19 CreateTopics: CreateTopicsRequest => CreateTopicsResponse, 2..=7, flexible 5, LISTS;
    20 DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse, 1..=6, flexible 4, LISTS;
    21 DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse, 0..=2, flexible 2, LISTS;
    22 InitProducerId: InitProducerIdRequest => InitProducerIdResponse, 0..=6, flexible 2, SMALL;
    23 OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse, 2..=4, flexible 4, LISTS;
    24 AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse, 0..=5, flexible 3, NAMES;
    25 AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse, 0..=4, flexible 3, SMALL;
    26 EndTxn: EndTxnRequest => EndTxnResponse, 0..=5, flexible 3, SMALL;
    28 TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse, 0..=5, flexible 3, LISTS;
    29 DescribeAcls: DescribeAclsRequest => DescribeAclsResponse, 1..=3, flexible 2, NAMES;
    30 CreateAcls: CreateAclsRequest => CreateAclsResponse, 1..=3, flexible 2, LISTS;
    31 DeleteAcls: DeleteAclsRequest => DeleteAclsResponse, 1..=3, flexible 2, NAMES;
    32 DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse, 1..=4, flexible 4, LISTS;
    33 AlterConfigs: AlterConfigsRequest => AlterConfigsResponse, 0..=2, flexible 2, LISTS;
    35 DescribeLogDirs: DescribeLogDirsRequest => DescribeLogDirsResponse, 1..=5, flexible 2, NAMES;
    36 SaslAuthenticate: SaslAuthenticateRequest => SaslAuthenticateResponse, 0..=2, flexible 2, TOKENS;
    37 CreatePartitions: CreatePartitionsRequest => CreatePartitionsResponse, 0..=3, flexible 2, NAMES;
    42 DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse, 0..=2, flexible 2, NAMES;
    43 ElectLeaders: ElectLeadersRequest => ElectLeadersResponse, 0..=2, flexible 2, LISTS;
    44 IncrementalAlterConfigs: IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse, 0..=1, flexible 1, LISTS;
    45 AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse, 0..=1, flexible 0, LISTS;
    46 ListPartitionReassignments: ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse, 0..=0, flexible 0, NAMES;
    47 OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse, 0..=0, flexible NEVER, NAMES;
    48 DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse, 0..=1, flexible 1, NAMES;
    49 AlterClientQuotas: AlterClientQuotasRequest => AlterClientQuotasResponse, 0..=1, flexible 1, NAMES;
    50 DescribeUserScramCredentials: DescribeUserScramCredentialsRequest => DescribeUserScramCredentialsResponse, 0..=0, flexible 0, NAMES;
    51 AlterUserScramCredentials: AlterUserScramCredentialsRequest => AlterUserScramCredentialsResponse, 0..=0, flexible 0, NAMES;
    55 DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse, 0..=2, flexible 0, NAMES;
    57 UpdateFeatures: UpdateFeaturesRequest => UpdateFeaturesResponse, 0..=2, flexible 0, NAMES;
    60 DescribeCluster: DescribeClusterRequest => DescribeClusterResponse, 0..=2, flexible 0, SMALL;
    61 DescribeProducers: DescribeProducersRequest => DescribeProducersResponse, 0..=0, flexible 0, NAMES;
    65 DescribeTransactions: DescribeTransactionsRequest => DescribeTransactionsResponse, 0..=0, flexible 0, NAMES;
    66 ListTransactions: ListTransactionsRequest => ListTransactionsResponse, 0..=2, flexible 0, NAMES;
    68 ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse, 0..=1, flexible 0, LISTS;
    69 ConsumerGroupDescribe: ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse, 0..=1, flexible 0, NAMES;
    74 ListConfigResources: ListConfigResourcesRequest => ListConfigResourcesResponse, 0..=1, flexible 0, SMALL;
    75 DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse, 0..=0, flexible 0, LISTS;
}

/// The longest answer that carries records: a fetch asks for a fifth of it unless told otherwise, and gets no more
/// than one batch beyond that.
const RECORDS_BACK: usize = 256 << 20;

/// The longest answer about everything there is: a large cluster has 200,000 partitions, and 100 bytes or a few
/// configs for each of them or their topics take less than this.
const LISTS_BACK: usize = 64 << 20;

/// The longest answer about what a request named: an error and a little more for each.
const NAMES_BACK: usize = 16 << 20;

impl Api {
    /// How long a response's frame may be, without its length. A reader that knows what it asked refuses what is
    /// longer before it comes.
    pub fn response_bytes_max(self) -> usize {
        match self {
            Self::Fetch => RECORDS_BACK,
            Self::Heartbeat | Self::InitProducerId | Self::AddOffsetsToTxn | Self::EndTxn => SMALL,
            Self::SaslHandshake | Self::ApiVersions => SMALL,
            Self::SaslAuthenticate => TOKENS,
            Self::ListOffsets
            | Self::Metadata
            | Self::OffsetFetch
            | Self::DescribeGroups
            | Self::ListGroups
            | Self::JoinGroup
            | Self::DescribeAcls
            | Self::DescribeConfigs
            | Self::DescribeLogDirs
            | Self::OffsetForLeaderEpoch
            | Self::DescribeProducers
            | Self::ListTransactions
            | Self::CreateTopics
            | Self::ConsumerGroupDescribe => LISTS_BACK,
            _ => NAMES_BACK,
        }
    }

    /// Its number on the wire.
    pub fn key(self) -> i16 {
        self as i16
    }

    /// A version of it.
    pub fn version(self, number: i16) -> Version {
        Version { number, flexible: number >= self.flexible_since() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leads_to_its_api_and_no_other_does() {
        for api in Api::ALL {
            assert_eq!(Api::from_key(api.key()), Some(*api));
        }
        assert_eq!(Api::from_key(-1), None);
        assert_eq!(Api::from_key(4), None);
    }

    #[test]
    fn what_comes_first_on_a_connection_is_small() {
        assert_eq!(Api::ApiVersions.request_bytes_max(), 64 << 10);
        assert_eq!(Api::Produce.request_bytes_max(), 100 << 20);
        assert_eq!(Api::ApiVersions.response_bytes_max(), 64 << 10);
        assert_eq!(Api::SaslAuthenticate.response_bytes_max(), 512 << 10);
    }

    #[test]
    fn an_answer_may_be_as_long_as_what_it_answers() {
        for api in Api::ALL.iter().copied().filter(|api| *api != Api::Produce) {
            let (request, response) = (api.request_bytes_max(), api.response_bytes_max());
            assert!(response >= request, "{api:?}: {request} bytes are answered in {response}");
        }
    }
}
