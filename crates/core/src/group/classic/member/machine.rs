//! What a member of the classic protocol does next: its stages and its timers. What brokers answer is in `answers`,
//! what is said in joining and sharing out in `join`.

use std::{collections::BTreeSet, sync::Arc};

use vltava_wire::messages::group::{HeartbeatRequest, MemberIdentity};

use super::join::Watched;
use crate::{
    Moment, TopicPartition,
    group::{
        assign::{Assignor, Subscriber, Topics},
        member::{Answer, Ask, CallId, Ground, Parting, Reason, Rules, Verdict},
    },
};

#[derive(Debug, Default)]
pub(in crate::group) struct Member {
    pub(super) stage: Stage,
    /// How this generation shares out.
    pub(super) assignor: Option<Arc<dyn Assignor>>,
    /// What was assigned last, and in which generation.
    pub(super) given: Option<(BTreeSet<TopicPartition>, i32)>,
    /// What a leader has shared out, to notice when it changes.
    pub(super) watched: Option<Watched>,
    /// Why the next join is.
    pub(super) reason: Reason,
    /// Why there must be another one.
    pub(super) again: Option<Reason>,
    /// When the group was last seen at rest.
    pub(super) rested: Moment,
    /// When the sync under way was sent.
    pub(super) synced: Moment,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Wants to join, from then on.
    Apart {
        join_at: Moment,
    },
    Joining(CallId),
    /// Leads, and waits to be told how much there is.
    Counting(Vec<Subscriber>),
    Syncing(CallId),
    Stable,
    /// Gives back some of what it has, or all, and then joins again.
    Revoking,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Apart { join_at: Moment::default() }
    }
}

impl Rules for Member {
    fn on_answer(&mut self, ground: &mut Ground, now: Moment, call: CallId, answer: Answer) {
        match answer {
            Answer::Join(joined) => self.on_joined(ground, now, call, joined),
            Answer::Sync(synced) => self.on_synced(ground, now, call, synced),
            Answer::Heartbeat(beat) => self.on_beat(ground, now, call, &beat),
            Answer::Leave => drop(ground.on_goodbye(call)),
            Answer::Coordinator { .. } | Answer::Commit(_) | Answer::NextHeartbeat(_) => (),
        }
    }

    fn on_broken(&mut self, ground: &mut Ground, now: Moment, call: CallId, again: Moment) {
        if ground.beat.call == Some(call) {
            ground.beat.call = None;
            ground.beat.next = now;
        }
        if matches!(self.stage, Stage::Joining(it) | Stage::Syncing(it) if it == call) {
            self.reason = Reason::Failed;
            self.part(ground, again);
        }
    }

    fn on_verdict(&mut self, ground: &mut Ground, now: Moment, verdict: Verdict) {
        self.on_commit(ground, now, verdict);
    }

    fn lose(&mut self, ground: &mut Ground, at: Moment, reason: Reason) {
        ground.lose();
        ground.epoch = -1;
        self.reason = reason;
        self.assignor = None;
        self.part(ground, at);
    }

    fn goodbye(&self, ground: &Ground, parting: Parting) -> Option<Ask> {
        let group_instance_id = ground.config.instance_id.clone();
        if parting == Parting::Remain || (parting == Parting::Usual && group_instance_id.is_some()) {
            return None;
        }
        let (member_id, reason) = (ground.member_id.clone(), Some("the consumer is being closed".to_owned()));
        Some(Ask::Leave(MemberIdentity { member_id, group_instance_id, reason }))
    }

    fn on_topics(&mut self, ground: &mut Ground, topics: &Topics) {
        if let Stage::Counting(members) = &mut self.stage {
            let members = std::mem::take(members);
            return self.share_out(ground, &members, topics);
        }
        let minds_racks = ground.config.rack.is_some();
        if self.watched.as_mut().is_some_and(|watched| watched.has_changed(topics, minds_racks)) {
            self.again.get_or_insert(Reason::TopicsChanged);
        }
    }

    fn on_subscription(&mut self) {
        self.again = Some(Reason::SubscriptionChanged);
    }

    fn go_on(&mut self, ground: &mut Ground, now: Moment) {
        if !ground.is_leaving() {
            self.advance(ground, now);
        }
        self.send_heartbeat(ground, now);
    }

    fn may_commit(&self, ground: &Ground) -> bool {
        // While the group waits for its leader, coordinators refuse.
        let is_open = !matches!(self.stage, Stage::Counting(_) | Stage::Syncing(_));
        is_open && ground.epoch >= 0 && !ground.has_said_goodbye()
    }

    fn deadline(&self, ground: &Ground) -> Option<Moment> {
        if !ground.knows_coordinator() {
            return None;
        }
        let join = match self.stage {
            Stage::Apart { join_at } if !ground.is_leaving() => Some(join_at),
            _ => None,
        };
        join.into_iter().chain(may_beat(ground).then_some(ground.beat.next)).min()
    }
}

impl Member {
    /// Moves to the next stage, if this one is over.
    fn advance(&mut self, ground: &mut Ground, now: Moment) {
        match self.stage {
            Stage::Stable => {
                if let Some(reason) = self.again {
                    self.rested = now;
                    self.give_back(ground, now, reason);
                }
            }
            Stage::Revoking if ground.has_given_back(now) => self.part(ground, now),
            _ => (),
        }
        if matches!(self.stage, Stage::Apart { join_at } if join_at <= now) && ground.knows_coordinator() {
            self.join(ground);
        }
    }

    /// Whether what is held is kept through a rebalance. As in Java that takes that no offered assignor is one that
    /// knows nothing of it: each might be chosen next.
    pub(super) fn keeps(&self, ground: &Ground) -> bool {
        ground.config.assignors().iter().all(|it| it.is_cooperative())
    }

    /// The group rebalances: gives back what may not be kept before joining again. The time for that began when the
    /// group was last seen at rest.
    pub(super) fn give_back(&mut self, ground: &mut Ground, now: Moment, reason: Reason) {
        self.reason = reason;
        let (keeps, wanted) = (self.keeps(ground), &ground.config.topics);
        let goes = |it: &&TopicPartition| !keeps || !wanted.contains(&*it.topic);
        let goes: BTreeSet<_> = ground.held().iter().filter(goes).cloned().collect();
        if goes.is_empty() {
            return self.part(ground, now);
        }
        ground.revoke(goes, self.rested, now);
        self.stage = Stage::Revoking;
    }

    /// Leaves the generation and joins the next. A member that keeps its partitions is in the old one until then.
    pub(super) fn part(&mut self, ground: &mut Ground, join_at: Moment) {
        if !self.keeps(ground) {
            ground.epoch = -1;
            ground.beat.call = None;
        }
        self.watched = None;
        self.stage = Stage::Apart { join_at };
    }

    fn send_heartbeat(&mut self, ground: &mut Ground, now: Moment) {
        if !ground.knows_coordinator() || !may_beat(ground) || ground.beat.next > now {
            return;
        }
        let request = HeartbeatRequest {
            group_id: ground.config.group_id.clone(),
            generation_id: ground.epoch,
            member_id: ground.member_id.clone(),
            group_instance_id: ground.config.instance_id.clone(),
        };
        ground.beat.sent = now;
        ground.beat.next = now + ground.config.heartbeat_interval;
        ground.beat.call = Some(ground.call(Ask::Heartbeat(request), ground.beat_timeout()));
    }
}

fn may_beat(ground: &Ground) -> bool {
    ground.epoch >= 0 && ground.beat.call.is_none() && !ground.has_said_goodbye()
}
