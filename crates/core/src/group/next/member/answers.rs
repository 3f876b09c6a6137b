//! What coordinators answer a member of the consumer protocol, and what it makes of it.

use std::time::Duration;

use vltava_wire::{Class, ErrorCode, messages::next_group::ConsumerGroupHeartbeatResponse};

use super::{machine::Member, said::ById};
use crate::{
    Moment,
    group::member::{Ground, Protocol, Reason, Rules, Step, Verdict},
};

/// A static member that died without a word is in the way of the one that comes after it until the coordinator takes
/// it for dead. One that is in the way for more sessions than this is alive.
const SESSIONS_MAX: u32 = 2;
/// No coordinator is asked more often than this, whatever it says.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

impl Member {
    pub(super) fn on_beat(&mut self, ground: &mut Ground, now: Moment, beat: ConsumerGroupHeartbeatResponse) {
        ground.beat.call = None;
        match ErrorCode::from(beat.error_code) {
            ErrorCode::None => self.heard(ground, now, beat),
            code @ (ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                self.expelled(ground, now, code);
            }
            // It was given up, and those who stayed have gone back to the classic protocol; one who joins may turn that.
            code @ ErrorCode::GroupIdNotFound if ground.epoch > 0 => self.expelled(ground, now, code),
            ErrorCode::UnreleasedInstanceId => self.on_taken(ground, now),
            // The group is one of the classic protocol, and stays so.
            ErrorCode::GroupIdNotFound | ErrorCode::UnsupportedVersion if may_change(ground) => {
                self.is_refused = true;
            }
            code => match code.class() {
                Class::Fatal | Class::Fenced | Class::Denied => ground.refused("a heartbeat", code),
                class => {
                    let again = now + ground.pause();
                    self.begin_with_everything(ground, again);
                    if class == Class::RefreshCoordinator {
                        ground.lose_coordinator(again);
                    }
                }
            },
        }
    }

    fn heard(&mut self, ground: &mut Ground, now: Moment, beat: ConsumerGroupHeartbeatResponse) {
        ground.failures = 0;
        ground.beat.heard = ground.beat.sent;
        ground.epoch = beat.member_epoch.max(0);
        self.taken_since = None;
        let interval = u64::try_from(beat.heartbeat_interval_ms).map_or(self.interval, Duration::from_millis);
        self.interval = interval.max(INTERVAL_MIN);
        ground.beat.next = now + self.interval;
        self.known = Some(std::mem::take(&mut self.saying));
        let Some(assignment) = beat.assignment else { return };
        let mut target = ById::new();
        for it in assignment.topic_partitions {
            target.entry(it.topic_id).or_default().extend(it.partitions);
        }
        if self.target.as_ref() != Some(&target) {
            if self.target.is_some() {
                self.turns += 1;
                ground.steps.push_back(Step::Rebalancing(Reason::SharedOut));
            }
            self.target = Some(target);
        }
        self.is_open = true;
    }

    /// Another took the member's place, or the coordinator gave it up. It joins again at once; who is expelled again
    /// and again takes its time.
    fn expelled(&mut self, ground: &mut Ground, now: Moment, code: ErrorCode) {
        let pause = match ground.failures {
            0 => Duration::ZERO,
            _ => ground.pause(),
        };
        ground.failures = ground.failures.max(1);
        self.lose(ground, now + pause, Reason::Expelled(code));
    }

    fn on_taken(&mut self, ground: &mut Ground, now: Moment) {
        let since = *self.taken_since.get_or_insert(now);
        if now.since(since) > ground.config.session_timeout * SESSIONS_MAX {
            return ground.refused("joining", ErrorCode::UnreleasedInstanceId);
        }
        let again = now + ground.pause();
        self.begin_with_everything(ground, again);
    }

    pub(super) fn on_commit(&mut self, ground: &mut Ground, now: Moment, verdict: Verdict) {
        match verdict {
            Verdict::Settled | Verdict::Retry | Verdict::CoordinatorMoved | Verdict::Rebalance => (),
            // The answer to a heartbeat tells the new epoch, with which the commit is sent again.
            Verdict::Stale => ground.beat.next = now,
            Verdict::Expelled(code @ ErrorCode::FencedInstanceId) => ground.refused("a commit", code),
            Verdict::Expelled(code) if ground.epoch >= 0 => self.expelled(ground, now, code),
            Verdict::Expelled(_) => (),
        }
    }
}

/// Whether the member may take the other protocol instead.
fn may_change(ground: &Ground) -> bool {
    ground.config.protocol == Protocol::Auto && ground.config.regex.is_none()
}
