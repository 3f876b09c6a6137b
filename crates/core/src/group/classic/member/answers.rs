//! What brokers answer a member of the classic protocol, and what it makes of it.

use std::{collections::BTreeSet, time::Duration};

use vltava_wire::{
    Class, ErrorCode,
    messages::group::{HeartbeatResponse, JoinGroupResponse, SyncGroupResponse},
};

use super::machine::{Member, Stage};
use crate::{
    Moment, TopicPartition,
    group::{
        classic::protocol,
        member::{CallId, Failure, Ground, Reason, Rules, Verdict},
    },
};

impl Member {
    pub(super) fn on_joined(
        &mut self,
        ground: &mut Ground,
        now: Moment,
        call: CallId,
        joined: JoinGroupResponse,
    ) {
        if !matches!(self.stage, Stage::Joining(it) if it == call) || ground.is_leaving() {
            return;
        }
        match ErrorCode::from(joined.error_code) {
            ErrorCode::None => self.joined(ground, now, joined),
            ErrorCode::MemberIdRequired => {
                ground.member_id = joined.member_id;
                self.stage = Stage::Apart { join_at: now };
            }
            code => self.join_again(ground, now, "joining", code),
        }
    }

    fn joined(&mut self, ground: &mut Ground, now: Moment, joined: JoinGroupResponse) {
        let name = joined.protocol_name.unwrap_or_default();
        let Some(chosen) = ground.config.assignors().into_iter().find(|it| it.name() == name) else {
            return ground.fail(Failure::Protocol(name));
        };
        self.assignor = Some(chosen);
        ground.failures = 0;
        ground.epoch = joined.generation_id;
        ground.member_id = joined.member_id;
        ground.beat.call = None;
        ground.beat.next = now + ground.config.heartbeat_interval;
        self.synced = now;
        if joined.leader == ground.member_id {
            self.lead(ground, joined.members, joined.skip_assignment);
        } else {
            self.sync(ground, Vec::new());
        }
    }

    pub(super) fn on_synced(
        &mut self,
        ground: &mut Ground,
        now: Moment,
        call: CallId,
        synced: SyncGroupResponse,
    ) {
        if !matches!(self.stage, Stage::Syncing(it) if it == call) || ground.is_leaving() {
            return;
        }
        const ASKED: &str = "asking for the assignment";
        let code = ErrorCode::from(synced.error_code);
        if code != ErrorCode::None {
            return self.join_again(ground, now, ASKED, code);
        }
        match protocol::assigned(synced.assignment) {
            Ok(partitions) => {
                ground.failures = 0;
                self.take(ground, now, partitions);
            }
            // The leader's words make no sense; perhaps the next leader's do.
            Err(_) => self.join_again(ground, now, ASKED, ErrorCode::RebalanceInProgress),
        }
    }

    /// Takes what is new, gives back what is not the member's any more, and leaves the rest alone.
    fn take(&mut self, ground: &mut Ground, now: Moment, partitions: BTreeSet<TopicPartition>) {
        ground.beat.heard = ground.beat.heard.max(self.synced);
        ground.beat.next = now + ground.config.heartbeat_interval;
        self.rested = now;
        self.stage = Stage::Stable;
        let added: BTreeSet<_> = partitions.difference(ground.held()).cloned().collect();
        let gone: BTreeSet<_> = ground.held().difference(&partitions).cloned().collect();
        self.given = Some((partitions, ground.epoch));
        if !added.is_empty() || ground.held().is_empty() {
            ground.assign(added);
        }
        if !gone.is_empty() {
            self.reason = Reason::GaveBack;
            ground.revoke(gone, now, now);
            self.stage = Stage::Revoking;
        }
    }

    /// From what went wrong while joining or syncing to the next attempt.
    fn join_again(&mut self, ground: &mut Ground, now: Moment, asked: &'static str, code: ErrorCode) {
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                if code == ErrorCode::UnknownMemberId {
                    ground.member_id.clear();
                }
                ground.lose();
                ground.epoch = -1;
            }
            ErrorCode::GroupMaxSizeReached => return ground.refused(asked, code),
            _ => (),
        }
        let pause = match code {
            // The others are joining already.
            ErrorCode::RebalanceInProgress if ground.failures == 0 => {
                ground.failures = 1;
                Duration::ZERO
            }
            _ => ground.pause(),
        };
        match code.class() {
            Class::RefreshCoordinator => ground.lose_coordinator(now + pause),
            Class::Fatal | Class::Fenced | Class::Denied => return ground.refused(asked, code),
            _ => (),
        }
        self.reason = match code {
            ErrorCode::RebalanceInProgress => Reason::GroupRebalances,
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => Reason::Expelled(code),
            _ => Reason::Failed,
        };
        self.part(ground, now + pause);
    }

    pub(super) fn on_beat(
        &mut self,
        ground: &mut Ground,
        now: Moment,
        call: CallId,
        beat: &HeartbeatResponse,
    ) {
        if ground.beat.call != Some(call) {
            return;
        }
        ground.beat.call = None;
        let code = ErrorCode::from(beat.error_code);
        match code {
            ErrorCode::None => {
                ground.failures = 0;
                self.rested = ground.beat.sent;
                ground.beat.heard = ground.beat.sent;
            }
            ErrorCode::RebalanceInProgress => {
                ground.beat.heard = ground.beat.sent;
                self.on_rebalance(ground, now);
            }
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.expelled(ground, now, code),
            _ => match code.class() {
                Class::Fatal | Class::Fenced | Class::Denied => ground.refused("a heartbeat", code),
                Class::RefreshCoordinator => {
                    let pause = ground.pause();
                    ground.lose_coordinator(now + pause);
                }
                _ => (),
            },
        }
    }

    fn on_rebalance(&mut self, ground: &mut Ground, now: Moment) {
        self.reason = Reason::GroupRebalances;
        match self.stage {
            _ if ground.is_leaving() => (),
            Stage::Stable => self.give_back(ground, now, Reason::GroupRebalances),
            Stage::Counting(_) => self.part(ground, now),
            _ => (),
        }
    }

    fn expelled(&mut self, ground: &mut Ground, now: Moment, code: ErrorCode) {
        // A generation that ends while its member joins the next: the answer to that is on its way.
        let is_between = matches!(self.stage, Stage::Joining(_)) && code == ErrorCode::IllegalGeneration;
        if ground.epoch < 0 || is_between {
            return;
        }
        if code == ErrorCode::UnknownMemberId {
            ground.member_id.clear();
        }
        self.lose(ground, now, Reason::Expelled(code));
    }

    pub(super) fn on_commit(&mut self, ground: &mut Ground, now: Moment, verdict: Verdict) {
        match verdict {
            Verdict::Settled | Verdict::Retry | Verdict::CoordinatorMoved | Verdict::Stale => (),
            Verdict::Rebalance => self.on_rebalance(ground, now),
            Verdict::Expelled(code @ ErrorCode::FencedInstanceId) => ground.refused("a commit", code),
            Verdict::Expelled(code) => self.expelled(ground, now, code),
        }
    }
}
