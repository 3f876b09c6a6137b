//! Members that speak the classic protocol in a group of KIP-848, while its members are exchanged one by one. The
//! coordinator assigns to them too: nobody leads, nobody is waited for, and a generation is a member's own epoch.

use vltava_wire::{
    ErrorCode, Uuid,
    messages::group::{
        HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember, MemberIdentity,
        SyncGroupRequest, SyncGroupResponse,
    },
};

use super::{
    Group, Partitions, World,
    heartbeat::set,
    member::{Classic, Member, State},
};
use crate::{
    Moment, TopicPartition,
    group::{
        assign::Subscriber,
        classic::{
            coordinator::{ID_REQUIRED_SINCE, millis, rebalance_timeout},
            protocol::{PROTOCOL_TYPE, assignment, subscribed},
        },
        coordinator::{Directory, Join, Limits},
    },
};

impl Group {
    /// A member joins or rejoins, and learns its epoch at once.
    pub(in crate::group) fn on_join(
        &mut self,
        now: Moment,
        join: Join,
        world: &mut World<'_>,
    ) -> Result<JoinGroupResponse, (ErrorCode, String)> {
        let Join { version, client_id, client_host, request, .. } = join;
        let named = request.member_id.clone();
        let refused = |code: ErrorCode| (code, named.clone());
        let subscriber = self.check_join(&request, world.limits).map_err(refused)?;
        let instance = request.group_instance_id.clone();
        let id = match named.is_empty() {
            true => format!("{}-{}", instance.as_deref().unwrap_or(&client_id), world.rng.uuid()),
            false => named.clone(),
        };
        if version >= ID_REQUIRED_SINCE && named.is_empty() && instance.is_none() {
            return Err((ErrorCode::MemberIdRequired, id));
        }
        let mut member = self.enter(now, &id, instance.as_deref());
        let session_timeout = millis(request.session_timeout_ms);
        member.rebalance_timeout = rebalance_timeout(&request);
        let protocol_name = request.protocols.first().map(|protocol| protocol.name.clone());
        member.classic = Some(Classic { session_timeout, protocols: request.protocols });
        (member.client_id, member.client_host) = (client_id, client_host);
        (member.rack_id, member.assignor) = (subscriber.rack.as_deref().map(str::to_owned), None);
        let wants = set(&mut member.topics, subscriber.topics) | set(&mut member.pattern, None);
        self.put(&id, member);

        let is_first = !self.targets.contains_key(&id);
        self.catch_up(is_first || wants, world.topics);
        let mut member = self.take(&id).expect("it was just put in");
        let owned = by_id(&subscriber.owned, world.topics);
        self.reconcile(now, &id, &mut member, Some(&owned));
        member.session_end = now + session_timeout;
        // From here on it is waited for to ask for its assignment.
        member.patience_end = Some(now + member.rebalance_timeout);
        let generation_id = member.epoch;
        self.put(&id, member);
        self.unrecorded.members.insert(id.clone());
        Ok(JoinGroupResponse {
            generation_id,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name,
            member_id: id,
            ..JoinGroupResponse::default()
        })
    }

    fn check_join(&self, request: &JoinGroupRequest, limits: &Limits) -> Result<Subscriber, ErrorCode> {
        let id = &request.member_id;
        let instance = request.group_instance_id.as_deref();
        self.check_room(id, instance, limits).map_err(|refusal| refusal.code)?;
        if let Some(instance) = instance.filter(|_| !id.is_empty()) {
            self.check_speaks(instance, id).map_err(|refusal| refusal.code)?;
        }
        let mut others = self.members.iter().filter(|(other, _)| *other != id);
        let speaks = |member: &Member, name: &str| {
            member.classic.as_ref().is_none_or(|it| it.protocols.iter().any(|protocol| protocol.name == name))
        };
        let shared =
            request.protocols.iter().any(|it| others.clone().all(|(_, member)| speaks(member, &it.name)));
        let first = request.protocols.first().filter(|_| shared && request.protocol_type == PROTOCOL_TYPE);
        let metadata = first.ok_or(ErrorCode::InconsistentGroupProtocol)?.metadata.clone();
        if others.any(|(_, member)| instance.is_some() && member.instance_id.as_deref() == instance)
            && !id.is_empty()
        {
            return Err(ErrorCode::FencedInstanceId);
        }
        let said =
            JoinGroupResponseMember { member_id: id.clone(), metadata, ..JoinGroupResponseMember::default() };
        let subscriber = subscribed(said).map_err(|_| ErrorCode::InconsistentGroupProtocol)?;
        // Who was given up and holds on to partitions does not know that they are another's by now.
        match self.members.contains_key(id) || id.is_empty() || subscriber.owned.is_empty() {
            true => Ok(subscriber),
            false => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// A member asks for what it may have.
    pub(in crate::group) fn on_sync(
        &mut self,
        now: Moment,
        request: &SyncGroupRequest,
        topics: &Directory,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let id = &request.member_id;
        let instance = request.group_instance_id.as_deref();
        let protocol = self.check_classic(id, instance, request.generation_id)?.protocols.first();
        let named = request.protocol_name.as_ref();
        if request.protocol_type.as_ref().is_some_and(|it| it != PROTOCOL_TYPE)
            || named.is_some_and(|it| protocol.is_none_or(|protocol| *it != protocol.name))
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        let epoch = self.epoch;
        self.change(id, |member| {
            if member.epoch < epoch && member.state != State::Unrevoked {
                member.patience_end.get_or_insert(now + member.rebalance_timeout);
                return Err(ErrorCode::RebalanceInProgress);
            }
            member.patience_end = None;
            member.session_end = now + member.session_timeout();
            Ok(SyncGroupResponse {
                protocol_type: request.protocol_type.clone(),
                protocol_name: request.protocol_name.clone(),
                assignment: assignment(&by_name(&member.assigned, topics)),
                ..SyncGroupResponse::default()
            })
        })
    }

    /// A member lives, and learns whether it has to join again.
    pub(in crate::group) fn on_classic_heartbeat(
        &mut self,
        now: Moment,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let id = &request.member_id;
        self.check_classic(id, request.group_instance_id.as_deref(), request.generation_id)?;
        let epoch = self.epoch;
        let may_have_more = self.may_have_more(id);
        self.change(id, |member| {
            member.session_end = now + member.session_timeout();
            if member.epoch == epoch && member.state != State::Unrevoked && !may_have_more {
                return Ok(());
            }
            member.patience_end.get_or_insert(now + member.rebalance_timeout);
            Err(ErrorCode::RebalanceInProgress)
        })
    }

    /// Whether a member waited for partitions that are all free by now.
    fn may_have_more(&self, id: &str) -> bool {
        let (Some(member), Some(target)) = (self.members.get(id), self.targets.get(id)) else { return false };
        let mut missing = target - &member.assigned;
        missing.retain(|partition| self.held.contains_key(partition));
        member.state == State::Unreleased && missing.is_empty()
    }

    /// A member leaves, by its own word or an administrator's.
    pub(in crate::group) fn on_leave(&mut self, leaving: &MemberIdentity) -> Result<(), ErrorCode> {
        let mut id = leaving.member_id.clone();
        if let Some(instance) = &leaving.group_instance_id {
            let speaks = self.instances.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            match id.is_empty() {
                true => id = speaks.clone(),
                false => self.check_speaks(instance, &id).map_err(|refusal| refusal.code)?,
            }
        }
        let member = self.members.get(&id).ok_or(ErrorCode::UnknownMemberId)?;
        if member.classic.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.remove(&id);
        Ok(())
    }

    fn check_classic(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<&Classic, ErrorCode> {
        if let Some(instance) = instance {
            self.check_speaks(instance, id).map_err(|refusal| refusal.code)?;
        }
        let member = self.members.get(id).ok_or(ErrorCode::UnknownMemberId)?;
        let classic = member.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        match generation == member.epoch {
            true => Ok(classic),
            false => Err(ErrorCode::IllegalGeneration),
        }
    }

    fn change<T>(&mut self, id: &str, change: impl FnOnce(&mut Member) -> T) -> T {
        let mut member = self.take(id).expect("the member was checked");
        let outcome = change(&mut member);
        self.put(id, member);
        outcome
    }
}

pub(super) fn by_id<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
    topics: &Directory,
) -> Partitions {
    let known = |it: &TopicPartition| Some((topics.topic(&it.topic)?.id, it.partition));
    partitions.into_iter().filter_map(known).collect()
}

pub(super) fn by_name(partitions: &Partitions, topics: &Directory) -> Vec<TopicPartition> {
    let known =
        |(id, partition): &(Uuid, i32)| Some(TopicPartition::new(topics.name(*id)?.clone(), *partition));
    partitions.iter().filter_map(known).collect()
}

impl Member {
    fn session_timeout(&self) -> std::time::Duration {
        self.classic.as_ref().expect("only members of the classic protocol are asked").session_timeout
    }
}
