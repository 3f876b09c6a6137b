//! What members ask of a group that they are in: their assignment, whether it rebalances, to leave, to commit.

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::group::{DescribedGroup, HeartbeatRequest, MemberIdentity, SyncGroupRequest},
};

use super::{
    group::{Group, State},
    member::{Member, Parked},
};
use crate::{
    Moment,
    group::coordinator::{Token, refuse_sync},
};

impl Group {
    pub(in crate::group) fn on_sync(&mut self, now: Moment, token: Token, request: SyncGroupRequest) {
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
            State::Gathering { .. } | State::Preparing { .. } => Err(ErrorCode::RebalanceInProgress),
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
            self.rest();
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

    pub(in crate::group) fn on_heartbeat(
        &mut self,
        now: Moment,
        request: &HeartbeatRequest,
    ) -> Result<(), ErrorCode> {
        let (state, generation) = (self.state, self.generation);
        let member = self.member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        member.heard_of(now);
        match state {
            State::Gathering { .. } | State::Preparing { .. } => Err(ErrorCode::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    pub(in crate::group) fn on_leave(&mut self, leaving: &MemberIdentity) -> Result<(), ErrorCode> {
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
    pub(in crate::group) fn on_commit(
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
    pub(in crate::group) fn on_gone(&mut self, now: Moment, token: Token) {
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

    pub(in crate::group) fn describe(&self) -> DescribedGroup {
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
    pub(super) fn member(&mut self, id: &str, instance: Option<&str>) -> Result<&mut Member, ErrorCode> {
        if let Some(instance) = instance {
            let current = self.instances.get(instance).ok_or(ErrorCode::UnknownMemberId)?;
            if current != id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        self.members.get_mut(id).ok_or(ErrorCode::UnknownMemberId)
    }
}
