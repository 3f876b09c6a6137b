//! The door for members of KIP-848.

use vltava_wire::{
    ErrorCode,
    messages::{next_group::ConsumerGroupHeartbeatResponse, offsets::OffsetFetchRequestGroup},
};

use super::{Beat, Groups, group::Group};
use crate::{
    Moment,
    group::next::coordinator::{self as next, Refusal, World},
};

impl Groups {
    /// A member joins, leaves, lives, says what it holds, and learns what it may have.
    pub fn on_next_heartbeat(&mut self, now: Moment, beat: Beat) -> ConsumerGroupHeartbeatResponse {
        self.beat(now, beat).unwrap_or_else(|refusal| ConsumerGroupHeartbeatResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }

    fn beat(&mut self, now: Moment, beat: Beat) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        next::check(&beat)?;
        let group_id = beat.request.group_id.clone();
        if beat.request.member_epoch == 0 {
            self.make_ready(now, &group_id)?;
        }
        let Some(Group::Next(group)) = self.groups.get_mut(&group_id) else {
            let why = format!("there is no group {group_id} of consumers of KIP-848");
            return Err(Refusal::new(ErrorCode::GroupIdNotFound, why));
        };
        let before = group.bytes();
        let mut world = World { limits: &self.limits, topics: &self.topics, rng: &mut self.rng };
        let outcome = group.on_heartbeat(now, beat, &mut world);
        self.settle(now, &group_id, before);
        outcome
    }

    /// Makes a group that a member of KIP-848 can join, from nothing or from one of the classic protocol.
    fn make_ready(&mut self, now: Moment, group_id: &str) -> Result<(), Refusal> {
        let full = |why: &str| Err(Refusal::new(ErrorCode::GroupMaxSizeReached, why));
        if self.bytes > self.limits.bytes_max {
            return full("members of all groups take as much as they may");
        }
        let Some(group) = self.groups.get_mut(group_id) else {
            if self.groups.len() >= self.limits.groups_max {
                return full("there are as many groups as there may be");
            }
            self.groups.insert(group_id.to_owned(), Group::Next(next::Group::new(0)));
            return Ok(());
        };
        let before = group.bytes();
        let Group::Classic(classic) = group else { return Ok(()) };
        let next = match classic.is_empty() {
            true => next::Group::new(classic.generation()),
            false if classic.shares().count() >= self.limits.members_max => {
                return full("the group has as many members as it may");
            }
            false => next::Group::from_classic(now, classic, &self.topics).ok_or_else(|| {
                let why = format!("group {group_id} speaks the classic protocol, and not as consumers do");
                Refusal::new(ErrorCode::GroupIdNotFound, why)
            })?,
        };
        for reply in classic.dissolve() {
            self.parked.remove(&reply.token);
            self.replies.push_back(reply);
        }
        *group = Group::Next(next);
        self.bytes = self.bytes + group.bytes() - before;
        Ok(())
    }

    /// Whether a member of this epoch is told what its group committed; who names no member is told too.
    pub fn on_offset_fetch(&self, request: &OffsetFetchRequestGroup) -> Result<(), ErrorCode> {
        match self.groups.get(&request.group_id) {
            Some(Group::Next(group)) => {
                group.on_offset_fetch(request.member_id.as_deref(), request.member_epoch)
            }
            Some(Group::Classic(_)) | None => Ok(()),
        }
    }
}
