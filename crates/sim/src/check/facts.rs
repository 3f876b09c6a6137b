//! What checkers want to know of a history, found once.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use crate::history::{
    Durability, Event, Fate, Fault, History, Log, Made, Partition, Record, Removal, Sent, Start, What,
};

/// What checkers want to know of a history, found once.
pub(super) struct Facts<'a> {
    pub(super) events: &'a [Event],
    pub(super) producers: BTreeMap<&'a str, Terms>,
    pub(super) calls: Vec<Made<'a>>,
    pub(super) sends: Vec<Sent<'a>>,
    pub(super) logs: BTreeMap<&'a Partition, Log<'a>>,
    /// What was seen at which offset, in order, by anybody: who acknowledged it for good, who was handed it, who read the log.
    pub(super) seen: BTreeMap<&'a Partition, BTreeMap<i64, Vec<Sighting<'a>>>>,
    /// Who went without a word, and when.
    pub(super) crashed: BTreeMap<&'a str, usize>,
    /// How late a deadline may be noticed, in microseconds.
    pub(super) slack: u64,
    /// Where each consumer was last told, or said itself, that it stands in a partition.
    placed: BTreeMap<(&'a str, &'a Partition), usize>,
    removals: BTreeMap<&'a Partition, Vec<Removed>>,
    /// For each value the event in which it was sent: nobody had it before.
    sent: BTreeMap<&'a str, usize>,
    /// Where consumers go on whose positions are lost.
    resets: BTreeMap<&'a str, Start>,
    shares_log: bool,
    leaders_are_steady: bool,
}

/// What a producer promises.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) acks: Durability,
    pub(super) idempotent: bool,
    /// In microseconds.
    pub(super) timeout: u64,
}

/// Somebody saw a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting<'a> {
    /// It was there at some moment from this event on: an answer takes its time, and so does what was fetched ahead.
    pub(super) since: usize,
    pub(super) event: usize,
    pub(super) value: &'a str,
}

/// Records that were taken out of a log.
#[derive(Debug, Clone, Copy)]
struct Removed {
    event: usize,
    from: i64,
    to: i64,
    why: Removal,
}

impl<'a> Facts<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut facts = Self {
            events: &history.events,
            producers: BTreeMap::new(),
            calls: history.calls(),
            sends: history.sends(),
            logs: history.logs(),
            seen: BTreeMap::new(),
            crashed: BTreeMap::new(),
            slack: 0,
            placed: BTreeMap::new(),
            removals: BTreeMap::new(),
            sent: BTreeMap::new(),
            resets: BTreeMap::new(),
            shares_log: false,
            leaders_are_steady: true,
        };
        facts.sent = facts.sends.iter().map(|it| (it.value, it.invoked)).collect();
        for (at, event) in history.events.iter().enumerate() {
            facts.learn(at, &event.what);
        }
        let mut seen = std::mem::take(&mut facts.seen);
        // Where a record came to lie that need not stay there, another may lie in the end.
        for it in facts.sends.iter().filter(|it| facts.must_stay(it.client)) {
            if let (Fate::Acknowledged(partition, Some(offset)), Some(event)) = (it.fate, it.ended) {
                let sighting = Sighting { since: it.invoked, event, value: it.value };
                see(&mut seen, partition, offset, sighting);
            }
        }
        facts.seen = seen;
        facts.seen.values_mut().flat_map(BTreeMap::values_mut).for_each(|it| it.sort_by_key(|it| it.event));
        facts
    }

    fn learn(&mut self, at: usize, what: &'a What) {
        match what {
            What::Play { slack, shares_log, .. } => {
                (self.slack, self.shares_log) = (*slack, *shares_log);
            }
            What::Consumer { client, resets: Some(to), .. } => {
                self.resets.insert(client, *to);
            }
            What::Producer { client, acks, idempotent, timeout } => {
                let terms = Terms { acks: *acks, idempotent: *idempotent, timeout: *timeout };
                self.producers.insert(client, terms);
            }
            What::Assigned { client, partition, .. }
            | What::Seek { client, partition, .. }
            | What::Jump { client, partition, .. } => {
                self.placed.insert((client, partition), at);
            }
            What::Poll { client, partition, records, .. } => {
                let since = self.placed.get(&(&**client, partition)).copied().unwrap_or(at);
                self.see_all(partition, records, since, at);
            }
            What::Log { partition, records, .. } => self.see_all(partition, records, at, at),
            What::Removed { partition, from, to, why } => {
                let removed = Removed { event: at, from: *from, to: to.unwrap_or(i64::MAX), why: *why };
                self.removals.entry(partition).or_default().push(removed);
            }
            What::Crashed { client } => {
                self.crashed.entry(client).or_insert(at);
            }
            What::Fault(it) if costs_tail(it) => self.leaders_are_steady = false,
            _ => (),
        }
    }

    /// Whether somebody may have taken out of its log what was at this offset at some moment from an event on. Who
    /// took something out before that did not take this.
    pub(super) fn may_be_removed(&self, partition: &Partition, offset: i64, since: usize) -> bool {
        self.removed(partition, since).any(|it| it.has(offset))
    }

    /// Whether nobody took any record out of a log from an event on.
    pub(super) fn is_whole(&self, partition: &Partition, since: usize) -> bool {
        self.removed(partition, since).next().is_none()
    }

    /// Whether the end of a log, or all of it, was lost, so that something else may be where this record was.
    pub(super) fn may_be_anothers(&self, partition: &Partition, offset: i64, since: usize) -> bool {
        self.removed(partition, since).any(|it| it.why.frees_offsets() && it.has(offset))
    }

    /// Whether the end of a log that had this offset, or followed on it, was lost.
    pub(super) fn may_be_freed_below(&self, partition: &Partition, offset: i64, since: usize) -> bool {
        self.removed(partition, since).any(|it| it.why.frees_offsets() && it.from <= offset)
    }

    /// Whether somebody had a log begin behind this offset.
    pub(super) fn may_be_trimmed(&self, partition: &Partition, offset: i64) -> bool {
        self.removed(partition, 0).any(|it| !it.why.frees_offsets() && it.has(offset))
    }

    /// Whether records were taken out of a log by one of these within some events.
    pub(super) fn was_removed(
        &self,
        partition: &Partition,
        within: RangeInclusive<usize>,
        by: impl Fn(Removal) -> bool,
    ) -> bool {
        self.removed(partition, *within.start()).any(|it| it.event <= *within.end() && by(it.why))
    }

    /// The first that saw something at an offset that nobody may have taken out.
    pub(super) fn lasting<'b>(
        &self,
        partition: &Partition,
        offset: i64,
        sightings: &'b [Sighting<'a>],
    ) -> Option<&'b Sighting<'a>> {
        sightings.iter().find(|it| !self.may_be_removed(partition, offset, it.since))
    }

    /// Nobody had come to where this event has him before that one: what he was handed last was not sent.
    pub(super) fn reached(&self, event: usize) -> usize {
        match &self.events[event].what {
            What::Poll { records, .. } => records.last().map_or(0, |it| self.sent_at(&it.1)),
            _ => 0,
        }
    }

    /// Where a consumer goes on whose position is lost, if that is known.
    pub(super) fn reset_of(&self, client: &str) -> Option<Start> {
        self.resets.get(client).copied()
    }

    /// Whether an offset may have been freed for others between two sightings.
    pub(super) fn was_freed_between(
        &self,
        partition: &Partition,
        offset: i64,
        [one, other]: [Sighting<'_>; 2],
    ) -> bool {
        let between = one.since.min(other.since)..one.event.max(other.event);
        let mut freed = self.removed(partition, between.start).filter(|it| it.why.frees_offsets());
        freed.any(|it| between.contains(&it.event) && it.has(offset))
    }

    fn see_all(&mut self, partition: &'a Partition, records: &'a [Record], since: usize, event: usize) {
        for it in records {
            let since = since.max(self.sent_at(&it.1));
            see(&mut self.seen, partition, it.0, Sighting { since, event, value: &it.1 });
        }
    }

    /// The event in which a value was sent; the first of all if nobody says so.
    fn sent_at(&self, value: &str) -> usize {
        self.sent.get(value).copied().unwrap_or_default()
    }

    fn removed(&self, partition: &Partition, since: usize) -> impl Iterator<Item = &Removed> {
        self.removals.get(partition).into_iter().flatten().filter(move |it| since <= it.event)
    }

    /// Whether anything was written down after this time.
    pub(super) fn goes_on_after(&self, micros: u64) -> bool {
        self.events.last().is_some_and(|it| micros < it.at)
    }

    pub(super) fn is_poll(&self, event: usize) -> bool {
        matches!(self.events[event].what, What::Poll { .. })
    }

    /// Whether what this producer is told is written has to stay.
    pub(super) fn must_stay(&self, client: &str) -> bool {
        match self.producers.get(client).map(|it| it.acks) {
            Some(Durability::All) => true,
            Some(Durability::Leader) => self.shares_log || self.leaders_are_steady,
            Some(Durability::None) | None => false,
        }
    }

    pub(super) fn is_idempotent(&self, client: &str) -> bool {
        self.producers.get(client).is_some_and(|it| it.idempotent)
    }

    /// The topics to which anybody sent.
    pub(super) fn topics(&self) -> BTreeSet<&'a str> {
        self.sends.iter().map(|it| it.topic).collect()
    }
}

impl Removed {
    fn has(&self, offset: i64) -> bool {
        (self.from..self.to).contains(&offset)
    }
}

/// Whether a partition may get a leader by this that does not have all that the last one had.
fn costs_tail(fault: &Fault) -> bool {
    match fault {
        Fault::LeaderMoved { .. }
        | Fault::Stop { .. }
        | Fault::Kill { .. }
        | Fault::PowerLoss { .. }
        | Fault::Freeze { .. } => true,
        Fault::Back { .. }
        | Fault::Cut
        | Fault::Unreachable { .. }
        | Fault::DiskFull { .. }
        | Fault::Other { .. } => false,
    }
}

fn see<'a>(
    seen: &mut BTreeMap<&'a Partition, BTreeMap<i64, Vec<Sighting<'a>>>>,
    partition: &'a Partition,
    offset: i64,
    sighting: Sighting<'a>,
) {
    seen.entry(partition).or_default().entry(offset).or_default().push(sighting);
}
