//! The broker's end of the classic group protocol: `Groups`, a machine over all groups of a broker.
//!
//! It keeps who is in a group, not how far the group has come (`group::Offsets`), and it survives no restart: members
//! are then told that they are unknown and join again.

mod group;
mod groups;
mod member;
mod rebalance;
#[cfg(test)]
mod tests;

use std::time::Duration;

use vltava_wire::messages::group::{JoinGroupRequest, JoinGroupResponse, SyncGroupResponse};

pub use groups::Groups;

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

/// How far groups may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long the first rebalance of an empty group waits for more members. None by default: the broker is
    /// mostly started for one process, which every wait would hold up, and one that comes late costs one rebalance.
    pub initial_rebalance_delay: Duration,
    /// The shortest session a member may ask for. Kafka's default.
    pub session_timeout_min: Duration,
    /// The longest session a member may ask for. Kafka's default.
    pub session_timeout_max: Duration,
    /// Members of one group, those included that have only asked for an id.
    pub members_max: usize,
    /// Groups with members.
    pub groups_max: usize,
    /// Bytes that all members together may leave here: names, subscriptions, assignments.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(30 * 60),
            members_max: 10_000,
            groups_max: 100_000,
            bytes_max: 256 << 20,
        }
    }
}
