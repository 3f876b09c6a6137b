//! What of groups outlives a restart, change by change.
//!
//! Records are kept whole under their keys: the last one of a key counts, so what they add up to (`Kept`) says all
//! there is to know, and a record that is read twice does no harm. Committed offsets are not among them.

use bytes::Bytes;
use vltava_wire::{
    messages,
    messages::{group::JoinGroupRequestProtocol, next_group::TopicPartitions},
};

messages! {
    /// A group of the classic protocol: its last generation that was handed out, or that it is empty.
    pub struct ClassicGroup {
        group_id: String => 0..;
        protocol_type: String => 0..;
        generation: i32 => 0..;
        protocol: Option<String> => 0..;
        leader: Option<String> => 0..;
        // The wall time since when it has no members, or -1.
        empty_since: i64 = -1 => 0..;
        members: Vec<ClassicMember> => 0..;
    }

    /// A member of it, with what it said of the protocol that was chosen and what it was assigned.
    pub struct ClassicMember {
        member_id: String => 0..;
        instance_id: Option<String> => 0..;
        client_id: String => 0..;
        client_host: String => 0..;
        session_timeout_ms: i32 => 0..;
        rebalance_timeout_ms: i32 => 0..;
        metadata: Bytes => 0..;
        assignment: Bytes => 0..;
    }

    /// A group of KIP-848. Its members and their targets are recorded each by itself; the epoch of the assignment
    /// comes after the targets that make it up, so that targets cut off by a crash are made anew.
    pub struct NextGroup {
        group_id: String => 0..;
        epoch: i32 => 0..;
        assignment_epoch: i32 => 0..;
        // What the topics that it subscribes to looked like at this epoch.
        topics_hash: i64 => 0..;
        // The wall time since when it has no members, or -1.
        empty_since: i64 = -1 => 0..;
    }

    /// A member of it: what it asked for, and what it has.
    pub struct NextMember {
        group_id: String => 0..;
        member_id: String => 0..;
        instance_id: Option<String> => 0..;
        rack_id: Option<String> => 0..;
        client_id: String => 0..;
        client_host: String => 0..;
        rebalance_timeout_ms: i32 => 0..;
        topics: Vec<String> => 0..;
        regex: Option<String> => 0..;
        assignor: Option<String> => 0..;
        // Only of a member that speaks the classic protocol.
        classic: Option<ClassicWords> => 0..;
        // -2 is a static member that is away.
        epoch: i32 => 0..;
        previous_epoch: i32 => 0..;
        state: i8 => 0..;
        assigned: Vec<TopicPartitions> => 0..;
        revoking: Vec<TopicPartitions> => 0..;
    }

    /// What a member of the classic protocol said to a group of KIP-848.
    pub struct ClassicWords {
        session_timeout_ms: i32 => 0..;
        protocols: Vec<JoinGroupRequestProtocol> => 0..;
    }

    /// What a member is to have in the end.
    pub struct NextTarget {
        group_id: String => 0..;
        member_id: String => 0..;
        partitions: Vec<TopicPartitions> => 0..;
    }

    /// A member is gone, with its target.
    pub struct NextMemberGone {
        group_id: String => 0..;
        member_id: String => 0..;
    }

    /// A group is gone with all that was recorded of it, and its committed offsets with it.
    pub struct GroupGone {
        group_id: String => 0..;
    }
}

/// One change to a group that outlives a restart.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// The group speaks the classic protocol from here on, with these members.
    Classic(ClassicGroup),
    /// The group speaks KIP-848 from here on.
    Next(NextGroup),
    /// A member of a group of KIP-848 came or changed.
    Member(NextMember),
    /// A member of a group of KIP-848 is to have something else.
    Target(NextTarget),
    /// A member of a group of KIP-848 went.
    MemberGone(NextMemberGone),
    /// The group went.
    Gone(GroupGone),
}
