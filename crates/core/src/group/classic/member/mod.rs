//! The consumer's end of the classic group protocol, eager: whoever rejoins has first given back all it had.
//!
//! `Member` says whom to ask what and which partitions are whose; it does not fetch, and it knows of no connection
//! but that a call on it ended. Commits go through it, as only it knows when they count.

mod answers;
mod commits;
mod machine;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, time::Duration};

use vltava_wire::{
    ErrorCode,
    messages::{
        group::{
            Coordinator, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
            SyncGroupRequest, SyncGroupResponse,
        },
        offsets::{OffsetCommitRequest, OffsetCommitResponse},
    },
};

pub use machine::Member;

use crate::{Backoff, Moment, TopicPartition};

/// What a member is to its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The group.
    pub group_id: String,
    /// What to read. Topics that are not there yet are joined when they are.
    pub topics: BTreeSet<String>,
    /// Unheard of for so long, the coordinator gives the member's partitions to others.
    pub session_timeout: Duration,
    /// How long a rebalance waits for members to give back what they had.
    pub rebalance_timeout: Duration,
    /// The time between two signs of life.
    pub heartbeat_interval: Duration,
    /// How long any call but a join may take.
    pub request_timeout: Duration,
    /// The pause after a failure.
    pub backoff: Backoff,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            topics: BTreeSet::new(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            request_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
        }
    }
}

/// The number of one assignment. Every new one has a higher number, also where the partitions stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentId(pub u64);

/// What comes back when revoked partitions are at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One call to a broker, for its answer to find its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

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

/// What a member wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Ask this, and hand back what came of it, within the time, under the same number.
    Call {
        /// The number.
        call: CallId,
        /// What to ask, and so whom: any broker for the coordinator, all else the coordinator.
        ask: Ask,
        /// After so long it has failed.
        timeout: Duration,
    },
    /// The member leads, and needs to know how many partitions these topics have; the answer goes to `on_counts`.
    Count(BTreeSet<String>),
    /// These are the member's, all that it has.
    Assigned(AssignmentId, BTreeSet<TopicPartition>),
    /// All that it has is to be given back. It may still be committed until the ticket or the deadline.
    Revoked {
        /// To hand to `on_ticket` when nothing works on them any more.
        ticket: Ticket,
        /// What is given back.
        partitions: BTreeSet<TopicPartition>,
        /// After this they are taken, whatever works on them.
        deadline: Moment,
    },
    /// They were the member's, and may be another's by now: nothing of them can be committed.
    Lost(BTreeSet<TopicPartition>),
    /// What came of a request to commit.
    Committed(CommitId, Result<(), Refusal>),
    /// The member has left, by its own word; only refusals of commits follow.
    Left,
    /// The member cannot go on; only refusals of commits follow.
    Failed(Failure),
}

/// What to ask a broker.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Who coordinates the group.
    FindCoordinator,
    /// To join.
    Join(JoinGroupRequest),
    /// For the assignment.
    Sync(SyncGroupRequest),
    /// To be remembered.
    Heartbeat(HeartbeatRequest),
    /// To store offsets.
    Commit(OffsetCommitRequest),
    /// To be let go, under this member id.
    Leave(String),
}

/// What a broker said. A call that came to nothing is `on_broken` instead.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To FindCoordinator: the group's row.
    Coordinator(Coordinator),
    /// To JoinGroup.
    Join(JoinGroupResponse),
    /// To SyncGroup.
    Sync(SyncGroupResponse),
    /// To Heartbeat.
    Heartbeat(HeartbeatResponse),
    /// To OffsetCommit.
    Commit(OffsetCommitResponse),
    /// To LeaveGroup, whatever it says.
    Leave,
}

/// Why a member cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The coordinator refuses it for good.
    Refused {
        /// What was asked.
        asked: &'static str,
        /// What was answered.
        code: ErrorCode,
    },
    /// The group chose a protocol that the member did not offer.
    Protocol(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused { asked, code } => write!(f, "{asked} was refused: {}", code.name()),
            Failure::Protocol(name) => write!(f, "the group chose protocol {name}, which was not offered"),
        }
    }
}
