//! Consuming: a fetcher that keeps one fetch under way for every broker, streams that hand out what it brought, and
//! what a member of a group is told.

mod assigned;
mod batch;
mod builder;
mod event;
mod events;
mod fetch;
mod fetcher;
mod group;
mod lane;
mod offset;
mod reader;
mod stream;
mod streams;
mod subscribe;

pub use assigned::AssignedConsumer;
pub use batch::{Iter as BatchRecords, RecordBatch};
pub use builder::ConsumerBuilder;
pub use event::{AssignmentId, Commit, Event, Revocation};
pub use events::{Committer, Events};
pub use offset::Offset;
pub use reader::Consumer;
pub use stream::PartitionStream;
