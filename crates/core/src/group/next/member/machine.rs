//! What a member of the consumer protocol does next. What coordinators answer is in `answers`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use vltava_wire::{Uuid, messages::next_group::ConsumerGroupHeartbeatRequest};

use super::said::{ById, Said};
use crate::{
    Moment, Rng, TopicPartition,
    group::member::{Answer, Ask, CallId, Ground, Parting, Reason, Rules, Step, Verdict},
};

/// The epoch of a member that leaves.
const LEAVES: i32 = -1;
/// The epoch of a static member that will be back.
const LEAVES_FOR_NOW: i32 = -2;

#[derive(Debug)]
pub(in crate::group) struct Member {
    /// What the member calls itself, for as long as it lives.
    id: String,
    /// What the coordinator knows; none if it has to be told everything.
    pub(super) known: Option<Said>,
    /// What is being said.
    pub(super) saying: Said,
    /// The time between two signs of life, as the coordinator wants it.
    pub(super) interval: Duration,
    /// What the coordinator wants the member to have, if it has said so since the member joined.
    pub(super) target: Option<ById>,
    /// How many times it changed.
    pub(super) turns: u64,
    /// Whether the target is to be compared with what is held.
    pub(super) is_open: bool,
    /// Of what is held, the ids of its topics: a topic that is made anew is another.
    pub(super) ids: BTreeMap<TopicPartition, Uuid>,
    names: BTreeMap<Uuid, Arc<str>>,
    /// Ids whose names were asked for.
    sought: BTreeSet<Uuid>,
    /// Why the next join is, until it is asked for.
    pub(super) joins: Option<Reason>,
    /// Whether the member's owner has heard of what it has since it joined, be it nothing.
    pub(super) was_told: bool,
    /// Since when another member with this instance id is in the way.
    pub(super) taken_since: Option<Moment>,
    pub(super) is_refused: bool,
}

impl Rules for Member {
    fn on_answer(&mut self, ground: &mut Ground, now: Moment, call: CallId, answer: Answer) {
        if let Answer::NextHeartbeat(beat) = answer
            && !ground.on_goodbye(call)
            && ground.beat.call == Some(call)
        {
            self.on_beat(ground, now, beat);
        }
    }

    fn on_broken(&mut self, ground: &mut Ground, _now: Moment, call: CallId, again: Moment) {
        if ground.beat.call == Some(call) {
            ground.beat.call = None;
            self.begin_with_everything(ground, again);
        }
    }

    fn on_verdict(&mut self, ground: &mut Ground, now: Moment, verdict: Verdict) {
        self.on_commit(ground, now, verdict);
    }

    fn lose(&mut self, ground: &mut Ground, at: Moment, reason: Reason) {
        ground.lose();
        ground.epoch = -1;
        self.ids.clear();
        self.joins = Some(reason);
        self.was_told = false;
        self.begin_with_everything(ground, at);
    }

    fn goodbye(&self, ground: &Ground, parting: Parting) -> Option<Ask> {
        let instance_id = ground.config.instance_id.clone();
        let member_epoch = match parting {
            Parting::Remain => return None,
            Parting::Usual if instance_id.is_some() => LEAVES_FOR_NOW,
            Parting::Usual | Parting::Leave => LEAVES,
        };
        Some(Ask::NextHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: ground.config.group_id.clone(),
            member_id: self.id.clone(),
            member_epoch,
            instance_id,
            rebalance_timeout_ms: -1,
            ..ConsumerGroupHeartbeatRequest::default()
        }))
    }

    fn on_names(&mut self, names: &BTreeMap<Uuid, Arc<str>>) {
        for (id, name) in names {
            if self.sought.remove(id) {
                self.names.insert(*id, name.clone());
                self.is_open = true;
            }
        }
    }

    fn go_on(&mut self, ground: &mut Ground, now: Moment) {
        if !ground.is_leaving() {
            if ground.has_given_back(now) {
                let held = ground.held();
                self.ids.retain(|partition, _| held.contains(partition));
                self.is_open = true;
            }
            self.reconcile(ground, now);
        }
        self.send_heartbeat(ground, now);
    }

    fn may_commit(&self, ground: &Ground) -> bool {
        ground.epoch >= 0 && !ground.has_said_goodbye()
    }

    fn deadline(&self, ground: &Ground) -> Option<Moment> {
        (ground.knows_coordinator() && self.may_beat(ground)).then_some(ground.beat.next)
    }

    fn is_refused(&self) -> bool {
        self.is_refused
    }

    fn is_next(&self) -> bool {
        true
    }
}

impl Member {
    pub(in crate::group) fn new(rng: &mut Rng) -> Self {
        Self {
            id: rng.uuid().to_string(),
            known: None,
            saying: Said::default(),
            interval: Duration::ZERO,
            target: None,
            turns: 0,
            is_open: false,
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
            sought: BTreeSet::new(),
            joins: Some(Reason::Joining),
            was_told: false,
            taken_since: None,
            is_refused: false,
        }
    }

    /// The next sign of life, not before then, says everything: what the coordinator knows is not certain. Nor is what
    /// it wants, and what was told and not taken may be another's by now.
    pub(super) fn begin_with_everything(&mut self, ground: &mut Ground, at: Moment) {
        self.known = None;
        self.target = None;
        self.is_open = false;
        ground.beat.next = at;
    }

    /// From what is held towards what the coordinator wants.
    fn reconcile(&mut self, ground: &mut Ground, now: Moment) {
        // What was said not to be owned may be another's until the answer says that it is not.
        let is_telling = ground.beat.call.is_some() && self.saying.tells_owned(self.known.as_ref());
        let (true, false, Some(target)) = (self.is_open, is_telling, &self.target) else { return };
        self.is_open = false;
        let is_wanted = |(partition, id): &(&TopicPartition, &Uuid)| {
            target.get(*id).is_some_and(|it| it.contains(&partition.partition))
        };
        let gone: BTreeSet<_> = self.ids.iter().filter(|it| !is_wanted(it)).map(|it| it.0.clone()).collect();
        let wanted = self.wanted(target);
        let is_new = |it: &(TopicPartition, Uuid)| !self.ids.contains_key(&it.0);
        let added: BTreeMap<_, _> = wanted.into_iter().filter(is_new).collect();
        if !gone.is_empty() && !ground.is_revoking() {
            ground.revoke(gone, now, now);
        }
        let unknown: BTreeSet<Uuid> =
            target.keys().filter(|it| !self.names.contains_key(it)).copied().collect();
        if !added.is_empty() || (target.is_empty() && !self.was_told) {
            self.was_told = true;
            ground.assign(added.keys().cloned().collect());
            self.ids.extend(added);
        }
        if !unknown.is_subset(&self.sought) {
            self.sought = unknown.clone();
            ground.steps.push_back(Step::Resolve(unknown));
        }
    }

    /// The partitions of a target whose topics have names.
    fn wanted(&self, target: &ById) -> Vec<(TopicPartition, Uuid)> {
        let mut wanted = Vec::new();
        for (id, partitions) in target {
            let Some(name) = self.names.get(id) else { continue };
            wanted.extend(partitions.iter().map(|it| (TopicPartition::new(name.clone(), *it), *id)));
        }
        wanted
    }

    /// What there is to say. While something is given back, the coordinator hears nothing new of what is held.
    fn to_say(&self, ground: &Ground) -> Said {
        let mut owned = ById::new();
        for (partition, id) in &self.ids {
            owned.entry(*id).or_default().insert(partition.partition);
        }
        let mut turns = self.turns;
        if let Some(known) = self.known.as_ref().filter(|_| ground.is_revoking()) {
            (owned, turns) = (known.owned.clone(), known.turns);
        }
        Said { topics: ground.config.topics.clone(), owned, turns }
    }

    fn may_beat(&self, ground: &Ground) -> bool {
        ground.beat.call.is_none()
            && !ground.has_said_goodbye()
            && (ground.epoch >= 0 || !ground.is_leaving())
    }

    fn send_heartbeat(&mut self, ground: &mut Ground, now: Moment) {
        if !ground.knows_coordinator() || !self.may_beat(ground) {
            return;
        }
        let said = self.to_say(ground);
        let has_news = self.known.as_ref().is_some_and(|known| *known != said);
        if ground.beat.next > now && !has_news {
            return;
        }
        ground.member_id.clone_from(&self.id);
        if let Some(reason) = self.joins.take() {
            ground.steps.push_back(Step::Rebalancing(reason));
        }
        let request = said.request(self.known.as_ref(), ground);
        self.saying = said;
        ground.beat.sent = now;
        ground.beat.next = now + ground.config.heartbeat_interval.max(self.interval);
        ground.beat.call = Some(ground.call(Ask::NextHeartbeat(request), ground.beat_timeout()));
    }
}
