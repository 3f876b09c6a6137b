//! Writing records so that each lands once and in order, whatever the network does.
//!
//! The client numbers the batches of a partition and keeps their numbers over retries (`sequence`); the broker
//! remembers the latest of each producer ([`Windows`]) and so tells a second copy from a new batch. [`Batches`] is
//! the producer around it: open batches, memory, deadlines. Sockets and waiting are not here.

mod batches;
mod closed;
mod config;
mod divide;
mod outcome;
mod outgoing;
mod partitioner;
mod rejected;
mod sequence;
mod spare;
mod stamp;
mod verdict;
mod window;

pub use batches::{BatchId, Batches, Done, Lane, Mark, Pushed};
pub use config::Config;
pub use outcome::{Failure, Outcome, Reason, Written};
pub use outgoing::Outgoing;
pub use partitioner::{Choice, Partitioner, Partitions, Spread, UnknownPartitioner};
pub use rejected::Rejected;
pub use sequence::IN_FLIGHT_MAX;
pub use stamp::{Identity, Number, Numbered, Unsound};
pub use verdict::{Answer, Rejection, Verdict};
pub use window::{Check, Remembered, Window, Windows};
