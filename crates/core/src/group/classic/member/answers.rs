//! What brokers answer a member, and what it makes of it.

use vltava_wire::{
    Class, ErrorCode,
    messages::{
        group::{Coordinator as Found, HeartbeatResponse, JoinGroupResponse, SyncGroupResponse},
        offsets::OffsetCommitResponse,
    },
};

use super::machine::{Coordinator, Member, PROTOCOL, Stage};
use crate::{
    Moment,
    group::{
        classic::protocol,
        member::{Answer, CallId, Failure, Verdict},
    },
};

impl Member {
    /// What a broker said to a call. One that nobody waits for any more is passed over.
    pub fn on_answer(&mut self, now: Moment, call: CallId, answer: Answer) {
        match answer {
            Answer::Coordinator(found) => self.on_found(now, call, &found),
            Answer::Join(joined) => self.on_joined(now, call, joined),
            Answer::Sync(synced) => self.on_synced(now, call, synced),
            Answer::Heartbeat(beat) => self.on_beat(now, call, &beat),
            Answer::Commit(committed) => self.on_committed(now, call, &committed),
            Answer::Leave => self.on_left(call),
        }
    }

    /// A call came to nothing: refused, cut, or out of time. Nobody knows whether it was acted upon.
    pub fn on_broken(&mut self, now: Moment, call: CallId) {
        let pause = self.pause();
        self.commits.on_broken(call);
        if self.heartbeat.call == Some(call) {
            self.heartbeat.call = None;
            self.heartbeat.next = now;
        }
        match &mut self.stage {
            Stage::Joining(it) | Stage::Syncing(it) if *it == call => {
                self.part(now + pause);
            }
            Stage::Leaving { call: it, .. } if *it == Some(call) => *it = None,
            _ => (),
        }
        if !matches!(self.coordinator, Coordinator::Asked(it) if it != call) {
            self.coordinator = Coordinator::Unknown { ask_at: now + pause };
        }
    }

    fn on_found(&mut self, now: Moment, call: CallId, found: &Found) {
        if !matches!(self.coordinator, Coordinator::Asked(it) if it == call) {
            return;
        }
        let code = ErrorCode::from(found.error_code);
        match code.class() {
            Class::Success => {
                self.coordinator = Coordinator::Known;
                self.heartbeat.next = self.heartbeat.next.min(now);
            }
            Class::Fatal | Class::Denied => {
                self.fail(Failure::Refused { asked: "finding the coordinator", code });
            }
            _ => {
                let pause = self.pause();
                self.coordinator = Coordinator::Unknown { ask_at: now + pause };
            }
        }
    }

    fn on_joined(&mut self, now: Moment, call: CallId, joined: JoinGroupResponse) {
        if !matches!(self.stage, Stage::Joining(it) if it == call) {
            return;
        }
        match ErrorCode::from(joined.error_code) {
            ErrorCode::None => self.joined(now, joined),
            ErrorCode::MemberIdRequired => {
                self.member_id = joined.member_id;
                self.stage = Stage::Apart { join_at: now };
            }
            code => self.join_again(now, "joining", code),
        }
    }

    fn joined(&mut self, now: Moment, joined: JoinGroupResponse) {
        if joined.protocol_name.as_deref() != Some(PROTOCOL) {
            return self.fail(Failure::Protocol(joined.protocol_name.unwrap_or_default()));
        }
        self.failures = 0;
        self.generation = joined.generation_id;
        self.member_id = joined.member_id;
        self.heartbeat.call = None;
        self.heartbeat.next = now + self.config.heartbeat_interval;
        if joined.leader == self.member_id {
            self.lead(joined.members);
        } else {
            self.sync(Vec::new());
        }
    }

    fn on_synced(&mut self, now: Moment, call: CallId, synced: SyncGroupResponse) {
        if !matches!(self.stage, Stage::Syncing(it) if it == call) {
            return;
        }
        let code = ErrorCode::from(synced.error_code);
        if code != ErrorCode::None {
            return self.join_again(now, "asking for the assignment", code);
        }
        match protocol::assigned(synced.assignment) {
            Ok(partitions) => {
                self.failures = 0;
                self.take(now, partitions);
            }
            // The leader's words make no sense; perhaps the next leader's do.
            Err(_) => self.join_again(now, "asking for the assignment", ErrorCode::RebalanceInProgress),
        }
    }

    /// From what went wrong while joining or syncing to the next attempt.
    fn join_again(&mut self, now: Moment, asked: &'static str, code: ErrorCode) {
        match code {
            ErrorCode::UnknownMemberId => self.member_id.clear(),
            ErrorCode::GroupMaxSizeReached => return self.fail(Failure::Refused { asked, code }),
            _ => (),
        }
        let pause = match code {
            // The others are joining already.
            ErrorCode::RebalanceInProgress if self.failures == 0 => {
                self.failures = 1;
                Default::default()
            }
            _ => self.pause(),
        };
        match code.class() {
            Class::RefreshCoordinator => self.coordinator = Coordinator::Unknown { ask_at: now + pause },
            Class::Fatal | Class::Fenced | Class::Denied => {
                return self.fail(Failure::Refused { asked, code });
            }
            _ => (),
        }
        self.part(now + pause);
    }

    fn on_beat(&mut self, now: Moment, call: CallId, beat: &HeartbeatResponse) {
        if self.heartbeat.call != Some(call) {
            return;
        }
        self.heartbeat.call = None;
        let code = ErrorCode::from(beat.error_code);
        match code {
            ErrorCode::None => {
                self.failures = 0;
                self.heartbeat.rested = self.heartbeat.sent;
            }
            ErrorCode::RebalanceInProgress => self.on_rebalance(now),
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => self.expelled(now, code),
            _ => self.on_trouble(now, "a heartbeat", code),
        }
    }

    fn on_rebalance(&mut self, now: Moment) {
        match self.stage {
            Stage::Stable => self.give_back(now),
            Stage::Counting(_) => self.part(now),
            _ => (),
        }
    }

    fn expelled(&mut self, now: Moment, code: ErrorCode) {
        if self.generation < 0 {
            return;
        }
        if code == ErrorCode::UnknownMemberId {
            self.member_id.clear();
        }
        self.lose(now);
    }

    fn on_trouble(&mut self, now: Moment, asked: &'static str, code: ErrorCode) {
        match code.class() {
            Class::Fatal | Class::Fenced | Class::Denied => self.fail(Failure::Refused { asked, code }),
            Class::RefreshCoordinator => {
                let pause = self.pause();
                self.coordinator = Coordinator::Unknown { ask_at: now + pause };
            }
            _ => (),
        }
    }

    fn on_committed(&mut self, now: Moment, call: CallId, response: &OffsetCommitResponse) {
        let current = self.commit_generation == self.generation;
        let verdict = self.commits.on_answer(call, response, current);
        if verdict != Verdict::Settled {
            let pause = self.pause();
            self.commit_at = now + pause;
        }
        match verdict {
            Verdict::Settled | Verdict::Retry => (),
            Verdict::CoordinatorMoved => self.coordinator = Coordinator::Unknown { ask_at: self.commit_at },
            Verdict::Rebalance => self.on_rebalance(now),
            Verdict::Expelled(ErrorCode::FencedInstanceId) => {
                self.fail(Failure::Refused { asked: "a commit", code: ErrorCode::FencedInstanceId });
            }
            Verdict::Expelled(code) => self.expelled(now, code),
        }
    }

    fn on_left(&mut self, call: CallId) {
        if matches!(self.stage, Stage::Leaving { call: Some(it), .. } if it == call) {
            self.end();
        }
    }
}
