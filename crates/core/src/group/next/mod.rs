//! The group protocol of KIP-848: members say what they want and what they hold with every heartbeat, the coordinator
//! assigns, and partitions move one by one while all others are worked on.

pub(super) mod coordinator;
mod member;

pub(in crate::group) use member::Member;
