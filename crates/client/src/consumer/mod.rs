//! Consuming: a fetcher that keeps one fetch under way for every broker, streams that hand out what it brought, and
//! what a member of a group is told.

mod assigned;
mod batch;
mod builder;
mod commits;
mod cursor;
mod event;
mod events;
mod fetch;
mod fetcher;
mod group;
mod hooks;
mod keeper;
mod kept;
mod lane;
mod lookup;
mod mark;
mod notice;
mod offset;
mod partition;
mod progress;
mod reader;
mod records;
mod stream;
mod streams;
mod subscribe;
mod subscription;
mod turn;
mod within;

pub use assigned::AssignedConsumer;
pub use batch::{Iter as BatchRecords, RecordBatch};
pub use builder::ConsumerBuilder;
pub use cursor::ConsumerRecord;
pub use event::{AssignmentId, Commit, Event, Revocation};
pub use events::{Committer, Events};
#[cfg(test)]
pub(crate) use fetcher::Told;
pub(crate) use fetcher::{Assignment, Fetcher};
pub use hooks::{Assigned, Revoked};
pub use lookup::{OffsetAndTimestamp, Watermarks};
pub use notice::{Jump, JumpCause, Notice, Notices, Stall};
pub use offset::Offset;
pub use reader::Consumer;
pub use records::RecordStream;
pub use stream::PartitionStream;
pub use within::Within;
