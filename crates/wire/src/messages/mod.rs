//! Every message, one table per topic. Structs and fields carry Kafka's names.
//!
//! Some structs of different topics share a name in Kafka. Where they do, all but one of the topics stay modules of
//! their own at the crate's door, with only their requests and responses re-exported.

pub mod acls;
pub mod cluster;
pub mod configs;
pub mod fetch;
pub mod group;
pub mod metadata;
pub mod next_group;
pub mod offsets;
pub mod produce;
pub mod sasl;
pub mod session;
pub mod topics;
pub mod txn;

pub use acls::*;
pub use cluster::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, DescribeClusterRequest,
    DescribeClusterResponse, DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeQuorumRequest,
    DescribeQuorumResponse, ElectLeadersRequest, ElectLeadersResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
pub use configs::*;
pub use fetch::{FetchRequest, FetchResponse};
pub use group::*;
pub use metadata::*;
pub use next_group::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
};
pub use offsets::*;
pub use produce::{ProduceRequest, ProduceResponse};
pub use sasl::*;
pub use session::*;
pub use topics::*;
pub use txn::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
