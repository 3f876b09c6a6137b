//! The strangers that judge our bytes, behind one door: which versions each knows, and what it makes of a message.

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use kacrab_protocol::{generated as kacrab, version as kacrab_version};
use kafka_protocol::{
    messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind},
    protocol::{Decodable, Encodable},
};
use vltava_wire::Api;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// What a stranger makes of bytes of ours: the same message in its own bytes, or why not.
pub(crate) type Verdict = Result<Bytes, String>;

/// An independent codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oracle {
    /// Generated from Kafka 4.3.
    Kacrab,
    /// Generated from Kafka 4.1, and longer in use.
    KafkaProtocol,
}

/// What an oracle says it knows and does not. Entries that are no longer true fail the tests.
pub(crate) const NOT_KNOWN_AFTER_ALL: &[(Oracle, Api, Side, i16)] = &[
    // In 4.1 the newest version of these requests was not stable yet: their types stop before it.
    (Oracle::KafkaProtocol, Api::OffsetCommit, Side::Request, 10),
    (Oracle::KafkaProtocol, Api::OffsetFetch, Side::Request, 10),
    (Oracle::KafkaProtocol, Api::InitProducerId, Side::Request, 6),
];

impl Oracle {
    pub(crate) const ALL: [Self; 2] = [Self::Kacrab, Self::KafkaProtocol];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kacrab => "kacrab-protocol",
            Self::KafkaProtocol => "kafka-protocol",
        }
    }

    /// Those that know a version of a message.
    pub(crate) fn knowing(api: Api, side: Side, version: i16) -> Vec<Self> {
        let knows = |oracle: &Self| {
            oracle.versions(api).contains(&version)
                && !NOT_KNOWN_AFTER_ALL.contains(&(*oracle, api, side, version))
        };
        Self::ALL.into_iter().filter(knows).collect()
    }

    /// The versions it says it knows of an API.
    fn versions(self, api: Api) -> RangeInclusive<i16> {
        match self {
            Self::Kacrab => {
                let known = kacrab::client_api_info(kacrab_key(api));
                known.min_version..=known.max_version
            }
            Self::KafkaProtocol => {
                let known = kafka_protocol_key(api).valid_versions();
                known.min..=known.max
            }
        }
    }

    /// The header that it would send before a request.
    pub(crate) fn request_header(
        self,
        api: Api,
        version: i16,
        correlation_id: i32,
        client_id: Option<&str>,
    ) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Kacrab => kacrab::RequestHeaderData::default()
                .with_request_api_key(api.key())
                .with_request_api_version(version)
                .with_correlation_id(correlation_id)
                .with_client_id(client_id.map(|id| id.to_owned().into()))
                .write(&mut out, kacrab_version::request_header_version(api.key(), version))
                .expect("it can write a header"),
            Self::KafkaProtocol => RequestHeader::default()
                .with_request_api_key(api.key())
                .with_request_api_version(version)
                .with_correlation_id(correlation_id)
                .with_client_id(client_id.map(|id| id.to_owned().into()))
                .encode(&mut out, kafka_protocol_key(api).request_header_version(version))
                .expect("it can write a header"),
        }
        out.freeze()
    }

    /// The header that it would send before a response.
    pub(crate) fn response_header(self, api: Api, version: i16, correlation_id: i32) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Kacrab => kacrab::ResponseHeaderData::default()
                .with_correlation_id(correlation_id)
                .write(&mut out, kacrab_version::response_header_version(api.key(), version))
                .expect("it can write a header"),
            Self::KafkaProtocol => ResponseHeader::default()
                .with_correlation_id(correlation_id)
                .encode(&mut out, kafka_protocol_key(api).response_header_version(version))
                .expect("it can write a header"),
        }
        out.freeze()
    }

    /// Decodes a message and encodes it again.
    pub(crate) fn again(self, api: Api, side: Side, version: i16, mut bytes: Bytes) -> Verdict {
        let mut again = BytesMut::new();
        let judged = match self {
            Self::Kacrab => kacrab_again(api, side, version, &mut bytes, &mut again),
            Self::KafkaProtocol => kafka_protocol_again(api, side, version, &mut bytes, &mut again),
        };
        judged.and_then(|()| all_of(bytes, again))
    }
}

/// What was encoded again, if nothing was left of what was decoded.
fn all_of(left: Bytes, again: BytesMut) -> Verdict {
    if left.is_empty() { Ok(again.freeze()) } else { Err(format!("{} bytes are left", left.len())) }
}

fn kafka_protocol_key(api: Api) -> ApiKey {
    ApiKey::try_from(api.key()).expect("it knows every API there is")
}

fn kafka_protocol_again(
    api: Api,
    side: Side,
    version: i16,
    bytes: &mut Bytes,
    again: &mut BytesMut,
) -> Result<(), String> {
    let key = kafka_protocol_key(api);
    let judged = match side {
        Side::Request => {
            RequestKind::decode(key, bytes, version).and_then(|message| message.encode(again, version))
        }
        Side::Response => {
            ResponseKind::decode(key, bytes, version).and_then(|message| message.encode(again, version))
        }
    };
    judged.map_err(|error| format!("{error:#}"))
}

/// One message of `kafka-protocol` that belongs to no API.
pub(crate) fn kafka_protocol_message<T: Encodable + Decodable>(version: i16, mut bytes: Bytes) -> Verdict {
    let mut again = BytesMut::new();
    let judged = T::decode(&mut bytes, version).and_then(|message| message.encode(&mut again, version));
    judged.map_err(|error| format!("{error:#}"))?;
    all_of(bytes, again)
}

/// Decodes as a type of `kacrab-protocol`, whose types have no trait in common, and encodes again.
macro_rules! kacrab_message {
    ($message:ident, $version:expr, $bytes:expr, $again:expr) => {
        kacrab::$message::read($bytes, $version)
            .and_then(|message| message.write($again, $version))
            .map_err(|error| error.to_string())
    };
}
pub(crate) use kacrab_message;

fn kacrab_key(api: Api) -> kacrab::ApiKey {
    kacrab::ApiKey::from_i16(api.key()).expect("it knows every API there is")
}

macro_rules! kacrab_messages {
    ($($api:ident: $request:ident $response:ident;)*) => {
        fn kacrab_again(
            api: Api,
            side: Side,
            version: i16,
            bytes: &mut Bytes,
            again: &mut BytesMut,
        ) -> Result<(), String> {
            match (api, side) {
                $(
                    (Api::$api, Side::Request) => kacrab_message!($request, version, bytes, again),
                    (Api::$api, Side::Response) => kacrab_message!($response, version, bytes, again),
                )*
            }
        }
    };
}

kacrab_messages! {
    Produce: ProduceRequestData ProduceResponseData;
    Fetch: FetchRequestData FetchResponseData;
    ListOffsets: ListOffsetsRequestData ListOffsetsResponseData;
    Metadata: MetadataRequestData MetadataResponseData;
    OffsetCommit: OffsetCommitRequestData OffsetCommitResponseData;
    OffsetFetch: OffsetFetchRequestData OffsetFetchResponseData;
    FindCoordinator: FindCoordinatorRequestData FindCoordinatorResponseData;
    JoinGroup: JoinGroupRequestData JoinGroupResponseData;
    Heartbeat: HeartbeatRequestData HeartbeatResponseData;
    LeaveGroup: LeaveGroupRequestData LeaveGroupResponseData;
    SyncGroup: SyncGroupRequestData SyncGroupResponseData;
    DescribeGroups: DescribeGroupsRequestData DescribeGroupsResponseData;
    ListGroups: ListGroupsRequestData ListGroupsResponseData;
    SaslHandshake: SaslHandshakeRequestData SaslHandshakeResponseData;
    ApiVersions: ApiVersionsRequestData ApiVersionsResponseData;
    CreateTopics: CreateTopicsRequestData CreateTopicsResponseData;
    DeleteTopics: DeleteTopicsRequestData DeleteTopicsResponseData;
    DeleteRecords: DeleteRecordsRequestData DeleteRecordsResponseData;
    InitProducerId: InitProducerIdRequestData InitProducerIdResponseData;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequestData OffsetForLeaderEpochResponseData;
    AddPartitionsToTxn: AddPartitionsToTxnRequestData AddPartitionsToTxnResponseData;
    AddOffsetsToTxn: AddOffsetsToTxnRequestData AddOffsetsToTxnResponseData;
    EndTxn: EndTxnRequestData EndTxnResponseData;
    TxnOffsetCommit: TxnOffsetCommitRequestData TxnOffsetCommitResponseData;
    DescribeAcls: DescribeAclsRequestData DescribeAclsResponseData;
    CreateAcls: CreateAclsRequestData CreateAclsResponseData;
    DeleteAcls: DeleteAclsRequestData DeleteAclsResponseData;
    DescribeConfigs: DescribeConfigsRequestData DescribeConfigsResponseData;
    AlterConfigs: AlterConfigsRequestData AlterConfigsResponseData;
    DescribeLogDirs: DescribeLogDirsRequestData DescribeLogDirsResponseData;
    SaslAuthenticate: SaslAuthenticateRequestData SaslAuthenticateResponseData;
    CreatePartitions: CreatePartitionsRequestData CreatePartitionsResponseData;
    DeleteGroups: DeleteGroupsRequestData DeleteGroupsResponseData;
    ElectLeaders: ElectLeadersRequestData ElectLeadersResponseData;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequestData IncrementalAlterConfigsResponseData;
    AlterPartitionReassignments: AlterPartitionReassignmentsRequestData AlterPartitionReassignmentsResponseData;
    ListPartitionReassignments: ListPartitionReassignmentsRequestData ListPartitionReassignmentsResponseData;
    OffsetDelete: OffsetDeleteRequestData OffsetDeleteResponseData;
    DescribeClientQuotas: DescribeClientQuotasRequestData DescribeClientQuotasResponseData;
    AlterClientQuotas: AlterClientQuotasRequestData AlterClientQuotasResponseData;
    DescribeUserScramCredentials: DescribeUserScramCredentialsRequestData DescribeUserScramCredentialsResponseData;
    AlterUserScramCredentials: AlterUserScramCredentialsRequestData AlterUserScramCredentialsResponseData;
    DescribeQuorum: DescribeQuorumRequestData DescribeQuorumResponseData;
    UpdateFeatures: UpdateFeaturesRequestData UpdateFeaturesResponseData;
    DescribeCluster: DescribeClusterRequestData DescribeClusterResponseData;
    DescribeProducers: DescribeProducersRequestData DescribeProducersResponseData;
    DescribeTransactions: DescribeTransactionsRequestData DescribeTransactionsResponseData;
    ListTransactions: ListTransactionsRequestData ListTransactionsResponseData;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequestData ConsumerGroupHeartbeatResponseData;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequestData ConsumerGroupDescribeResponseData;
    ListConfigResources: ListConfigResourcesRequestData ListConfigResourcesResponseData;
    DescribeTopicPartitions: DescribeTopicPartitionsRequestData DescribeTopicPartitionsResponseData;
}
