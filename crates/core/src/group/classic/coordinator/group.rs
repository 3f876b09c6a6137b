//! One group: what its members may ask for, and what they are answered. How it rebalances is in `rebalance`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::group::{
        DescribedGroup, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, MemberIdentity,
        SyncGroupRequest, SyncGroupResponse,
    },
};

use super::{
    Answer, Join, Limits, Reply, Token,
    member::{Member, Parked},
};
use crate::{Moment, Rng};

/// From this version on a member is told its id before it may join (KIP-394): joins that got lost leave no ghosts.
const ID_REQUIRED_SINCE: i16 = 4;
/// From this version on a leader that came back can be told not to assign (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) protocol_type: String,
    pub(super) protocol: Option<String>,
    pub(super) generation: i32,
    pub(super) leader: Option<String>,
    pub(super) state: State,
    pub(super) members: BTreeMap<String, Member>,
    /// Static members: the id that speaks for each instance now.
    pub(super) instances: BTreeMap<String, String>,
    /// Ids that were given out and have not joined, and until when they may.
    pub(super) pending: BTreeMap<String, Moment>,
    pub(super) initial_delay: Duration,
    pub(super) replies: VecDeque<Reply>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody is in it.
    Empty,
    /// Waits until everybody has joined, at least until `not_before`, at most until `end`.
    Preparing { not_before: Moment, end: Moment },
    /// Waits for what the leader assigns; who has not synced by `end` is out.
    Completing { end: Moment },
    /// Everybody may have its assignment; who has not asked for it by `sync_end` is out.
    Stable { sync_end: Option<Moment> },
}

impl State {
    /// The name that Kafka's tools show.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Preparing { .. } => "PreparingRebalance",
            State::Completing { .. } => "CompletingRebalance",
            State::Stable { .. } => "Stable",
        }
    }
}

impl Group {
    pub(super) fn new(initial_delay: Duration, generation: i32) -> Self {
        Self {
            protocol_type: String::new(),
            protocol: None,
            generation,
            leader: None,
            state: State::Empty,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            initial_delay,
            replies: VecDeque::new(),
        }
    }

    /// Whether nothing in it is worth keeping.
    pub(super) fn is_forgettable(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty() && self.replies.is_empty()
    }

    /// Bytes that members left here.
    pub(super) fn bytes(&self) -> usize {
        let members = self.members.iter().map(|(id, member)| id.len() + member.bytes());
        let pending = self.pending.keys().map(|id| id.len() + 64);
        self.protocol_type.len() + members.sum::<usize>() + pending.sum::<usize>()
    }

    pub(super) fn on_join(&mut self, now: Moment, join: Join, limits: &Limits, rng: &mut Rng) {
        let token = join.token;
        let known = join.request.member_id.clone();
        let outcome = if known.is_empty() {
            self.newcomer(now, join, limits, rng)
        } else {
            self.returning(now, join).map_err(|code| (code, known))
        };
        if let Err((code, member_id)) = outcome {
            self.replies.push_back(refuse_join(token, code, member_id));
        }
    }

    fn newcomer(
        &mut self,
        now: Moment,
        join: Join,
        limits: &Limits,
        rng: &mut Rng,
    ) -> Result<(), (ErrorCode, String)> {
        let refused = |code| (code, String::new());
        self.check_protocols(&join.request).map_err(refused)?;
        let instance = join.request.group_instance_id.clone();
        let id = format!("{}-{}", instance.as_deref().unwrap_or(&join.client_id), rng.uuid());
        if let Some(old) = instance.and_then(|instance| self.instances.get(&instance).cloned()) {
            self.replace(now, &old, id, join);
            return Ok(());
        }
        if self.members.len() + self.pending.len() >= limits.members_max {
            return Err(refused(ErrorCode::GroupMaxSizeReached));
        }
        if join.version >= ID_REQUIRED_SINCE && join.request.group_instance_id.is_none() {
            self.pending.insert(id.clone(), now + millis(join.request.session_timeout_ms));
            return Err((ErrorCode::MemberIdRequired, id));
        }
        self.add(now, id, false, join);
        Ok(())
    }

    fn returning(&mut self, now: Moment, join: Join) -> Result<(), ErrorCode> {
        let Join { token, request, .. } = &join;
        self.check_protocols(request)?;
        let id = request.member_id.clone();
        if request.group_instance_id.is_none() && self.pending.remove(&id).is_some() {
            self.add(now, id, true, join);
            return Ok(());
        }
        let member = self.member(&id, request.group_instance_id.as_deref())?;
        let changed = member.protocols != request.protocols;
        let leads = self.leader.as_deref() == Some(&*id);
        let rejoins = match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::Preparing { .. } => true,
            State::Completing { .. } => changed,
            State::Stable { .. } => changed || leads,
        };
        if rejoins {
            self.update(&id, *token, request);
            self.rebalance(now);
        } else {
            // The answer to its join was lost, or it asks without need: it is told once more.
            let sees_members = leads && matches!(self.state, State::Completing { .. });
            self.answer_join(now, &id, *token, sees_members);
        }
        Ok(())
    }

    fn add(&mut self, now: Moment, id: String, knows_id: bool, join: Join) {
        if self.members.is_empty() {
            self.protocol_type = join.request.protocol_type.clone();
        }
        if let Some(instance) = &join.request.group_instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, new_member(now, knows_id, join));
        if let State::Preparing { not_before, end } = &mut self.state
            && *not_before > now
        {
            *not_before = (now + self.initial_delay).min(*end);
        }
        self.rebalance(now);
    }

    /// A static member has come back under a new id: the old one is fenced. While the choice of the protocol
    /// stands, its assignment does too, and nobody else need notice.
    fn replace(&mut self, now: Moment, old: &str, id: String, join: Join) {
        let (token, version) = (join.token, join.version);
        let before = self.take_member(old, ErrorCode::FencedInstanceId).expect("instances name members");
        if let Some(instance) = &join.request.group_instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        let mut member = new_member(now, false, join);
        member.assignment = before.assignment;
        member.synced = before.synced;
        self.members.insert(id.clone(), member);
        let old_leader = self.leader.clone();
        if old_leader.as_deref() == Some(old) {
            self.leader = Some(id.clone());
        }
        if !matches!(self.state, State::Stable { .. }) || self.choose_protocol() != self.protocol {
            return self.rebalance(now);
        }
        self.members.get_mut(&id).expect("it was just put in").parked = Parked::Nothing;
        let leads = self.leader.as_deref() == Some(&*id);
        let skips = leads && version >= SKIP_ASSIGNMENT_SINCE;
        self.answer_join(now, &id, token, skips);
        if let Some(Reply { answer: Answer::Join(response), .. }) = self.replies.back_mut() {
            response.skip_assignment = skips;
            if leads && !skips {
                response.leader = old_leader.unwrap_or_default();
            }
        }
    }

    fn update(&mut self, id: &str, token: Token, request: &JoinGroupRequest) {
        let Some(member) = self.members.get_mut(id) else { return };
        let earlier = std::mem::replace(&mut member.parked, Parked::Join(token));
        member.protocols = request.protocols.clone();
        member.session_timeout = millis(request.session_timeout_ms);
        member.rebalance_timeout = rebalance_timeout(request);
        self.supersede(earlier);
    }

    pub(super) fn on_sync(&mut self, now: Moment, token: Token, request: SyncGroupRequest) {
        match self.check_sync(&request) {
            Err(code) => self.replies.push_back(refuse_sync(token, code)),
            Ok(()) => self.sync(now, token, request),
        }
    }

    fn check_sync(&mut self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.member(&request.member_id, request.group_instance_id.as_deref())?;
        let named_type = request.protocol_type.as_ref();
        let named = request.protocol_name.as_ref();
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if named_type.is_some_and(|it| *it != self.protocol_type)
            || named.is_some_and(|it| Some(it) != self.protocol.as_ref())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::Preparing { .. } => Err(ErrorCode::RebalanceInProgress),
            State::Completing { .. } | State::Stable { .. } => Ok(()),
        }
    }

    fn sync(&mut self, now: Moment, token: Token, request: SyncGroupRequest) {
        let member = self.members.get_mut(&request.member_id).expect("the sync was checked");
        let earlier = std::mem::replace(&mut member.parked, Parked::Sync(token));
        member.synced = true;
        member.heard_of(now);
        self.supersede(earlier);
        if let State::Completing { end } = self.state {
            if self.leader.as_deref() != Some(&*request.member_id) {
                return;
            }
            self.assign(request);
            self.state = State::Stable { sync_end: Some(end) };
        }
        self.answer_syncs(now);
    }

    fn assign(&mut self, request: SyncGroupRequest) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for assigned in request.assignments {
            if let Some(member) = self.members.get_mut(&assigned.member_id) {
                member.assignment = assigned.assignment;
            }
        }
    }

    pub(super) fn on_heartbeat(&mut self, now: Moment, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
        let (state, generation) = (self.state, self.generation);
        let member = self.member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        member.heard_of(now);
        match state {
            State::Preparing { .. } => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    pub(super) fn on_leave(&mut self, leaving: &MemberIdentity) -> Result<(), ErrorCode> {
        let instance = leaving.group_instance_id.as_deref();
        let mut id = leaving.member_id.clone();
        if id.is_empty() {
            // An administrator names the instance alone.
            let named = instance.and_then(|instance| self.instances.get(instance));
            id = named.ok_or(ErrorCode::UnknownMemberId)?.clone();
        }
        if self.pending.remove(&id).is_some() {
            return Ok(());
        }
        self.member(&id, instance)?;
        self.remove(&id);
        Ok(())
    }

    /// Whether a commit of this member and generation counts. One that does is a sign of life.
    pub(super) fn on_commit(
        &mut self,
        now: Moment,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        let (state, current) = (self.state, self.generation);
        let member = self.member(member_id, instance)?;
        if generation != current {
            return Err(ErrorCode::IllegalGeneration);
        }
        if matches!(state, State::Completing { .. }) {
            return Err(ErrorCode::RebalanceInProgress);
        }
        member.heard_of(now);
        Ok(())
    }

    /// The connection of a parked request is gone, and nobody will read the answer. The member may come back
    /// within its session; one that was never told its id cannot.
    pub(super) fn on_gone(&mut self, now: Moment, token: Token) {
        let waits =
            |member: &Member| matches!(member.parked, Parked::Join(it) | Parked::Sync(it) if it == token);
        let Some((id, member)) = self.members.iter_mut().find(|(_, member)| waits(member)) else { return };
        if !member.knows_id && member.awaits_join() && member.instance_id.is_none() {
            let id = id.clone();
            self.remove(&id);
            return self.left(now);
        }
        if matches!(member.parked, Parked::Sync(_)) {
            member.synced = false;
        }
        member.parked = Parked::Nothing;
        member.heard_of(now);
    }

    pub(super) fn describe(&self) -> DescribedGroup {
        let stable = matches!(self.state, State::Stable { .. });
        let protocol = self.protocol.as_deref().filter(|_| stable);
        DescribedGroup {
            group_state: self.state.name().to_owned(),
            protocol_type: self.protocol_type.clone(),
            protocol_data: protocol.unwrap_or_default().to_owned(),
            members: self.members.iter().map(|(id, member)| member.described(id, protocol)).collect(),
            ..DescribedGroup::default()
        }
    }

    /// The member that a request speaks for.
    fn member(&mut self, id: &str, instance: Option<&str>) -> Result<&mut Member, ErrorCode> {
        if let Some(instance) = instance {
            let current = self.instances.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if current != id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        self.members.get_mut(id).ok_or(ErrorCode::UnknownMemberId)
    }

    /// A newer request of the same member takes the place of one that waits.
    fn supersede(&mut self, earlier: Parked) {
        let code = ErrorCode::RebalanceInProgress;
        match earlier {
            Parked::Nothing => (),
            Parked::Join(token) => self.replies.push_back(refuse_join(token, code, String::new())),
            Parked::Sync(token) => self.replies.push_back(refuse_sync(token, code)),
        }
    }
}

fn new_member(now: Moment, knows_id: bool, join: Join) -> Member {
    let session_timeout = millis(join.request.session_timeout_ms);
    Member {
        session_timeout,
        rebalance_timeout: rebalance_timeout(&join.request),
        instance_id: join.request.group_instance_id,
        client_id: join.client_id,
        client_host: join.client_host,
        protocols: join.request.protocols,
        assignment: Bytes::new(),
        parked: Parked::Join(join.token),
        synced: false,
        knows_id,
        session_end: now + session_timeout,
    }
}

/// Version 0 has no rebalance timeout: there the session's counts for both.
fn rebalance_timeout(request: &JoinGroupRequest) -> Duration {
    match request.rebalance_timeout_ms {
        ..0 => millis(request.session_timeout_ms),
        given => millis(given),
    }
}

/// Milliseconds of a request, where a negative number is none.
pub(super) fn millis(given: i32) -> Duration {
    Duration::from_millis(u64::try_from(given).unwrap_or(0))
}

pub(super) fn refuse_join(token: Token, code: ErrorCode, member_id: String) -> Reply {
    let response = JoinGroupResponse { error_code: code.code(), member_id, ..JoinGroupResponse::default() };
    Reply { token, answer: Answer::Join(response) }
}

pub(super) fn refuse_sync(token: Token, code: ErrorCode) -> Reply {
    let response = SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() };
    Reply { token, answer: Answer::Sync(response) }
}
