//! Consuming: a fetcher that keeps one fetch under way for every broker, streams that hand out what it brought, and
//! what a member of a group is told.

mod assigned;
mod batch;
mod builder;
mod event;
mod events;
mod fetch;
mod fetcher;
mod lane;
mod offset;
mod stream;
mod streams;

pub use assigned::AssignedConsumer;
pub use batch::{Iter as BatchRecords, RecordBatch};
pub use builder::ConsumerBuilder;
pub use event::{AssignmentId, Commit, Event, Revocation};
pub use events::{Committer, Events};
pub use offset::Offset;
pub use stream::PartitionStream;
