//! The broker's end of KIP-848's group protocol: one group as a machine. All groups are `group::coordinator`.
//!
//! A change of members, subscriptions or topics bumps the group's epoch. An assignor then says what everybody is to
//! have in the end, and each member is led there by itself: first it gives back what it shall not have, then it moves
//! to the new epoch and is given what nobody else holds any more.

mod classic;
mod convert;
mod describe;
mod group;
mod heartbeat;
mod kept;
mod member;
mod pattern;
mod target;

use std::collections::BTreeSet;

use vltava_wire::{ErrorCode, Uuid};

pub(in crate::group) use group::{Group, World};
pub(in crate::group) use heartbeat::check;

/// Partitions by the ids of their topics.
type Partitions = BTreeSet<(Uuid, i32)>;

/// Why a heartbeat is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::group) struct Refusal {
    pub(in crate::group) code: ErrorCode,
    pub(in crate::group) message: String,
}

impl Refusal {
    pub(in crate::group) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
