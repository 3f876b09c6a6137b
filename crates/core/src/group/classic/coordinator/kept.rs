//! What of a group outlives a restart: who has which assignment of which generation, once all assignments are there,
//! or that nobody is left. A rebalance under way is forgotten; its members find that their generation is not known.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use vltava_wire::messages::group::JoinGroupRequestProtocol;

use super::{
    group::{Group, State, millis},
    member::{Member, Parked},
};
use crate::{
    Moment, Timestamp,
    group::coordinator::{ClassicGroup, ClassicMember},
};

impl Group {
    /// The group is as it is to be found after a restart.
    pub(super) fn rest(&mut self) {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let kept = |(id, member): (&String, &Member)| member.kept(id, protocol);
        self.empty_since = None;
        self.unrecorded = Some(ClassicGroup {
            group_id: String::new(),
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            empty_since: -1,
            members: self.members.iter().map(kept).collect(),
        });
    }

    /// What is to be recorded since it was asked last.
    pub(in crate::group) fn take_record(&mut self, group_id: &str, wall: Timestamp) -> Option<ClassicGroup> {
        let mut record = self.unrecorded.take()?;
        record.group_id = group_id.to_owned();
        if record.members.is_empty() {
            record.empty_since = wall.0;
            self.empty_since = Some(wall);
        }
        Some(record)
    }

    /// The group as it was recorded. Sessions begin anew: nobody could be heard of meanwhile.
    pub(in crate::group) fn restored(now: Moment, initial_delay: Duration, kept: &ClassicGroup) -> Self {
        let members: BTreeMap<_, _> =
            kept.members.iter().map(|it| (it.member_id.clone(), Member::restored(now, kept, it))).collect();
        let instance = |it: &ClassicMember| Some((it.instance_id.clone()?, it.member_id.clone()));
        let empty = members.is_empty();
        Self {
            protocol_type: kept.protocol_type.clone(),
            protocol: kept.protocol.clone(),
            generation: kept.generation,
            leader: kept.leader.clone().filter(|leader| members.contains_key(leader)),
            state: if empty { State::Empty } else { State::Stable { sync_end: None } },
            instances: kept.members.iter().filter_map(instance).collect(),
            members,
            pending: BTreeMap::new(),
            initial_delay,
            replies: VecDeque::new(),
            unrecorded: None,
            empty_since: empty.then_some(Timestamp(kept.empty_since)),
        }
    }
}

impl Member {
    fn kept(&self, id: &str, protocol: &str) -> ClassicMember {
        ClassicMember {
            member_id: id.to_owned(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            session_timeout_ms: as_millis(self.session_timeout),
            rebalance_timeout_ms: as_millis(self.rebalance_timeout),
            metadata: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// Of the protocols that it supports, the one that was chosen is known.
    fn restored(now: Moment, group: &ClassicGroup, kept: &ClassicMember) -> Self {
        let session_timeout = millis(kept.session_timeout_ms);
        let name = group.protocol.clone().unwrap_or_default();
        Self {
            instance_id: kept.instance_id.clone(),
            client_id: kept.client_id.clone(),
            client_host: kept.client_host.clone(),
            session_timeout,
            rebalance_timeout: millis(kept.rebalance_timeout_ms),
            protocols: vec![JoinGroupRequestProtocol { name, metadata: kept.metadata.clone() }],
            assignment: kept.assignment.clone(),
            parked: Parked::Nothing,
            synced: true,
            knows_id: true,
            session_end: now + session_timeout,
        }
    }
}

/// As requests and responses have it.
pub(in crate::group) fn as_millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
