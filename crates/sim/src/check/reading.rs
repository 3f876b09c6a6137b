//! What consumers are handed, and where they say that they stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Found,
    facts::{Facts, Sighting},
    positions::{Move, Stand, Step, steps},
};
use crate::history::{Cause, Partition, Record, Removal, Start, What};

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
                let left = from.or(step.stood());
                let is_vague = before.is_some_and(|it| it.0 == Stand::Begins(Start::Earliest));
                found.extend(groundless(facts, &step, from.or(left.filter(|_| !is_vague)), to, cause));
                found.extend(left.and_then(|left| overshot(facts, &step, left..to)));
                if let (Some(from), Some(stood), Some((_, since))) = (from, step.stood(), before) {
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
            for (offset, sightings) in seen.filter(|(offset, _)| reading.has_to_see(**offset)) {
                let Some(it) = facts.lasting(partition, *offset, sightings) else { continue };
                duties.push(Duty {
                    audience,
                    partition,
                    record: Record(*offset, it.value.to_owned()),
                    written: it.event,
                    drained,
                    handed: reading.handed.get(&(*offset, it.value)).copied().filter(|it| *it < drained),
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
    /// Who was sent where nobody knows and has not read on, and where it stood.
    left: BTreeMap<&'a str, i64>,
    /// What was handed out at each offset, and the event in which it was first.
    handed: BTreeMap<(i64, &'a str), usize>,
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

    /// Takes in a step of somebody who left that offset, if it is known.
    fn take(&mut self, step: &Step<'a>, left: Option<i64>) {
        match step.what {
            Move::Begin(start) => {
                start.offset().into_iter().for_each(|it| self.begin(it));
            }
            Move::Seek(start) => match (start.offset(), left) {
                (Some(to), left) => {
                    let left = self.left.remove(step.client).or(left);
                    self.passed.extend(left.map(|left| left..to));
                    self.begin(to);
                }
                (None, Some(left)) => {
                    self.left.entry(step.client).or_insert(left);
                }
                (None, None) => (),
            },
            Move::Jump { to, .. } => {
                self.passed.extend(left.map(|left| left..to));
                self.begin(to);
            }
            Move::Read { records, next } => {
                let first = records.first().map_or(next, |it| it.0);
                self.passed.extend(self.left.remove(step.client).map(|from| from..first));
                self.begin(first);
                for it in records {
                    self.handed.entry((it.0, &it.1)).or_insert(step.event);
                }
            }
        }
    }
}

/// What every consumer without a group, and every group, has read.
fn audiences<'a>(facts: &Facts<'a>) -> BTreeMap<(&'a str, &'a Partition), Reading<'a>> {
    let mut groups = BTreeMap::new();
    for event in facts.events {
        if let What::Consumer { client, group: Some(group), .. } = &event.what {
            groups.insert(&**client, &**group);
        }
    }
    let mut audiences = BTreeMap::<_, Reading<'_>>::new();
    for step in steps(facts.events) {
        let audience = groups.get(step.client).copied().unwrap_or(step.client);
        // Who leaves a topic that was made anew stood at an offset of the one before, or at none that is known.
        let is_anew = facts.was_removed(step.partition, 0..=step.event, |it| it == Removal::Recreated);
        let left = match step.what {
            Move::Jump { from: Some(from), .. } => Some(from),
            _ => step.stood(),
        };
        let left = left.map(|it| if is_anew { 0 } else { it });
        audiences.entry((audience, step.partition)).or_default().take(&step, left);
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
    let skipped = seen.range(range).filter(|(offset, _)| !handed.contains(offset));
    let (offset, it) = lasting(facts, step, skipped)?;
    let what = format!("{client} stood at {from} of {partition} and was not handed {} @ {offset}", it.value);
    Some((vec![since, step.event, it.event], what))
}

/// The first of these that may have been there at a step, and that nobody may have taken out.
fn lasting<'a, 'b>(
    facts: &Facts<'a>,
    step: &Step<'_>,
    seen: impl Iterator<Item = (&'b i64, &'b Vec<Sighting<'a>>)>,
) -> Option<(i64, &'b Sighting<'a>)>
where
    'a: 'b,
{
    let mut lasting =
        seen.filter_map(|(offset, it)| Some((*offset, facts.lasting(step.partition, *offset, it)?)));
    lasting.find(|(_, it)| it.since <= step.event)
}

/// A jump over something that is there, by somebody who is not to go on at the end or at some time.
fn overshot(facts: &Facts<'_>, step: &Step<'_>, over: Range<i64>) -> Option<Found> {
    let (client, partition) = (step.client, step.partition);
    if over.is_empty() || facts.reset_of(client).is_some_and(|it| it.offset().is_none()) {
        return None;
    }
    let to = over.end;
    let (offset, it) = lasting(facts, step, facts.seen.get(partition)?.range(over))?;
    let what = format!("{client} went to {to} of {partition} over {} @ {offset}", it.value);
    Some((vec![step.event, it.event], what))
}

/// A jump for a cause that is not there.
fn groundless(facts: &Facts<'_>, step: &Step<'_>, from: Option<i64>, to: i64, cause: Cause) -> Option<Found> {
    let (client, partition) = (step.client, step.partition);
    let reached = step.before.map_or(0, |(_, event)| facts.reached(event));
    let was_removed = |by: fn(Removal) -> bool| facts.was_removed(partition, reached..=step.event, by);
    let what = match cause {
        Cause::OutOfRange | Cause::Other => {
            let from = from.filter(|it| is_in_log(facts, partition, *it, reached))?;
            format!("{client} went from {from} of {partition} to {to} as if the log had not that offset")
        }
        Cause::Truncated if !was_removed(Removal::frees_offsets) => {
            format!("{client} went to {to} of {partition} as if the log had lost its end")
        }
        Cause::Recreated if !was_removed(|it| it == Removal::Recreated) => {
            format!("{client} went to {to} of {partition} as if the topic had been made anew")
        }
        Cause::Truncated | Cause::Recreated => return None,
    };
    Some((vec![step.event], what))
}

/// Whether, as far as is known, a log had this offset from an event on: that of a record, or of the next one.
fn is_in_log(facts: &Facts<'_>, partition: &Partition, offset: i64, since: usize) -> bool {
    let Some(log) = facts.logs.get(partition) else { return false };
    let was_lost =
        facts.may_be_removed(partition, offset, since) || facts.may_be_freed_below(partition, offset, since);
    (log.start..=log.end).contains(&offset) && !was_lost
}
