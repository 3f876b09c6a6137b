//! What a member wants done, and what it is told of it.

use std::{collections::BTreeSet, fmt, time::Duration};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        group::{
            Coordinator, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
            MemberIdentity, SyncGroupRequest, SyncGroupResponse,
        },
        next_group::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse},
        offsets::{OffsetCommitRequest, OffsetCommitResponse},
    },
};

use super::{AssignmentId, CommitId, Refusal};
use crate::{Moment, TopicPartition};

/// What comes back when revoked partitions are at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One call to a broker, for its answer to find its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

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
    /// The member leads, and needs to know what there is of these topics, now and whenever it changes; the answer
    /// goes to `on_topics`.
    Count(BTreeSet<String>),
    /// The names of these topics are wanted; they go to `on_names`, as far as they are known, and again when there
    /// are more.
    Resolve(BTreeSet<Uuid>),
    /// To take note of: the member joins, once more or for the first time, or the coordinator shares out anew.
    Rebalancing(Reason),
    /// These are the member's too from now on, besides what it has already, which keeps its number.
    Assigned(AssignmentId, BTreeSet<TopicPartition>),
    /// These are to be given back, and nothing else. They may still be committed until the ticket or the deadline.
    Revoked {
        /// To hand to `on_ticket` when nothing works on them any more.
        ticket: Ticket,
        /// What is given back.
        partitions: BTreeSet<TopicPartition>,
        /// After this they are taken, whatever works on them.
        deadline: Moment,
    },
    /// These were the member's, and may be another's by now: nothing of them can be committed.
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
    /// To be let go.
    Leave(MemberIdentity),
    /// The consumer protocol's one request: to join, to be remembered, to give back, to be let go.
    NextHeartbeat(ConsumerGroupHeartbeatRequest),
}

/// What a broker said. A call that came to nothing is `on_broken` instead.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To FindCoordinator.
    Coordinator {
        /// The group's row.
        found: Coordinator,
        /// The newest version of ConsumerGroupHeartbeat that the coordinator serves, if it does.
        next: Option<i16>,
    },
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
    /// To ConsumerGroupHeartbeat.
    NextHeartbeat(ConsumerGroupHeartbeatResponse),
}

/// Why a member joins, or has its share changed. Prints as what the coordinator is told of it (KIP-800).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reason {
    /// It is new.
    #[default]
    Joining,
    /// The coordinator said that the group rebalances.
    GroupRebalances,
    /// It has given back what it had to, so that others can have it.
    GaveBack,
    /// It leads, and there are other topics or partitions.
    TopicsChanged,
    /// It wants other topics.
    SubscriptionChanged,
    /// The coordinator does not take it any more.
    Expelled(ErrorCode),
    /// The coordinator was not heard of for a session.
    Unheard,
    /// A call to the coordinator failed.
    Failed,
    /// The coordinator shared out anew.
    SharedOut,
    /// Its owner was stuck.
    Away,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Joining => "joining",
            Reason::GroupRebalances => "the group rebalances",
            Reason::GaveBack => "partitions were given back",
            Reason::TopicsChanged => "topics or partitions have changed",
            Reason::SubscriptionChanged => "the subscription has changed",
            Reason::Expelled(code) => return write!(f, "expelled: {}", code.name()),
            Reason::Unheard => "the coordinator was not heard of for a session",
            Reason::Failed => "a call to the coordinator failed",
            Reason::SharedOut => "the coordinator shared out anew",
            Reason::Away => "the consumer did not get on",
        })
    }
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
