//! What of a group goes over into KIP-848's protocol, and what comes back.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::group::{JoinGroupRequestProtocol, JoinGroupResponseMember},
};

use super::{
    group::{Group, State},
    member::{Member, Parked},
};
use crate::{
    Moment, Timestamp,
    group::{
        classic::protocol::{PROTOCOL_TYPE, subscribed},
        coordinator::{Reply, refuse_join, refuse_sync},
    },
};

/// A member with all that another protocol needs of it.
#[derive(Debug, Clone)]
pub(in crate::group) struct Share {
    /// Who it is, and what it says of the protocol that the group chose, or would.
    pub(in crate::group) member: JoinGroupResponseMember,
    pub(in crate::group) client_id: String,
    pub(in crate::group) client_host: String,
    pub(in crate::group) session_timeout: Duration,
    pub(in crate::group) rebalance_timeout: Duration,
    pub(in crate::group) protocols: Vec<JoinGroupRequestProtocol>,
    /// What it was assigned last.
    pub(in crate::group) assignment: Bytes,
}

impl Group {
    pub(in crate::group) fn generation(&self) -> i32 {
        self.generation
    }

    /// Since when nobody is in it.
    pub(in crate::group) fn empty_since(&self) -> Option<Timestamp> {
        self.empty_since
    }

    /// The topics that its members want, if they are consumers and all have said so: who is about to join again may
    /// want others.
    pub(in crate::group) fn wanted(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type != PROTOCOL_TYPE || !matches!(self.state, State::Stable { .. }) {
            return None;
        }
        let mut wanted = BTreeSet::new();
        for share in self.shares() {
            wanted.extend(subscribed(share.member).ok()?.topics);
        }
        Some(wanted)
    }

    /// Its members.
    pub(in crate::group) fn shares(&self) -> impl Iterator<Item = Share> {
        let chosen = self.protocol.clone().or_else(|| self.choose_protocol()).unwrap_or_default();
        self.members.iter().map(move |(id, member)| Share {
            member: member.for_leader(id, &chosen),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout: member.session_timeout,
            rebalance_timeout: member.rebalance_timeout,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
        })
    }

    /// Sends everybody away who waits: the group goes on elsewhere.
    pub(in crate::group) fn dissolve(&mut self) -> impl Iterator<Item = Reply> {
        let code = ErrorCode::RebalanceInProgress;
        let refuse = |(id, member): (&String, &mut Member)| match std::mem::replace(
            &mut member.parked,
            Parked::Nothing,
        ) {
            Parked::Nothing => None,
            Parked::Join(token) => Some(refuse_join(token, code, id.clone())),
            Parked::Sync(token) => Some(refuse_sync(token, code)),
        };
        let refused: Vec<_> = self.members.iter_mut().filter_map(refuse).collect();
        self.replies.drain(..).chain(refused)
    }

    /// A group of consumers with these members. They have to join again.
    pub(in crate::group) fn of_shares(
        now: Moment,
        initial_delay: Duration,
        generation: i32,
        shares: Vec<Share>,
    ) -> Self {
        let mut group = Self::new(initial_delay, generation);
        group.protocol_type = PROTOCOL_TYPE.to_owned();
        for share in shares {
            let id = share.member.member_id;
            if let Some(instance) = &share.member.group_instance_id {
                group.instances.insert(instance.clone(), id.clone());
            }
            group.leader.get_or_insert_with(|| id.clone());
            let member = Member {
                instance_id: share.member.group_instance_id,
                client_id: share.client_id,
                client_host: share.client_host,
                session_timeout: share.session_timeout,
                rebalance_timeout: share.rebalance_timeout,
                protocols: share.protocols,
                assignment: share.assignment,
                parked: Parked::Nothing,
                synced: true,
                knows_id: true,
                session_end: now + share.session_timeout,
            };
            group.members.insert(id, member);
        }
        group.protocol = group.choose_protocol();
        group.state = State::Stable { sync_end: None };
        group.rest();
        group.rebalance(now);
        group
    }
}
