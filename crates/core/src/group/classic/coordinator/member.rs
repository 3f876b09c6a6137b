//! One member as its coordinator knows it.

use std::time::Duration;

use bytes::Bytes;
use vltava_wire::messages::group::{DescribedGroupMember, JoinGroupRequestProtocol, JoinGroupResponseMember};

use crate::{Moment, group::coordinator::Token};

/// What a fixed-size member costs beside its text and bytes.
const MEMBER_BYTES: usize = 256;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<JoinGroupRequestProtocol>,
    pub(super) assignment: Bytes,
    pub(super) parked: Parked,
    /// Whether it has asked for its assignment in this generation, or need not.
    pub(super) synced: bool,
    /// Whether the member can know its id: before the answer to a first join of version 3 it cannot.
    pub(super) knows_id: bool,
    /// When it is gone unless it is heard of. Not looked at while a request of it is parked.
    pub(super) session_end: Moment,
}

/// The request of a member that waits for the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parked {
    Nothing,
    Join(Token),
    Sync(Token),
}

impl Member {
    pub(super) fn heard_of(&mut self, now: Moment) {
        self.session_end = now + self.session_timeout;
    }

    pub(super) fn awaits_join(&self) -> bool {
        matches!(self.parked, Parked::Join(_))
    }

    /// Takes the token of a parked join.
    pub(super) fn unpark_join(&mut self) -> Option<Token> {
        let Parked::Join(token) = self.parked else { return None };
        self.parked = Parked::Nothing;
        Some(token)
    }

    /// Takes the token of a parked sync.
    pub(super) fn unpark_sync(&mut self) -> Option<Token> {
        let Parked::Sync(token) = self.parked else { return None };
        self.parked = Parked::Nothing;
        Some(token)
    }

    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        let named = self.protocols.iter().find(|supported| supported.name == protocol);
        named.map(|supported| supported.metadata.clone()).unwrap_or_default()
    }

    /// The member as the leader sees it, who assigns to it.
    pub(super) fn for_leader(&self, id: &str, protocol: &str) -> JoinGroupResponseMember {
        JoinGroupResponseMember {
            member_id: id.to_owned(),
            group_instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// The member as an onlooker sees it; what it was assigned only while that holds.
    pub(super) fn described(&self, id: &str, protocol: Option<&str>) -> DescribedGroupMember {
        DescribedGroupMember {
            member_id: id.to_owned(),
            group_instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            member_metadata: protocol.map(|name| self.metadata(name)).unwrap_or_default(),
            member_assignment: protocol.map(|_| self.assignment.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let protocols =
            self.protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len() + 64);
        let instance = self.instance_id.as_ref().map_or(0, String::len);
        MEMBER_BYTES
            + instance
            + self.client_id.len()
            + self.client_host.len()
            + self.assignment.len()
            + protocols.sum::<usize>()
    }
}
