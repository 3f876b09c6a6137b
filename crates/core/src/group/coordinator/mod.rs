//! The broker's end of groups: `Groups`, a machine over all groups of a broker, whatever protocol they speak.
//!
//! Joins and syncs are answered by `poll`, all else at once. What outlives a restart leaves by `poll` too, as records:
//! whatever was answered before `poll` had no more to say waits until those are durable. Committed offsets
//! (`group::Offsets`) are kept elsewhere; who may commit and which offsets may go is said here.

mod directory;
mod group;
mod groups;
mod kept;
mod limits;
mod needs;
mod next;
mod onlookers;
mod record;
#[cfg(test)]
mod tests;

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        group::{JoinGroupRequest, JoinGroupResponse, SyncGroupResponse},
        next_group::ConsumerGroupHeartbeatRequest,
    },
};

pub(in crate::group) use directory::Directory;
pub use groups::Groups;
pub use kept::{Kept, KeptGroup, KeptNext};
pub use limits::Limits;
pub use needs::Needs;
pub use record::{
    ClassicGroup, ClassicMember, ClassicWords, GroupGone, NextGroup, NextMember, NextMemberGone, NextTarget,
    Record,
};

/// What names a parked request: the server's choice, unique among requests that have not been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A request to join, with what its header and its connection know.
#[derive(Debug, Clone)]
pub struct Join {
    /// Comes back with the reply.
    pub token: Token,
    /// The version of the request: from 4 on a member must know its id before it joins.
    pub version: i16,
    /// What the member calls itself, the start of its member id.
    pub client_id: String,
    /// The address it comes from.
    pub client_host: String,
    /// What it asks for.
    pub request: JoinGroupRequest,
}

/// A heartbeat of KIP-848, with what its header and its connection know.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The version of the request: from 1 on a member chooses its id itself.
    pub version: i16,
    /// What the member calls itself.
    pub client_id: String,
    /// The address it comes from.
    pub client_host: String,
    /// What it asks for.
    pub request: ConsumerGroupHeartbeatRequest,
}

/// What `poll` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// To be durable before any reply leaves that comes after it, or that a call returned before it.
    Record(Record),
    /// To be sent.
    Reply(Reply),
}

/// The answer to a request that was parked, or could have been.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The request it answers.
    pub token: Token,
    /// What to send.
    pub answer: Answer,
}

/// What is sent to a member that waited.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// To a JoinGroup.
    Join(JoinGroupResponse),
    /// To a SyncGroup.
    Sync(SyncGroupResponse),
}

/// A topic as the coordinator is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Which topic of that name it is.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
}

pub(in crate::group) fn refuse_join(token: Token, code: ErrorCode, member_id: String) -> Reply {
    let response = JoinGroupResponse { error_code: code.code(), member_id, ..JoinGroupResponse::default() };
    Reply { token, answer: Answer::Join(response) }
}

pub(in crate::group) fn refuse_sync(token: Token, code: ErrorCode) -> Reply {
    let response = SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() };
    Reply { token, answer: Answer::Sync(response) }
}
