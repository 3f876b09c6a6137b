//! A durable Kafka-compatible broker of one node, in process or as a server.
//!
//! It is never part of a cluster and says so: what needs replicas is served as if one were enough, or refused by
//! name. Everything it acknowledges is in its journal first.

mod api;
mod clock;
mod config;
mod connection;
pub mod disk;
mod dispatch;
mod error;
#[allow(dead_code)]
mod ledger;
#[allow(dead_code)]
mod log;
mod node;
mod server;

pub use clock::SystemClock;
pub use config::{Builder, Sync};
pub use error::{Error, ErrorKind, Result};
pub use server::{Broker, Connector};
