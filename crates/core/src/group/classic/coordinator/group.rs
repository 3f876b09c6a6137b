//! One group, and how members get in. What else they ask is in `asks`, how the group rebalances in `rebalance`.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use vltava_wire::{ErrorCode, messages::group::JoinGroupRequest};

use super::member::{Member, Parked};
use crate::{
    Moment, Rng, Timestamp,
    group::coordinator::{Answer, ClassicGroup, Join, Limits, Reply, Token, refuse_join, refuse_sync},
};

/// From this version on a member is told its id before it may join (KIP-394): joins that got lost leave no ghosts.
pub(in crate::group) const ID_REQUIRED_SINCE: i16 = 4;
/// From this version on a leader that came back can be told not to assign (KIP-814).
const SKIP_ASSIGNMENT_SINCE: i16 = 9;

#[derive(Debug)]
pub(in crate::group) struct Group {
    pub(in crate::group) protocol_type: String,
    pub(super) protocol: Option<String>,
    pub(super) generation: i32,
    pub(super) leader: Option<String>,
    pub(in crate::group) state: State,
    pub(super) members: BTreeMap<String, Member>,
    /// Static members: the id that speaks for each instance now.
    pub(super) instances: BTreeMap<String, String>,
    /// Ids that were given out and have not joined, and until when they may.
    pub(super) pending: BTreeMap<String, Moment>,
    pub(super) initial_delay: Duration,
    pub(in crate::group) replies: VecDeque<Reply>,
    /// What is to be recorded, as of the last moment of rest.
    pub(super) unrecorded: Option<ClassicGroup>,
    /// Since when it has no members, once that is recorded.
    pub(in crate::group) empty_since: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::group) enum State {
    /// Nobody is in it.
    Empty,
    /// The first rebalance: waits for more to join until `until`, again when somebody has `joined` meanwhile, as
    /// long as time is `left`.
    Gathering { until: Moment, joined: bool, left: Duration },
    /// Waits until everybody has joined, at most until `end`.
    Preparing { end: Moment },
    /// Waits for what the leader assigns; who has not synced by `end` is out.
    Completing { end: Moment },
    /// Everybody may have its assignment; who has not asked for it by `sync_end` is out.
    Stable { sync_end: Option<Moment> },
}

impl State {
    /// The name that Kafka's tools show.
    pub(in crate::group) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Gathering { .. } | State::Preparing { .. } => "PreparingRebalance",
            State::Completing { .. } => "CompletingRebalance",
            State::Stable { .. } => "Stable",
        }
    }
}

impl Group {
    pub(in crate::group) fn new(initial_delay: Duration, generation: i32) -> Self {
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
            unrecorded: None,
            empty_since: None,
        }
    }

    /// Whether it never had a generation, and nobody is about to join.
    pub(in crate::group) fn is_forgettable(&self) -> bool {
        self.generation == 0 && self.is_empty() && self.pending.is_empty()
    }

    /// Whether nobody is in it. Who only asked for an id is not.
    pub(in crate::group) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Bytes that members left here.
    pub(in crate::group) fn bytes(&self) -> usize {
        let members = self.members.iter().map(|(id, member)| id.len() + member.bytes());
        let pending = self.pending.keys().map(|id| id.len() + 64);
        self.protocol_type.len() + members.sum::<usize>() + pending.sum::<usize>()
    }

    pub(in crate::group) fn on_join(&mut self, now: Moment, join: Join, limits: &Limits, rng: &mut Rng) {
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
            State::Gathering { .. } | State::Preparing { .. } => true,
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
        if let State::Gathering { joined, .. } = &mut self.state {
            *joined = true;
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
        self.rest();
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

    /// A newer request of the same member takes the place of one that waits.
    pub(super) fn supersede(&mut self, earlier: Parked) {
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
pub(in crate::group) fn rebalance_timeout(request: &JoinGroupRequest) -> Duration {
    match request.rebalance_timeout_ms {
        ..0 => millis(request.session_timeout_ms),
        given => millis(given),
    }
}

/// Milliseconds of a request, where a negative number is none.
pub(in crate::group) fn millis(given: i32) -> Duration {
    Duration::from_millis(u64::try_from(given).unwrap_or(0))
}
