//! What is committed, under which assignment, and why it may not count.

use std::fmt;

use vltava_wire::ErrorCode;

use crate::TopicPartition;

/// The number of one assignment. Every new one has a higher number; partitions that stay keep theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentId(pub u64);

/// One request to commit, named by who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitId(pub u64);

/// How far one partition has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The partition.
    pub partition: TopicPartition,
    /// The assignment under which it was read.
    pub assignment: AssignmentId,
    /// The offset to resume from.
    pub offset: i64,
    /// The leader epoch of the record before it, or -1.
    pub leader_epoch: i32,
    /// The reader's own note, returned with the offset.
    pub metadata: String,
    /// Whether it counts even if more was committed before; without, offsets only go forward.
    pub backwards: bool,
}

/// Why a commit did not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The partition is no longer assigned under the number it was committed with.
    Retired(TopicPartition),
    /// The coordinator refused it, and will again.
    Code(TopicPartition, ErrorCode),
    /// The member is gone before the coordinator answered: it may be stored or not.
    Unanswered(TopicPartition),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Retired(partition) => write!(f, "the assignment of {partition} is over"),
            Refusal::Unanswered(partition) => write!(f, "the commit of {partition} was not answered in time"),
            Refusal::Code(partition, code) => {
                write!(f, "the offset of {partition} was refused: {}", code.name())
            }
        }
    }
}
