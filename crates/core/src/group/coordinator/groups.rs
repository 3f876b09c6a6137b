//! All groups of a broker behind one door.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vltava_wire::{
    ErrorCode,
    messages::{
        group::{
            HeartbeatRequest, HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
            MemberResponse, SyncGroupRequest,
        },
        offsets::OffsetCommitRequest,
    },
};

use super::{
    Answer, Directory, Join, Kept, KeptGroup, Limits, Output, Record, Reply, Token, Topic, group::Group,
    refuse_join, refuse_sync,
};
use crate::{
    Moment, Rng, Timestamp,
    group::{
        classic::coordinator::{self as classic, millis},
        next::coordinator::{self as next, World},
    },
};

/// From this version on a LeaveGroup names many members, each with a result of its own.
const LEAVE_MANY_SINCE: i16 = 3;

/// All groups that have or had members. Joins and syncs are answered by `poll`, all else at once.
#[derive(Debug)]
pub struct Groups {
    pub(super) limits: Limits,
    pub(super) rng: Rng,
    pub(super) topics: Directory,
    pub(super) groups: BTreeMap<String, Group>,
    /// When each group wants to be looked at; may be early, as signs of life do not change it.
    due: BTreeSet<(Moment, String)>,
    dues: BTreeMap<String, Moment>,
    /// Which group each unanswered request waits in.
    pub(super) parked: BTreeMap<Token, String>,
    /// Groups that may have something to record.
    changed: BTreeSet<String>,
    pub(super) records: VecDeque<Record>,
    pub(super) replies: VecDeque<Reply>,
    pub(super) bytes: usize,
}

impl Groups {
    /// No groups yet. `rng` names the members.
    pub fn new(limits: Limits, rng: Rng) -> Self {
        Self {
            limits,
            rng,
            topics: Directory::default(),
            groups: BTreeMap::new(),
            due: BTreeSet::new(),
            dues: BTreeMap::new(),
            parked: BTreeMap::new(),
            changed: BTreeSet::new(),
            records: VecDeque::new(),
            replies: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The groups as they were recorded, at the start. Sessions begin anew.
    pub fn restore(&mut self, now: Moment, kept: &Kept) {
        for (group_id, kept) in kept.groups() {
            let delay = self.limits.initial_rebalance_delay;
            let group = match kept {
                KeptGroup::Classic(kept) => Group::Classic(classic::Group::restored(now, delay, kept)),
                KeptGroup::Next(kept) => Group::Next(next::Group::restored(now, &self.limits, kept)),
            };
            self.groups.insert(group_id.to_owned(), group);
            self.settle(now, group_id, 0);
        }
    }

    /// A topic is there, with more partitions or made anew perhaps, or is gone: groups of KIP-848 share out anew with
    /// the next heartbeat of who wants it. All topics are told one by one at the start, before `restore`.
    pub fn on_topic(&mut self, name: &str, topic: Option<Topic>) {
        self.topics.set(name, topic);
    }

    /// Somebody asks to join; `poll` answers, at once or when the group is complete.
    pub fn on_join(&mut self, now: Moment, join: Join) {
        let (token, group_id) = (join.token, join.request.group_id.clone());
        if let Err(code) = self.check_join(&join) {
            let reply = refuse_join(token, code, join.request.member_id);
            return self.replies.push_back(reply);
        }
        let delay = self.limits.initial_rebalance_delay;
        let new = || Group::Classic(classic::Group::new(delay, 0));
        let group = self.groups.entry(group_id.clone()).or_insert_with(new);
        let before = group.bytes();
        if let Group::Next(empty) = group
            && empty.is_empty()
        {
            *group = Group::Classic(empty.emptied(&self.limits));
        }
        match group {
            Group::Classic(group) => {
                self.parked.insert(token, group_id.clone());
                group.on_join(now, join, &self.limits, &mut self.rng);
            }
            Group::Next(group) => {
                let mut world = World { limits: &self.limits, topics: &self.topics, rng: &mut self.rng };
                self.replies.push_back(match group.on_join(now, join, &mut world) {
                    Ok(response) => Reply { token, answer: Answer::Join(response) },
                    Err((code, member_id)) => refuse_join(token, code, member_id),
                });
            }
        }
        self.settle(now, &group_id, before);
    }

    fn check_join(&self, join: &Join) -> Result<(), ErrorCode> {
        let request = &join.request;
        let session_timeout = millis(request.session_timeout_ms);
        let bounds = self.limits.session_timeout_min..=self.limits.session_timeout_max;
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        if !bounds.contains(&session_timeout) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        let known = self.groups.contains_key(&request.group_id);
        if !known && !request.member_id.is_empty() {
            return Err(ErrorCode::UnknownMemberId);
        }
        let full = self.bytes > self.limits.bytes_max;
        let one_too_many = !known && self.groups.len() >= self.limits.groups_max;
        match request.member_id.is_empty() {
            true if full || one_too_many => Err(ErrorCode::GroupMaxSizeReached),
            // Whoever is in may come back, once there is room.
            false if full => Err(ErrorCode::CoordinatorNotAvailable),
            _ => Ok(()),
        }
    }

    /// A member asks for its assignment, a leader with what it assigns; `poll` answers.
    pub fn on_sync(&mut self, now: Moment, token: Token, request: SyncGroupRequest) {
        let group_id = request.group_id.clone();
        let full = self.bytes > self.limits.bytes_max;
        let Some(group) = self.groups.get_mut(&group_id).filter(|_| !full) else {
            let code = match (group_id.is_empty(), full) {
                (true, _) => ErrorCode::InvalidGroupId,
                (_, true) => ErrorCode::CoordinatorNotAvailable,
                _ => ErrorCode::UnknownMemberId,
            };
            return self.replies.push_back(refuse_sync(token, code));
        };
        let before = group.bytes();
        match group {
            Group::Classic(group) => {
                self.parked.insert(token, group_id.clone());
                group.on_sync(now, token, request);
            }
            Group::Next(group) => self.replies.push_back(match group.on_sync(now, &request, &self.topics) {
                Ok(response) => Reply { token, answer: Answer::Sync(response) },
                Err(code) => refuse_sync(token, code),
            }),
        }
        self.settle(now, &group_id, before);
    }

    /// A member says that it lives, and learns whether the group rebalances.
    pub fn on_heartbeat(&mut self, now: Moment, request: &HeartbeatRequest) -> HeartbeatResponse {
        let outcome = match self.groups.get_mut(&request.group_id) {
            _ if request.group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            None => Err(ErrorCode::UnknownMemberId),
            Some(Group::Classic(group)) => group.on_heartbeat(now, request),
            Some(Group::Next(group)) => {
                let outcome = group.on_classic_heartbeat(now, request);
                self.look_again(&request.group_id);
                outcome
            }
        };
        HeartbeatResponse { error_code: code_of(outcome), ..HeartbeatResponse::default() }
    }

    /// Members leave, by their own word or an administrator's.
    pub fn on_leave(&mut self, now: Moment, version: i16, request: LeaveGroupRequest) -> LeaveGroupResponse {
        if request.group_id.is_empty() {
            let error_code = ErrorCode::InvalidGroupId.code();
            return LeaveGroupResponse { error_code, ..LeaveGroupResponse::default() };
        }
        if version < LEAVE_MANY_SINCE {
            let alone = MemberIdentity { member_id: request.member_id, ..MemberIdentity::default() };
            let [outcome] = &self.leave(now, &request.group_id, &[alone])[..] else {
                unreachable!("one left")
            };
            return LeaveGroupResponse { error_code: code_of(*outcome), ..LeaveGroupResponse::default() };
        }
        let outcomes = self.leave(now, &request.group_id, &request.members);
        let respond = |(member, outcome): (MemberIdentity, Result<(), ErrorCode>)| MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code: code_of(outcome),
        };
        let members = request.members.into_iter().zip(outcomes).map(respond).collect();
        LeaveGroupResponse { members, ..LeaveGroupResponse::default() }
    }

    fn leave(
        &mut self,
        now: Moment,
        group_id: &str,
        leaving: &[MemberIdentity],
    ) -> Vec<Result<(), ErrorCode>> {
        let Some(group) = self.groups.get_mut(group_id) else {
            return vec![Err(ErrorCode::UnknownMemberId); leaving.len()];
        };
        let before = group.bytes();
        let mut outcomes = Vec::new();
        match group {
            Group::Next(group) => outcomes.extend(leaving.iter().map(|identity| group.on_leave(identity))),
            Group::Classic(group) => {
                outcomes.extend(leaving.iter().map(|identity| group.on_leave(identity)));
                if outcomes.iter().any(Result::is_ok) {
                    group.left(now);
                }
            }
        }
        self.settle(now, group_id, before);
        outcomes
    }

    /// Whether this commit counts. A group without members takes commits of generation -1 from anybody.
    pub fn on_commit(&mut self, now: Moment, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        match self.groups.get_mut(&request.group_id) {
            _ if request.group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            None if generation < 0 => Ok(()),
            None => Err(ErrorCode::IllegalGeneration),
            Some(Group::Next(group)) => group.on_commit(&request.member_id, generation),
            Some(Group::Classic(group)) => {
                let instance = request.group_instance_id.as_deref();
                group.on_commit(now, &request.member_id, instance, generation)
            }
        }
    }

    /// The connection of a request is gone before it was answered.
    pub fn on_gone(&mut self, now: Moment, token: Token) {
        let Some(group_id) = self.parked.remove(&token) else { return };
        let Some(group) = self.groups.get_mut(&group_id) else { return };
        let Group::Classic(waits) = group else { return };
        let before = waits.bytes();
        waits.on_gone(now, token);
        self.settle(now, &group_id, before);
    }

    /// What is to be recorded or sent next, in order. Call it until there is nothing, after every other call and at
    /// `deadline`, before anything that another call returned is sent.
    pub fn poll(&mut self, now: Moment, wall: Timestamp) -> Option<Output> {
        while let Some(group_id) = self.next_due(now) {
            let Some(group) = self.groups.get_mut(&group_id) else { continue };
            let before = group.bytes();
            group.expire(now);
            self.settle(now, &group_id, before);
        }
        while let Some(group_id) = self.changed.pop_first() {
            let Some(group) = self.groups.get_mut(&group_id) else { continue };
            group.take_records(&group_id, wall, &mut self.records);
        }
        let record = self.records.pop_front().map(Output::Record);
        record.or_else(|| self.replies.pop_front().map(Output::Reply))
    }

    fn next_due(&mut self, now: Moment) -> Option<String> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        let (_, group_id) = self.due.pop_first()?;
        self.dues.remove(&group_id);
        Some(group_id)
    }

    /// When `poll` has something to do that nobody asked for.
    pub fn deadline(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// After a change to a group: its answers, its next deadline, its weight; and one that never came to anything
    /// is forgotten. One that has lost its last member of KIP-848 goes on in the classic protocol.
    pub(super) fn settle(&mut self, now: Moment, group_id: &str, bytes_before: usize) {
        let Some(group) = self.groups.get_mut(group_id) else { return };
        if let Group::Next(next) = group
            && next.is_classic_again()
        {
            *group = Group::Classic(next.to_classic(now, &self.limits, &self.topics));
        }
        for reply in group.take_replies() {
            self.parked.remove(&reply.token);
            self.replies.push_back(reply);
        }
        self.changed.insert(group_id.to_owned());
        self.bytes = self.bytes + group.bytes() - bytes_before;
        let forgettable = group.is_forgettable();
        self.look_again(group_id);
        if forgettable {
            self.forget(group_id);
        }
    }

    /// When a group wants to be looked at may have changed.
    fn look_again(&mut self, group_id: &str) {
        let Some(group) = self.groups.get(group_id) else { return };
        let at = group.deadline();
        if self.dues.get(group_id).copied() == at {
            return;
        }
        if let Some(before) = self.dues.remove(group_id) {
            self.due.remove(&(before, group_id.to_owned()));
        }
        if let Some(at) = at {
            self.due.insert((at, group_id.to_owned()));
            self.dues.insert(group_id.to_owned(), at);
        }
    }

    pub(super) fn forget(&mut self, group_id: &str) {
        let Some(group) = self.groups.remove(group_id) else { return };
        self.bytes -= group.bytes();
        if let Some(at) = self.dues.remove(group_id) {
            self.due.remove(&(at, group_id.to_owned()));
        }
    }
}

fn code_of(outcome: Result<(), ErrorCode>) -> i16 {
    outcome.map_or_else(|code| code.code(), |()| ErrorCode::None.code())
}
