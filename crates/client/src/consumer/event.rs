//! What a member of a group is told: which partitions it got, which it must give back, which it has lost.

use tokio::sync::oneshot;
use vltava_core::{Moment, TopicPartition};

use super::PartitionStream;

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
    ticket: oneshot::Sender<()>,
}

impl Revocation {
    /// A revocation, and what completes once it is done or dropped.
    pub(crate) fn new(partitions: Vec<TopicPartition>, deadline: Moment) -> (Self, oneshot::Receiver<()>) {
        let (ticket, returned) = oneshot::channel();
        (Self { partitions, deadline, ticket }, returned)
    }

    /// Gives the partitions back; the same as dropping it.
    pub fn done(self) {
        drop(self.ticket);
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
