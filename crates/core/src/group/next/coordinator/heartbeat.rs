//! A heartbeat: a member joins, leaves, says what it wants and holds, and is told how far it is.

use vltava_wire::{
    ErrorCode,
    messages::next_group::{Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse},
};

use super::{
    Group, Partitions, Refusal, World,
    group::{read, write},
    member::{AWAY, Member, Progress},
    pattern::Pattern,
    target,
};
use crate::{
    Moment,
    group::{
        classic::coordinator::{as_millis, millis},
        coordinator::{Beat, Limits},
    },
};

/// From this version on members name themselves.
const OWN_ID_SINCE: i16 = 1;
/// The epoch of who leaves for good.
const LEAVES: i32 = -1;

/// What may be wrong with a heartbeat whatever the group.
pub(in crate::group) fn check(beat: &Beat) -> Result<(), Refusal> {
    let request = &beat.request;
    let invalid = |why: &str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    let blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    let joins = request.member_epoch == 0;
    if request.group_id.trim().is_empty() {
        return invalid("the group has no name");
    }
    if blank(&request.instance_id) || blank(&request.rack_id) {
        return invalid("an instance or a rack that is named has a name");
    }
    if request.member_id.trim().is_empty() && (!joins || beat.version >= OWN_ID_SINCE) {
        return invalid("the member has no id");
    }
    if request.member_epoch < AWAY {
        return invalid("there is no such member epoch");
    }
    if request.member_epoch == AWAY && request.instance_id.is_none() {
        return invalid("only a static member leaves for a while");
    }
    if joins && request.rebalance_timeout_ms == -1 {
        return invalid("who joins says how long it may take to give partitions back");
    }
    if joins && request.topic_partitions.as_ref().is_none_or(|held| !held.is_empty()) {
        return invalid("who joins holds no partitions");
    }
    if joins && request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return invalid("who joins says what it wants");
    }
    if let Some(text) = request.subscribed_topic_regex.as_deref().filter(|text| !text.is_empty()) {
        Pattern::new(text)?;
    }
    match &request.server_assignor {
        Some(name) if target::assignor(name).is_none() => {
            let known: Vec<_> = target::assignors().collect();
            let why = format!("there is no assignor {name}, only {}", known.join(", "));
            Err(Refusal::new(ErrorCode::UnsupportedAssignor, why))
        }
        _ => Ok(()),
    }
}

impl Group {
    /// A member is heard of. What was checked by `check` is not checked again.
    pub(in crate::group) fn on_heartbeat(
        &mut self,
        now: Moment,
        beat: Beat,
        world: &mut World<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        match beat.request.member_epoch {
            LEAVES | AWAY => self.leave(&beat.request),
            _ => self.stay(now, beat, world),
        }
    }

    fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let id = &request.member_id;
        match &request.instance_id {
            Some(instance) => self.check_speaks(instance, id)?,
            None => {
                self.known(id)?;
            }
        }
        if request.member_epoch == AWAY {
            let mut member = self.take(id).expect("it was just looked up");
            member.epoch = AWAY;
            member.revoking.clear();
            member.patience_end = None;
            self.put(id, member);
            self.unrecorded.members.insert(id.clone());
        } else {
            self.remove(id);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    fn stay(
        &mut self,
        now: Moment,
        beat: Beat,
        world: &mut World<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        if self.has_nothing_new(&beat.request, world) {
            let id = beat.request.member_id;
            self.heard_of(&id, now + world.limits.next_session_timeout);
            return Ok(ConsumerGroupHeartbeatResponse {
                member_id: Some(id),
                member_epoch: beat.request.member_epoch,
                heartbeat_interval_ms: as_millis(world.limits.next_heartbeat_interval),
                ..ConsumerGroupHeartbeatResponse::default()
            });
        }
        let Beat { client_id, client_host, mut request, .. } = beat;
        if request.member_id.is_empty() {
            request.member_id = world.rng.uuid().to_string();
        }
        let owned = request.topic_partitions.as_deref().map(read);
        let pattern = self.pattern(&request)?;
        self.check_room(&request.member_id, request.instance_id.as_deref(), world.limits)?;
        self.check_member(&request, owned.as_ref())?;
        let (id, joins) = (request.member_id.clone(), request.member_epoch == 0);
        let tells_all =
            request.rebalance_timeout_ms != -1 && request.subscribed_topic_names.is_some() && owned.is_some();

        let is_new = !self.members.contains_key(&id);
        let mut member = self.enter(now, &id, request.instance_id.as_deref());
        let said = set(&mut member.client_id, client_id) | set(&mut member.client_host, client_host);
        let said = said | set(&mut member.classic, None) | says(&mut member, &request);
        let wants = wants(&mut member, request, pattern);
        member.session_end = now + world.limits.next_session_timeout;
        self.put(&id, member);

        let is_first = !self.targets.contains_key(&id);
        self.catch_up(is_first || wants, world.topics);
        let mut member = self.take(&id).expect("it was just put in");
        let progress = self.reconcile(now, &id, &mut member, owned.as_ref());
        member.is_confirmed = match &owned {
            Some(owned) => *owned == member.assigned,
            None => member.is_confirmed && progress != Progress::Reassigned,
        };
        if is_new || said || wants || progress != Progress::None {
            self.unrecorded.members.insert(id.clone());
        }
        let response = ConsumerGroupHeartbeatResponse {
            member_id: Some(id.clone()),
            member_epoch: member.epoch,
            heartbeat_interval_ms: as_millis(world.limits.next_heartbeat_interval),
            assignment: (joins || tells_all || !member.is_confirmed || progress == Progress::Reassigned)
                .then(|| Assignment { topic_partitions: write(&member.assigned) }),
            ..ConsumerGroupHeartbeatResponse::default()
        };
        self.put(&id, member);
        Ok(response)
    }

    /// Whether a member says nothing but that it lives, and is where it is to be: so are most heartbeats.
    fn has_nothing_new(&self, request: &ConsumerGroupHeartbeatRequest, world: &World<'_>) -> bool {
        let at_rest = self.epoch == self.assignment_epoch && self.topics_seen == Some(world.topics.changes());
        let says = request.rebalance_timeout_ms != -1
            || request.subscribed_topic_names.is_some()
            || request.subscribed_topic_regex.is_some()
            || request.server_assignor.is_some()
            || request.rack_id.is_some();
        let is_there = |member: &Member| {
            member.epoch == request.member_epoch
                && member.is_reconciled(self.epoch)
                && member.is_confirmed
                && member.classic.is_none()
                && member.instance_id == request.instance_id
        };
        at_rest
            && !says
            && request.member_epoch > 0
            && self.members.get(&request.member_id).is_some_and(is_there)
    }

    /// The pattern that is asked for, if it is another one; those of one group are mostly the same.
    fn pattern(&self, request: &ConsumerGroupHeartbeatRequest) -> Result<Option<Pattern>, Refusal> {
        let Some(text) = request.subscribed_topic_regex.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let mut known = self.members.values().filter_map(|member| member.pattern.as_ref());
        known.find(|pattern| pattern.text() == text).cloned().map_or_else(|| Pattern::new(text), Ok).map(Some)
    }

    /// Whether there is room for the member, if it is a new one.
    pub(super) fn check_room(
        &self,
        id: &str,
        instance: Option<&str>,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let replaces = instance.is_some_and(|instance| self.instances.contains_key(instance));
        if self.members.len() < limits.members_max || replaces || self.members.contains_key(id) {
            return Ok(());
        }
        let why = format!("the group has {} members, as many as it may", self.members.len());
        Err(Refusal::new(ErrorCode::GroupMaxSizeReached, why))
    }

    /// Whether the member is who it says it is, and not behind or ahead of what it was told.
    fn check_member(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        owned: Option<&Partitions>,
    ) -> Result<(), Refusal> {
        let id = &request.member_id;
        let joins = request.member_epoch == 0;
        match (&request.instance_id, joins) {
            (None, true) => return Ok(()),
            (Some(instance), true) => return self.check_instance(instance, id),
            (None, false) => (),
            (Some(instance), false) => self.check_speaks(instance, id)?,
        }
        let member = self.known(id)?;
        let epoch = request.member_epoch;
        let missed_an_answer =
            epoch == member.previous_epoch && owned.is_some_and(|owned| owned.is_subset(&member.assigned));
        if epoch == member.epoch || (epoch < member.epoch && missed_an_answer) {
            return Ok(());
        }
        let why = format!("member {id} is at epoch {}, not {epoch}: it has to join again", member.epoch);
        Err(Refusal::new(ErrorCode::FencedMemberEpoch, why))
    }

    /// Whether a static member may join under this id.
    fn check_instance(&self, instance: &str, id: &str) -> Result<(), Refusal> {
        if self.members.get(id).is_some_and(|member| member.instance_id.as_deref() != Some(instance)) {
            let why = format!("member {id} has another instance id than {instance}");
            return Err(Refusal::new(ErrorCode::InvalidRequest, why));
        }
        let Some(before) = self.instances.get(instance).filter(|before| *before != id) else { return Ok(()) };
        let member = &self.members[before];
        if member.epoch == AWAY || member.classic.is_some() {
            return Ok(());
        }
        let why = format!("instance {instance} is in use by member {before}");
        Err(Refusal::new(ErrorCode::UnreleasedInstanceId, why))
    }

    /// Whether it is this member that speaks for the instance.
    pub(super) fn check_speaks(&self, instance: &str, id: &str) -> Result<(), Refusal> {
        match self.instances.get(instance) {
            None => {
                let why = format!("no member has the instance id {instance}");
                Err(Refusal::new(ErrorCode::UnknownMemberId, why))
            }
            Some(other) if other != id => {
                let why = format!("member {id} was replaced by {other} as instance {instance}");
                Err(Refusal::new(ErrorCode::FencedInstanceId, why))
            }
            Some(_) => Ok(()),
        }
    }

    /// The member, out of the group: the one that is known, one that takes the place of another, or a new one.
    pub(super) fn enter(&mut self, now: Moment, id: &str, instance: Option<&str>) -> Member {
        if let Some(member) = self.take(id) {
            return if member.epoch == AWAY { member.successor() } else { member };
        }
        match instance.and_then(|instance| self.instances.get(instance).cloned()) {
            Some(before) => self.succeed(&before, id),
            None => Member { instance_id: instance.map(str::to_owned), ..Member::new(now) },
        }
    }
}

/// What it says of itself; whether that is anything new.
fn says(member: &mut Member, request: &ConsumerGroupHeartbeatRequest) -> bool {
    let mut new = false;
    if request.rack_id.is_some() {
        new |= set(&mut member.rack_id, request.rack_id.clone());
    }
    if request.server_assignor.is_some() {
        new |= set(&mut member.assignor, request.server_assignor.clone());
    }
    if request.rebalance_timeout_ms != -1 {
        new |= set(&mut member.rebalance_timeout, millis(request.rebalance_timeout_ms));
    }
    new
}

/// What it wants; whether that is anything new. An empty pattern is none.
fn wants(member: &mut Member, request: ConsumerGroupHeartbeatRequest, pattern: Option<Pattern>) -> bool {
    let mut new = false;
    if let Some(topics) = request.subscribed_topic_names {
        new |= set(&mut member.topics, topics.into_iter().collect());
    }
    if request.subscribed_topic_regex.is_some() {
        new |= set(&mut member.pattern, pattern);
    }
    new
}

pub(super) fn set<T: PartialEq>(field: &mut T, value: T) -> bool {
    let new = *field != value;
    *field = value;
    new
}
