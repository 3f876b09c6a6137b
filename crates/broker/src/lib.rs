//! A durable Kafka-compatible broker of one node, in process or as a server.
//!
//! It is never part of a cluster and says so: what needs replicas is served as if one were enough, or refused by
//! name. Everything it acknowledges is in its journal first.
//!
//! For tests of failover it can pretend: [`Builder::nodes`] gives it several node ids, each with an address of its own,
//! which lead and coordinate in turn, and stop and start. They are faces of one broker, with one journal in one
//! process: nothing is replicated, and nothing is safer than with one.

mod api;
mod call;
mod clock;
mod config;
mod connection;
mod coordinator;
mod denied;
pub mod disk;
mod dispatch;
mod doors;
mod entropy;
mod error;
pub mod faults;
mod fetch_sessions;
mod gate;
mod group_options;
mod leadership;
mod ledger;
mod listen;
mod log;
mod memory;
mod moves;
mod node;
mod node_handle;
mod nodes;
mod park;
mod server;
mod topic_rules;
mod watched;

pub use clock::{SystemClock, TestClock};
pub use config::{Builder, Sync};
pub use doors::Connector;
pub use error::{Error, ErrorKind, Result};
pub use group_options::GroupOptions;
pub use log::Options as LogOptions;
pub use memory::RequestMemory;
pub use node_handle::NodeHandle;
pub use server::Broker;
pub use vltava_core::group::coordinator::Limits as GroupLimits;
pub use vltava_wire::ErrorCode;
