//! A durable Kafka-compatible broker of one node, in process or as a server.
//!
//! It is never part of a cluster and says so: what needs replicas is served as if one were enough, or refused by
//! name. Everything it acknowledges is in its journal first.

mod api;
mod call;
mod clock;
mod config;
mod connection;
mod coordinator;
mod denied;
pub mod disk;
mod dispatch;
mod entropy;
mod epoch;
mod error;
pub mod faults;
mod fetch_sessions;
mod ledger;
mod log;
mod memory;
mod node;
mod park;
mod server;
mod topic_rules;

pub use clock::SystemClock;
pub use config::{Builder, Sync};
pub use error::{Error, ErrorKind, Result};
pub use log::Options as LogOptions;
pub use memory::RequestMemory;
pub use server::{Broker, Connector};
pub use vltava_wire::ErrorCode;
