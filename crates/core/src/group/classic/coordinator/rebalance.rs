//! How a group rebalances: everybody joins or is left behind, a leader is found, a generation begins; and what time
//! does to those who are not heard of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use vltava_wire::{
    ErrorCode,
    messages::group::{JoinGroupRequest, JoinGroupResponse, SyncGroupResponse},
};

use super::{
    group::{Group, State},
    member::{Member, Parked},
};
use crate::{
    Moment,
    group::coordinator::{Answer, Reply, Token, refuse_join, refuse_sync},
};

/// How long a group of absent static members rests at least, whatever rebalance timeout they asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// No client offers so many; what every join costs grows with it.
const PROTOCOLS_MAX: usize = 32;

impl Group {
    /// Begins a rebalance, unless one is going on, and ends it if nobody is missing.
    pub(super) fn rebalance(&mut self, now: Moment) {
        if !matches!(self.state, State::Gathering { .. } | State::Preparing { .. }) {
            self.prepare(now);
        }
        self.try_complete(now);
    }

    /// Somebody left: those who stay share anew.
    pub(in crate::group) fn left(&mut self, now: Moment) {
        if self.state != State::Empty {
            self.rebalance(now);
        }
    }

    fn prepare(&mut self, now: Moment) {
        for member in self.members.values_mut() {
            if let Some(token) = member.unpark_sync() {
                member.heard_of(now);
                self.replies.push_back(refuse_sync(token, ErrorCode::RebalanceInProgress));
            }
        }
        let timeout = self.rebalance_timeout();
        self.state = match self.state {
            State::Empty => {
                let left = timeout.saturating_sub(self.initial_delay);
                State::Gathering { until: now + self.initial_delay.min(timeout), joined: false, left }
            }
            _ => State::Preparing { end: now + timeout },
        };
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// Ends the joining once all are in, or once the time is over.
    pub(super) fn try_complete(&mut self, now: Moment) {
        match self.state {
            State::Gathering { .. } if self.members.is_empty() => self.complete(now),
            State::Gathering { until, joined, left } if now >= until => {
                if !joined || left.is_zero() {
                    return self.complete(now);
                }
                // Who joined while the others waited may not be the last one.
                let longer = self.initial_delay.min(left);
                let left = left.saturating_sub(self.initial_delay);
                self.state = State::Gathering { until: now + longer, joined: false, left };
            }
            State::Preparing { end } if now >= end || self.all_joined() => self.complete(now),
            _ => (),
        }
    }

    fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(Member::awaits_join)
    }

    fn complete(&mut self, now: Moment) {
        let absent = |member: &Member| !member.awaits_join() && member.instance_id.is_none();
        self.remove_where(absent);
        if self.members.is_empty() {
            self.next_generation();
            self.state = State::Empty;
            self.protocol = None;
            self.leader = None;
            return self.rest();
        }
        let end = now + self.rebalance_timeout();
        if !self.elect() {
            // Static members alone, none of which is back: until the first is, or their sessions end.
            self.state = State::Preparing { end: end.max(now + LOOK_AGAIN) };
            return;
        }
        self.next_generation();
        self.protocol = self.choose_protocol();
        self.state = State::Completing { end };
        let joined = |(id, member): (&String, &mut Member)| {
            member.synced = true;
            let token = member.unpark_join()?;
            member.synced = false;
            Some((id.clone(), token))
        };
        let joined: Vec<(String, Token)> = self.members.iter_mut().filter_map(joined).collect();
        for (id, token) in joined {
            let leads = self.leader.as_ref() == Some(&id);
            self.answer_join(now, &id, token, leads);
        }
    }

    fn next_generation(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    /// The leader stays if it is back; otherwise another that is takes its place.
    fn elect(&mut self) -> bool {
        let is_back = |id: &String| self.members.get(id).is_some_and(Member::awaits_join);
        if !self.leader.as_ref().is_some_and(is_back) {
            self.leader = self.members.keys().find(|id| is_back(id)).cloned();
        }
        self.leader.is_some()
    }

    /// Among what all support, what most put first; between equals, the first by name.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let candidates = self.common_protocols();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let vote = member.protocols.iter().find(|protocol| candidates.contains(&*protocol.name));
            if let Some(protocol) = vote {
                *votes.entry(&protocol.name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.to_owned())
    }

    /// What every member supports.
    fn common_protocols(&self) -> BTreeSet<&str> {
        let names = |member| names(member).collect::<BTreeSet<&str>>();
        let shared = self.members.values().map(names).reduce(|ours, theirs| &ours & &theirs);
        shared.unwrap_or_default()
    }

    /// Whether a member that supports this could take part.
    pub(super) fn check_protocols(&self, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
        let sane = 1..=PROTOCOLS_MAX;
        if request.protocol_type.is_empty() || !sane.contains(&request.protocols.len()) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        if self.members.is_empty() {
            return Ok(());
        }
        let is_common =
            |protocol: &str| self.members.values().all(|member| names(member).any(|name| name == protocol));
        let shares = request.protocols.iter().any(|protocol| is_common(&protocol.name));
        if request.protocol_type != self.protocol_type || !shares {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    pub(super) fn answer_join(&mut self, now: Moment, id: &str, token: Token, sees_members: bool) {
        let protocol = self.protocol.clone().unwrap_or_default();
        let members = match sees_members {
            true => self.members.iter().map(|(id, member)| member.for_leader(id, &protocol)).collect(),
            false => Vec::new(),
        };
        let member = self.members.get_mut(id).expect("only members are answered");
        member.knows_id = true;
        member.heard_of(now);
        let response = JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: Some(self.protocol_type.clone()),
            protocol_name: Some(protocol),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: id.to_owned(),
            members,
            ..JoinGroupResponse::default()
        };
        self.replies.push_back(Reply { token, answer: Answer::Join(response) });
    }

    /// Hands out assignments to all who wait for them.
    pub(super) fn answer_syncs(&mut self, now: Moment) {
        for member in self.members.values_mut() {
            let Some(token) = member.unpark_sync() else { continue };
            member.heard_of(now);
            let response = SyncGroupResponse {
                protocol_type: Some(self.protocol_type.clone()),
                protocol_name: self.protocol.clone(),
                assignment: member.assignment.clone(),
                ..SyncGroupResponse::default()
            };
            self.replies.push_back(Reply { token, answer: Answer::Sync(response) });
        }
        if self.members.values().all(|member| member.synced) {
            self.state = State::Stable { sync_end: None };
        }
    }

    /// When `expire` has something to do.
    pub(in crate::group) fn deadline(&self) -> Option<Moment> {
        let sessions = self.members.values().filter(|member| member.parked == Parked::Nothing);
        let sessions = sessions.map(|member| member.session_end);
        let state = match self.state {
            State::Empty => None,
            State::Gathering { until, .. } => Some(until),
            State::Preparing { end } => Some(end),
            State::Completing { end } => Some(end),
            State::Stable { sync_end } => sync_end,
        };
        self.pending.values().copied().chain(sessions).chain(state).min()
    }

    /// What the time has come for.
    pub(in crate::group) fn expire(&mut self, now: Moment) {
        self.pending.retain(|_, until| *until > now);
        let silent = |member: &Member| member.parked == Parked::Nothing && member.session_end <= now;
        let mut lost = self.remove_where(silent);
        let sync_end = match self.state {
            State::Completing { end } => Some(end),
            State::Stable { sync_end } => sync_end,
            State::Empty | State::Gathering { .. } | State::Preparing { .. } => None,
        };
        if sync_end.is_some_and(|end| end <= now) {
            lost |= self.remove_where(|member| !member.synced);
            if let State::Stable { sync_end } = &mut self.state {
                *sync_end = None;
            }
        }
        if lost {
            self.left(now);
        } else {
            self.try_complete(now);
        }
    }

    fn remove_where(&mut self, goes: impl Fn(&Member) -> bool) -> bool {
        let going = self.members.iter().filter(|(_, member)| goes(member)).map(|(id, _)| id.clone());
        let going: Vec<String> = going.collect();
        for id in &going {
            self.remove(id);
        }
        !going.is_empty()
    }

    /// Takes a member out; the group is told by `left`.
    pub(super) fn remove(&mut self, id: &str) {
        let Some(member) = self.take_member(id, ErrorCode::UnknownMemberId) else { return };
        if let Some(instance) = &member.instance_id {
            self.instances.remove(instance);
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
    }

    /// Takes a member out of the list, and tells a request of it that waits why.
    pub(super) fn take_member(&mut self, id: &str, code: ErrorCode) -> Option<Member> {
        let member = self.members.remove(id)?;
        match member.parked {
            Parked::Nothing => (),
            Parked::Join(token) => self.replies.push_back(refuse_join(token, code, id.to_owned())),
            Parked::Sync(token) => self.replies.push_back(refuse_sync(token, code)),
        }
        Some(member)
    }
}

fn names(member: &Member) -> impl Iterator<Item = &str> {
    member.protocols.iter().map(|protocol| &*protocol.name)
}
