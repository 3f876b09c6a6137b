//! What consumers are handed, and where they say that they stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Found,
    facts::Facts,
    positions::{Move, Stand, Step, steps},
};
use crate::history::{Cause, Partition, Record, Removal, What};

/// I5: from one poll to the next, nothing is left out and nothing comes again, unless an event in between says that
/// the position moved.
pub(super) fn poll_skips(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for step in steps(facts.events) {
        let Move::Read { records, next } = step.what else { continue };
        if let Some(what) = disorder(records, next) {
            let what = format!("{} was handed {} in {}", step.client, what, step.partition);
            found.push((vec![step.event], what));
        }
        match step.before {
            Some((Stand::At(from), since)) => {
                found.extend(discontinuity(facts, &step, records, from..next, since));
            }
            Some((Stand::Begins(_), _)) => {}
            None => {
                let what = format!("{} reads {}, which it was not assigned", step.client, step.partition);
                found.push((vec![step.event], what));
            }
        }
    }
    found
}

/// I17: a position is where its last event says: a partition that was assigned is read from where it was to begin,
/// one that jumped from where it jumped to; and it jumps only for a cause that is there.
pub(super) fn silent_resets(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for step in steps(facts.events) {
        match (step.what, step.before) {
            (Move::Read { records, next }, Some((Stand::Begins(start), since))) => {
                let Some(from) = start.offset() else { continue };
                found.extend(discontinuity(facts, &step, records, from..next, since));
            }
            (Move::Jump { from, to, cause }, before) => {
                found.extend(groundless(facts, &step, from, to, cause));
                if let (Some(from), Some((Stand::At(stood), since))) = (from, before) {
                    found.extend(discontinuity(facts, &step, &[], stood..from, since));
                }
            }
            _ => (),
        }
    }
    found
}

/// I10: whoever had the time to be handed everything was.
pub(super) fn unseen(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for duty in duties(facts) {
        if let (due, None) = (duty.record, duty.handed) {
            let what = format!("{} was never handed {} of {}", duty.audience, due.1, duty.partition);
            found.push((vec![duty.drained, duty.written], what));
        }
    }
    found
}

/// A record that somebody is to be handed.
pub(super) struct Duty<'a> {
    /// The consumer, or the group.
    pub(super) audience: &'a str,
    pub(super) partition: &'a Partition,
    pub(super) record: Record,
    /// An event that tells of the record.
    pub(super) written: usize,
    /// The event by which it was to be handed out.
    pub(super) drained: usize,
    /// The event in which it was handed out first.
    pub(super) handed: Option<usize>,
}

/// What everybody is to be handed who had the time for everything.
pub(super) fn duties<'a>(facts: &Facts<'a>) -> Vec<Duty<'a>> {
    let audiences = audiences(facts);
    let mut duties = Vec::new();
    for (drained, event) in facts.events.iter().enumerate() {
        let What::Drained { audience } = &event.what else { continue };
        for ((_, partition), reading) in audiences.iter().filter(|it| it.0.0 == audience) {
            let seen = facts.seen.get(partition).into_iter().flatten();
            let due = seen.filter(|(offset, _)| reading.has_to_see(**offset));
            for (offset, sightings) in due.filter(|it| !facts.may_be_removed(partition, *it.0)) {
                duties.push(Duty {
                    audience,
                    partition,
                    record: Record(*offset, sightings[0].value.to_owned()),
                    written: sightings[0].event,
                    drained,
                    handed: reading.handed.get(offset).copied().filter(|it| *it < drained),
                });
            }
        }
    }
    duties
}

/// What an audience has read of a partition.
#[derive(Default)]
struct Reading<'a> {
    /// Where it began; none as long as nobody knows.
    begun: Option<i64>,
    /// What was passed over with an event that says so.
    passed: Vec<Range<i64>>,
    /// Who was sent elsewhere and has not read on, and where it stood.
    left: BTreeMap<&'a str, i64>,
    /// Each offset, and the event in which it was handed out first.
    handed: BTreeMap<i64, usize>,
}

impl<'a> Reading<'a> {
    fn has_to_see(&self, offset: i64) -> bool {
        let is_left = self.left.values().any(|it| *it <= offset);
        let is_passed = self.passed.iter().any(|it| it.contains(&offset));
        self.begun.is_some_and(|it| it <= offset) && !is_left && !is_passed
    }

    fn begin(&mut self, at: i64) {
        self.begun = Some(self.begun.map_or(at, |it| it.min(at)));
    }

    fn take(&mut self, step: &Step<'a>) {
        match step.what {
            Move::Begin(start) => {
                start.offset().into_iter().for_each(|it| self.begin(it));
            }
            Move::Seek => {
                if let Some(from) = step.stood() {
                    self.left.entry(step.client).or_insert(from);
                }
            }
            Move::Jump { from, to, .. } => {
                self.passed.extend(from.or(step.stood()).map(|from| from..to));
                self.begin(to);
            }
            Move::Read { records, next } => {
                let first = records.first().map_or(next, |it| it.0);
                self.passed.extend(self.left.remove(step.client).map(|from| from..first));
                self.begin(first);
                for it in records {
                    self.handed.entry(it.0).or_insert(step.event);
                }
            }
        }
    }
}

/// What every consumer without a group, and every group, has read.
fn audiences<'a>(facts: &Facts<'a>) -> BTreeMap<(&'a str, &'a Partition), Reading<'a>> {
    let mut groups = BTreeMap::new();
    for event in facts.events {
        if let What::Consumer { client, group: Some(group) } = &event.what {
            groups.insert(&**client, &**group);
        }
    }
    let mut audiences = BTreeMap::<_, Reading<'_>>::new();
    for step in steps(facts.events) {
        let audience = groups.get(step.client).copied().unwrap_or(step.client);
        audiences.entry((audience, step.partition)).or_default().take(&step);
    }
    audiences
}

/// What is wrong with a batch in itself.
fn disorder(records: &[Record], next: i64) -> Option<String> {
    let pair = records.windows(2).find(|it| it[1].0 <= it[0].0);
    if let Some([one, other]) = pair {
        return Some(format!("{} behind {}", other.0, one.0));
    }
    let last = records.last().filter(|it| next <= it.0)?;
    Some(format!("{}, and goes on at {next}", last.0))
}

/// What came again or was left out when somebody who stood at the start of a range has come to its end, and was
/// handed these records on the way.
fn discontinuity(
    facts: &Facts<'_>,
    step: &Step<'_>,
    records: &[Record],
    range: Range<i64>,
    since: usize,
) -> Option<Found> {
    let (client, partition, from) = (step.client, step.partition, range.start);
    let first = records.first().map_or(range.end, |it| it.0);
    if first < from || range.end < from {
        let what = format!("{client} stood at {from} of {partition} and went on at {first}");
        return Some((vec![since, step.event], what));
    }
    let handed: BTreeSet<_> = records.iter().map(|it| it.0).collect();
    let seen = facts.seen.get(partition)?;
    let mut skipped = seen.range(range).filter(|(offset, _)| !handed.contains(offset));
    let (offset, sightings) = skipped.find(|(offset, _)| !facts.may_be_removed(partition, **offset))?;
    let what = format!(
        "{client} stood at {from} of {partition} and was not handed {} @ {offset}",
        sightings[0].value
    );
    Some((vec![since, step.event, sightings[0].event], what))
}

/// A jump for a cause that is not there.
fn groundless(facts: &Facts<'_>, step: &Step<'_>, from: Option<i64>, to: i64, cause: Cause) -> Option<Found> {
    let (client, partition) = (step.client, step.partition);
    let what = match cause {
        Cause::OutOfRange => {
            let from = from.filter(|it| is_in_log(facts, partition, *it))?;
            format!("{client} went from {from} of {partition} to {to} as if the log had not that offset")
        }
        Cause::Truncated if !facts.was_removed(partition, Removal::frees_offsets) => {
            format!("{client} went to {to} of {partition} as if the log had lost its end")
        }
        Cause::Recreated if !facts.was_removed(partition, |it| it == Removal::Recreated) => {
            format!("{client} went to {to} of {partition} as if the topic had been made anew")
        }
        Cause::Truncated | Cause::Recreated | Cause::Other => return None,
    };
    Some((vec![step.event], what))
}

/// Whether, as far as is known, a log had this offset all the time: that of a record, or of the next one.
fn is_in_log(facts: &Facts<'_>, partition: &Partition, offset: i64) -> bool {
    let Some(log) = facts.logs.get(partition) else { return false };
    let was_lost = facts.may_be_removed(partition, offset) || facts.may_be_freed_below(partition, offset);
    (log.start..=log.end).contains(&offset) && !was_lost
}
