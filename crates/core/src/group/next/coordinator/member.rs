//! One member as its coordinator knows it, and how it is led from what it has to what it is to have.

use std::{collections::BTreeSet, time::Duration};

use vltava_wire::{Uuid, messages::group::JoinGroupRequestProtocol};

use super::{Partitions, pattern::Pattern};
use crate::Moment;

/// What a fixed-size member costs beside its text and partitions.
const MEMBER_BYTES: usize = 512;
/// What a partition costs in the sets that it is in.
const PARTITION_BYTES: usize = 128;
/// The epoch of a static member that is away and may come back.
pub(super) const AWAY: i32 = -2;

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) instance_id: Option<String>,
    pub(super) rack_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) rebalance_timeout: Duration,
    pub(super) topics: BTreeSet<String>,
    pub(super) pattern: Option<Pattern>,
    pub(super) assignor: Option<String>,
    /// Only of a member that speaks the classic protocol.
    pub(super) classic: Option<Classic>,
    /// The last epoch that it was led to; `AWAY` of a static member that left for a while.
    pub(super) epoch: i32,
    /// The epoch before: a member that missed the last answer still names it.
    pub(super) previous_epoch: i32,
    pub(super) state: State,
    /// What it may have.
    pub(super) assigned: Partitions,
    /// What it has to give back, and nobody else may have yet.
    pub(super) revoking: Partitions,
    /// Whether it has said that it holds what it may have. Until then it is told again: a request that it had given up
    /// may have led it on, and that answer it never read.
    pub(super) is_confirmed: bool,
    /// When it is gone unless it is heard of.
    pub(super) session_end: Moment,
    /// When it is gone unless it has done what is waited for: given back, joined, synced.
    pub(super) patience_end: Option<Moment>,
}

/// What a member of the classic protocol is beside.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classic {
    pub(super) session_timeout: Duration,
    pub(super) protocols: Vec<JoinGroupRequestProtocol>,
}

/// How far a member is on its way. The numbers are those of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It has all that it is to have at its epoch.
    Stable = 0,
    /// It was told to give partitions back.
    Unrevoked = 1,
    /// It waits for partitions that others have not given back.
    Unreleased = 2,
}

/// What came of leading a member on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    None,
    /// It is further, with the same partitions.
    Moved,
    /// It is to have other partitions than it was told last.
    Reassigned,
}

impl State {
    pub(super) fn from_number(number: i8) -> Self {
        match number {
            1 => Self::Unrevoked,
            2 => Self::Unreleased,
            _ => Self::Stable,
        }
    }
}

impl Member {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout: Duration::ZERO,
            topics: BTreeSet::new(),
            pattern: None,
            assignor: None,
            classic: None,
            epoch: 0,
            previous_epoch: 0,
            state: State::Stable,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            is_confirmed: false,
            session_end: now,
            patience_end: None,
        }
    }

    /// The member that takes the place of this one under another id: it has the same to come, and holds nothing yet.
    pub(super) fn successor(&self) -> Self {
        Self {
            epoch: 0,
            previous_epoch: 0,
            state: State::Stable,
            revoking: Partitions::new(),
            is_confirmed: false,
            patience_end: None,
            ..self.clone()
        }
    }

    /// Whether it wants this topic.
    pub(super) fn subscribes(&self, topic: &str) -> bool {
        self.topics.contains(topic) || self.pattern.as_ref().is_some_and(|pattern| pattern.matches(topic))
    }

    /// Whether nothing is left to do for it at this epoch.
    pub(super) fn is_reconciled(&self, epoch: i32) -> bool {
        self.state == State::Stable && self.epoch == epoch
    }

    /// Leads it on towards `target`, and says how far. `owned` is what it says it holds, if it says so; `is_free`
    /// whether nobody else holds a partition.
    pub(super) fn reconcile(
        &mut self,
        epoch: i32,
        target: &Partitions,
        owned: Option<&Partitions>,
        is_free: impl Fn(&(Uuid, i32)) -> bool,
    ) -> Progress {
        let holds = |given_up: &Partitions| owned.is_none_or(|owned| !owned.is_disjoint(given_up));
        let mut own_epoch = self.epoch;
        match self.state {
            State::Stable if self.epoch == epoch => return Progress::None,
            State::Unrevoked if holds(&self.revoking) => return Progress::None,
            // It has given back what it was told to, and is one epoch further, if not where it is to be.
            State::Unrevoked => own_epoch += 1,
            State::Stable | State::Unreleased => (),
        }
        let kept = &self.assigned & target;
        let before = std::mem::replace(&mut self.assigned, kept);
        self.revoking = &before - target;
        if !self.revoking.is_empty() && holds(&self.revoking) {
            self.enter(own_epoch, State::Unrevoked);
            return Progress::Reassigned;
        }
        self.revoking.clear();
        let missing = target - &self.assigned;
        let (free, taken): (Partitions, Partitions) = missing.into_iter().partition(is_free);
        self.assigned.extend(free);
        self.enter(epoch, if taken.is_empty() { State::Stable } else { State::Unreleased });
        if self.assigned == before { Progress::Moved } else { Progress::Reassigned }
    }

    fn enter(&mut self, epoch: i32, state: State) {
        self.previous_epoch = self.epoch;
        (self.epoch, self.state) = (epoch, state);
    }

    /// What nobody else may have: what it may work on, and what it has to give back.
    pub(super) fn holds(&self) -> impl Iterator<Item = (Uuid, i32)> {
        self.assigned.iter().chain(&self.revoking).copied()
    }

    /// When it is gone, if nothing happens.
    pub(super) fn end(&self) -> Moment {
        self.patience_end.map_or(self.session_end, |end| end.min(self.session_end))
    }

    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.instance_id, &self.rack_id, &self.assignor];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let topics: usize = self.topics.iter().map(|topic| topic.len() + 64).sum();
        let classic = self.classic.iter().flat_map(|classic| &classic.protocols);
        let classic: usize = classic.map(|protocol| protocol.name.len() + protocol.metadata.len() + 64).sum();
        let pattern = self.pattern.as_ref().map_or(0, Pattern::bytes);
        let partitions = (self.assigned.len() + self.revoking.len()) * PARTITION_BYTES;
        MEMBER_BYTES
            + texts
            + topics
            + classic
            + pattern
            + partitions
            + self.client_id.len()
            + self.client_host.len()
    }
}
