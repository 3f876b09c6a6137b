//! Consuming: a fetcher that keeps one fetch under way for every broker, streams that hand out what it brought, and
//! what a member of a group is told.

mod batch;
mod event;
mod events;
mod lane;
mod offset;
mod stream;
mod streams;

pub use batch::{Iter as BatchRecords, RecordBatch};
pub use event::{AssignmentId, Commit, Event, Revocation};
pub use events::{Committer, Events};
pub use offset::Offset;
pub use stream::PartitionStream;
