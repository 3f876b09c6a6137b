//! The consumer runtime: hands the records of Kafka topics to workers, in the order that was chosen, and commits what
//! is done.
//!
//! In Rust a flow is [`Flow::from`] and a closure or a [`Handler`]; from a file it is [`spec::File`] and
//! [`pipeline`]. Records are handled at least once: a commit never passes a record that is not done.

mod alarm;
mod commits;
mod config;
mod control;
mod driver;
mod end;
mod error;
mod failure;
mod flow;
mod handler;
mod kafka;
mod leaving;
mod output;
pub mod pipeline;
mod pool;
mod record;
mod registry;
mod shard;
mod sink;
mod slots;
mod sources;
pub mod spec;
mod steps;
mod wakes;

pub use config::{Commit, Prefetch, WORKERS_MAX};
pub use control::{Control, Stats, Summary};
pub use end::all_until_signal;
pub use error::{Error, ErrorKind, Result};
pub use failure::Failure;
pub use flow::{DRAIN, Flow, FlowHandle, Ready, Topics};
pub use handler::{Context, Handler, Outcome};
pub use output::{Format, Output};
pub use record::Record;
pub use registry::{Kind, Open, Registry};
pub use sink::{BoxFuture, Sink};
pub use sources::Progress;
pub use steps::{Decode, Fault, Program, Step};
pub use vltava_core::work::Order;
