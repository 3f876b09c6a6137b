//! Every decision of vltava's client, runtime and broker, as machines that only compute.
//!
//! A room is a conversation, with both of its ends side by side. Nothing in here is async, locked, shared or
//! spawned; time and chance come in as arguments.

mod backoff;
pub mod cluster;
pub mod fetch;
pub mod group;
#[doc(hidden)]
pub mod planted;
pub mod produce;
mod rng;
pub mod session;
mod time;
pub mod work;

pub use backoff::Backoff;
pub use cluster::TopicPartition;
pub use rng::Rng;
pub use time::{Clock, Moment, Timestamp};
