//! What a member of a group is told: which partitions it got, which it must give back, which it has lost.

use std::sync::Arc;

use tokio::sync::oneshot;
use vltava_core::{Moment, TopicPartition};

use super::{ConsumerRecord, PartitionStream, RecordBatch, progress::Progress};

/// The number of an assignment. A partition that comes back comes with another one, so that what was done under the
/// old one cannot be committed under the new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentId(pub u64);

/// A change of what this member owns.
#[derive(Debug)]
pub enum Event {
    /// These partitions are ours from now on, each a stream that ends with its assignment.
    Assigned(Vec<PartitionStream>),
    /// These partitions have to be given back. They are still ours until the revocation is dropped.
    Revoked(Revocation),
    /// These partitions are no longer ours: nothing of them can be committed any more. One whose log turns out to be
    /// another than the one that was read, because its topic was made anew or it lost its end, is lost too, and then
    /// assigned once more.
    Lost(Vec<TopicPartition>),
}

/// Partitions that have to be given back. While it is kept, commits for them are taken; dropping it lets the
/// rebalance go on.
#[derive(Debug)]
pub struct Revocation {
    /// What has to be given back.
    pub partitions: Vec<TopicPartition>,
    /// The rebalance goes on at this moment, whatever is still at work.
    pub deadline: Moment,
    owned: Option<Owned>,
    ticket: oneshot::Sender<()>,
}

/// Partitions of which commits are taken as long as this is kept.
#[derive(Debug)]
struct Owned {
    partitions: Vec<TopicPartition>,
    progress: Arc<Progress>,
}

impl Revocation {
    /// A revocation, and what completes once it is done or dropped.
    pub(crate) fn new(partitions: Vec<TopicPartition>, deadline: Moment) -> (Self, oneshot::Receiver<()>) {
        let (ticket, returned) = oneshot::channel();
        (Self { partitions, deadline, owned: None, ticket }, returned)
    }

    /// Has it forgotten how far these were dealt with once they are given back.
    pub(super) fn owned_in(&mut self, progress: Arc<Progress>) {
        self.owned = Some(Owned { partitions: self.partitions.clone(), progress });
    }

    /// Gives the partitions back; the same as dropping it.
    pub fn done(self) {
        let Self { owned, ticket, .. } = self;
        drop((owned, ticket));
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.progress.given_back(&self.partitions);
    }
}

/// How far a partition has been dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The assignment under which the records were read.
    pub assignment: AssignmentId,
    /// The offset to resume from: every record below it is done.
    pub offset: i64,
    /// The epoch of the leader that wrote the last record done; below zero if unknown.
    pub leader_epoch: i32,
    /// Kept beside the offset, for whoever gets the partition next.
    pub metadata: String,
}

/// That a batch is done, and with it all that came before it in its partition.
impl From<&RecordBatch> for Commit {
    fn from(batch: &RecordBatch) -> Self {
        Self {
            topic_partition: batch.topic_partition().clone(),
            assignment: batch.assignment(),
            offset: batch.next_offset(),
            leader_epoch: batch.leader_epoch(),
            metadata: String::new(),
        }
    }
}

/// That a record is done, and with it all that came before it in its partition.
impl From<&ConsumerRecord> for Commit {
    fn from(record: &ConsumerRecord) -> Self {
        Self {
            topic_partition: record.topic_partition().clone(),
            assignment: record.assignment(),
            offset: record.offset() + 1,
            leader_epoch: record.leader_epoch(),
            metadata: String::new(),
        }
    }
}
