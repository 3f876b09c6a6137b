//! A group changes its protocol while its members are at work: to KIP-848 when the first member comes that speaks it,
//! and back when the last one of those is gone.

use vltava_wire::messages::group::JoinGroupResponseMember;

use super::{
    Group, Partitions,
    classic::{by_id, by_name},
    member::{Classic, Member, State},
};
use crate::{
    Moment,
    group::{
        assign::Subscriber,
        classic::{
            coordinator::{self as classic, Share},
            protocol::{PROTOCOL_TYPE, assigned, assignment, subscribed},
        },
        coordinator::{Directory, Limits},
    },
};

impl Group {
    /// A group of the classic protocol goes on as one of KIP-848. Its members keep what they were assigned last, and
    /// are told to join again. What they said when they joined that they own, and nobody is assigned now, they have
    /// yet to give back. None if they are no consumers, or say what cannot be read.
    pub(in crate::group) fn from_classic(
        now: Moment,
        before: &classic::Group,
        topics: &Directory,
    ) -> Option<Self> {
        if before.protocol_type != PROTOCOL_TYPE {
            return None;
        }
        let mut group = Self::new(before.generation());
        group.assignment_epoch = group.epoch;
        let mut taken = Partitions::new();
        for share in before.shares() {
            taken.extend(by_id(&assigned(share.assignment).ok()?, topics));
        }
        for share in before.shares() {
            let Share { member: said, session_timeout, rebalance_timeout, .. } = share;
            let id = said.member_id.clone();
            let Subscriber { instance_id, topics: wanted, rack, owned, .. } = subscribed(said).ok()?;
            let assigned = by_id(&assigned(share.assignment).ok()?, topics);
            let revoking = &by_id(&owned, topics) - &taken;
            let member = Member {
                instance_id,
                rack_id: rack.as_deref().map(str::to_owned),
                client_id: share.client_id,
                client_host: share.client_host,
                rebalance_timeout,
                topics: wanted,
                classic: Some(Classic { session_timeout, protocols: share.protocols }),
                epoch: group.epoch,
                previous_epoch: group.epoch,
                state: if revoking.is_empty() { State::Stable } else { State::Unrevoked },
                assigned: assigned.clone(),
                revoking,
                session_end: now + session_timeout,
                ..Member::new(now)
            };
            group.put(&id, member);
            group.unrecorded.members.insert(id.clone());
            group.unrecorded.targets.insert(id.clone());
            group.targets.insert(id, assigned);
        }
        group.unrecorded.group = true;
        Some(group)
    }

    /// Whether all that are left speak the classic protocol.
    pub(in crate::group) fn is_classic_again(&self) -> bool {
        !self.is_empty() && self.members.values().all(|member| member.classic.is_some())
    }

    /// The group goes on as one of the classic protocol, and begins by rebalancing.
    pub(in crate::group) fn to_classic(
        &self,
        now: Moment,
        limits: &Limits,
        topics: &Directory,
    ) -> classic::Group {
        let nothing = Vec::new();
        let share = |(id, member): (&String, &Member)| {
            let held: &Partitions = &member.assigned;
            let classic = member.classic.as_ref();
            Share {
                member: JoinGroupResponseMember {
                    member_id: id.clone(),
                    group_instance_id: member.instance_id.clone(),
                    ..JoinGroupResponseMember::default()
                },
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                session_timeout: classic.map_or(member.rebalance_timeout, |classic| classic.session_timeout),
                rebalance_timeout: member.rebalance_timeout,
                protocols: classic.map_or(&nothing, |classic| &classic.protocols).clone(),
                assignment: assignment(&by_name(held, topics)),
            }
        };
        let shares = self.members.iter().map(share).collect();
        classic::Group::of_shares(now, limits.initial_rebalance_delay, self.epoch, shares)
    }

    /// An empty group of KIP-848 goes on as one of the classic protocol.
    pub(in crate::group) fn emptied(&self, limits: &Limits) -> classic::Group {
        classic::Group::new(limits.initial_rebalance_delay, self.epoch)
    }
}
