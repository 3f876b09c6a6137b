//! Where a consumer stands in one partition, and what keeps it from going on.

use std::time::Duration;

use vltava_wire::Uuid;

use super::{
    event::{Ends, Isolation, Stall},
    reset::{Cause, Place, Point},
};
use crate::{
    Backoff, Moment, Rng,
    cluster::{Leader, NodeId},
};

/// One partition.
#[derive(Debug)]
pub(super) struct Position {
    /// Of this position, so that answers to an earlier one are known as such.
    pub(super) turn: u64,
    /// The topic that its offset is of; zero until that is known, and where brokers are too old for ids.
    pub(super) topic_id: Uuid,
    pub(super) state: State,
    pub(super) paused: bool,
    /// What came and waits for its reader.
    pub(super) waiting: Option<Waiting>,
    /// A question about it is under way.
    pub(super) asked: bool,
    pub(super) not_before: Moment,
    pub(super) failures: u32,
    pub(super) ends: Option<Ends>,
    /// Who leads it, as far as is known.
    pub(super) leader: Option<Leader>,
    /// The leader under which the log is known to be the one that was read.
    pub(super) checked: i32,
    /// Whom the leader named to read from instead.
    pub(super) replica: Option<Replica>,
    /// What an answer has of it at most: more than usual while a batch is larger than that.
    pub(super) bytes_max: i32,
    /// Its offset was looked up, and nothing was read since.
    pub(super) unread: bool,
    /// When it got records last, as a number: who got some longest ago comes first.
    pub(super) served: u64,
    pub(super) watch: Watch,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    /// Where to go on has to be looked up.
    Lost { place: Place, from: Option<i64>, cause: Cause },
    /// Whether the log is still the one that was read up to here has to be asked.
    Unsure(Point),
    /// The next record to read.
    At(Point),
    /// The owner was told why.
    Failed,
}

/// What waits for the reader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) since: Moment,
    pub(super) bytes: usize,
    /// The reader is at the last answer of it, so the next may come meanwhile.
    pub(super) is_begun: bool,
}

/// A replica to read from until then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    pub(super) node: NodeId,
    pub(super) until: Moment,
}

/// Since when a partition has not got on, and what it met with last in that time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) since: Moment,
    pub(super) met: Option<Stall>,
}

impl Watch {
    pub(super) fn new(since: Moment) -> Self {
        Self { since, met: None }
    }
}

impl Position {
    pub(super) fn new(turn: u64, state: State, bytes_max: i32) -> Self {
        Self {
            turn,
            topic_id: Uuid::ZERO,
            state,
            paused: false,
            waiting: None,
            asked: false,
            not_before: Moment::default(),
            failures: 0,
            ends: None,
            leader: None,
            checked: -1,
            replica: None,
            bytes_max,
            unread: false,
            served: 0,
            watch: Watch::new(Moment::default()),
        }
    }

    /// Whether there is something to ask about it, now or a little later.
    pub(super) fn wants(&self) -> bool {
        !self.asked && !self.paused && !self.is_full() && self.state != State::Failed
    }

    /// Whether an answer waits that its reader has not begun with.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_some_and(|it| !it.is_begun)
    }

    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.wants() && self.not_before <= now
    }

    /// Whom to ask next: records may come from a replica, all else from the leader.
    pub(super) fn node(&self, now: Moment) -> Option<NodeId> {
        let replica = self.replica.filter(|it| now < it.until && matches!(self.state, State::At(_)));
        replica.map(|it| it.node).or(self.leader.map(|it| it.node))
    }

    pub(super) fn leader_epoch(&self) -> i32 {
        self.leader.map_or(-1, |it| it.epoch)
    }

    pub(super) fn point(&self) -> Option<Point> {
        match self.state {
            State::At(point) | State::Unsure(point) => Some(point),
            State::Lost { .. } | State::Failed => None,
        }
    }

    pub(super) fn offset(&self) -> Option<i64> {
        self.point().map(|it| it.offset)
    }

    /// Another leader leads: a replica that the earlier one named is no longer read from, and what was read has to
    /// be known to the new one.
    pub(super) fn led_by(&mut self, leader: Option<Leader>) {
        if self.leader != leader {
            self.leader = leader;
            self.replica = None;
        }
    }

    /// Whether the log has to be compared before more is read: only where it is known who wrote what was read, and
    /// that is another than who leads.
    pub(super) fn has_to_be_checked(&self) -> bool {
        let current = self.leader_epoch();
        match self.state {
            State::At(point) => {
                point.leader_epoch >= 0
                    && current >= 0
                    && current != point.leader_epoch
                    && current != self.checked
            }
            _ => false,
        }
    }

    /// What it waits for.
    pub(super) fn stall(&self, now: Moment) -> Stall {
        match self.node(now) {
            None => Stall::NoLeader,
            Some(node) => self.watch.met.unwrap_or(Stall::NoAnswer(node)),
        }
    }

    /// Asks again after a pause.
    pub(super) fn again(&mut self, now: Moment, backoff: Backoff, rng: &mut Rng) {
        self.failures += 1;
        self.not_before = now + backoff.after(self.failures, rng);
    }

    /// It has got on.
    pub(super) fn goes_on(&mut self, now: Moment) {
        self.failures = 0;
        self.watch = Watch::new(now);
    }

    /// For how long it has not got on, though there is more of it; none if nothing is to be expected of it.
    pub(super) fn stalled(&mut self, now: Moment, isolation: Isolation) -> Option<Duration> {
        let end = self.ends.map(|it| it.readable(isolation));
        let at_end = end.is_some_and(|end| self.offset().is_some_and(|offset| offset >= end));
        if self.paused || self.waiting.is_some() || self.state == State::Failed || at_end {
            self.watch = Watch::new(now);
            return None;
        }
        Some(now.since(self.watch.since))
    }
}
