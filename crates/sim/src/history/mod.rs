//! What happened, written down: one schema for plays on a seed, for runs against a real Kafka, for processes that are
//! killed. Workloads use the [`Producer`], [`Reader`] and [`Member`] here, which are those of the client and write
//! down what is asked of them; whoever makes trouble tells it to the [`Recorder`] himself.
//!
//! Nothing here judges: that is for `check`, which knows nothing but histories.

mod consumer;
mod event;
mod lines;
mod producer;
mod recorder;
mod view;

pub use consumer::{Member, Reader};
pub use event::{Call, Cause, Durability, Event, Fault, Partition, Record, Removal, Start, What};
pub use lines::History;
pub use producer::{Draft, Producer, Receipt};
pub use recorder::{Pending, Recorder};
pub use view::{Fate, Log, Made, Sent};
