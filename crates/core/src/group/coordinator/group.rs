//! One group, whatever protocol it speaks.

use std::collections::VecDeque;

use super::{Record, Reply};
use crate::{
    Moment, Timestamp,
    group::{classic, next},
};

/// A group of either protocol.
#[derive(Debug)]
pub(super) enum Group {
    Classic(classic::coordinator::Group),
    Next(next::coordinator::Group),
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Next(group) => group.is_empty(),
        }
    }

    /// Whether it never came to anything.
    pub(super) fn is_forgettable(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_forgettable(),
            Self::Next(group) => group.is_forgettable(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Classic(group) => group.bytes(),
            Self::Next(group) => group.bytes(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Classic(group) => group.deadline(),
            Self::Next(group) => group.deadline(),
        }
    }

    pub(super) fn expire(&mut self, now: Moment) {
        match self {
            Self::Classic(group) => group.expire(now),
            Self::Next(group) => group.expire(now),
        }
    }

    pub(super) fn take_replies(&mut self) -> VecDeque<Reply> {
        match self {
            Self::Classic(group) => std::mem::take(&mut group.replies),
            Self::Next(_) => VecDeque::new(),
        }
    }

    pub(super) fn take_records(&mut self, group_id: &str, wall: Timestamp, out: &mut VecDeque<Record>) {
        match self {
            Self::Classic(group) => out.extend(group.take_record(group_id, wall).map(Record::Classic)),
            Self::Next(group) => group.take_records(group_id, wall, out),
        }
    }

    pub(super) fn state(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state.name(),
            Self::Next(group) => group.state(),
        }
    }

    /// What Kafka calls the protocol that it speaks.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Classic(_) => "classic",
            Self::Next(_) => "consumer",
        }
    }

    /// What its members are; KIP-848 knows consumers only.
    pub(super) fn protocol_type(&self) -> &str {
        match self {
            Self::Classic(group) => &group.protocol_type,
            Self::Next(_) => classic::protocol::PROTOCOL_TYPE,
        }
    }

    /// Since when nobody is in it, if that was seen.
    pub(super) fn empty_since(&self) -> Option<Timestamp> {
        let since = match self {
            Self::Classic(group) => group.empty_since(),
            Self::Next(group) => group.empty_since(),
        };
        since.filter(|since| since.0 >= 0)
    }
}
