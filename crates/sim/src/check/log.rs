//! What is in the logs, beside what senders were told of it.

use std::collections::BTreeMap;

use super::{Found, facts::Facts};
use crate::history::{Fate, Partition, Record};

/// I1: what was acknowledged is in the log of its partition, unless somebody may have taken it out.
pub(super) fn lost_writes(facts: &Facts<'_>) -> Vec<Found> {
    let places = places(facts);
    let mut found = Vec::new();
    for it in facts.sends.iter().filter(|it| facts.must_stay(it.client)) {
        let (Fate::Acknowledged(partition, offset), Some(ended)) = (it.fate, it.ended) else { continue };
        let excused = match offset {
            Some(offset) => facts.may_be_removed(partition, offset, it.invoked),
            None => !facts.is_whole(partition, it.invoked),
        };
        let is_there =
            places.get(it.value).is_some_and(|there| there.iter().any(|it| it.partition == partition));
        if !excused && !is_there && facts.logs.contains_key(partition) {
            let what = format!("{} was acknowledged in {partition} and is not there", it.value);
            found.push((vec![it.invoked, ended], what));
        }
    }
    found
}

/// I2: what an idempotent producer sent is in the logs once at most.
pub(super) fn duplicates(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (value, there) in places(facts) {
        if there.len() > 1 && producer_of(value).is_some_and(|(client, _)| facts.is_idempotent(client)) {
            let offsets: Vec<_> =
                there.iter().map(|it| format!("{} @ {}", it.partition, it.offset)).collect();
            let events = there.iter().map(|it| it.event).collect();
            found.push((events, format!("{value} is there more than once: {}", offsets.join(", "))));
        }
    }
    found
}

/// I3: all who see an offset see the same record there, and the record is one that was to go there; and one record
/// is at one offset.
pub(super) fn inconsistent_offsets(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = misplaced(facts);
    for (partition, offsets) in &facts.seen {
        for (offset, sightings) in offsets {
            let differ = sightings.windows(2).find(|it| {
                it[0].value != it[1].value && !facts.was_freed_between(partition, *offset, [it[0], it[1]])
            });
            if let Some([one, other]) = differ {
                let what = format!("{partition} @ {offset} is {} and {}", one.value, other.value);
                found.push((vec![one.event, other.event], what));
            }
        }
    }
    found
}

/// Records that are not where they were to go, or not where their senders were told.
fn misplaced(facts: &Facts<'_>) -> Vec<Found> {
    let places = places(facts);
    let mut found = Vec::new();
    for it in &facts.sends {
        let wrong = |partition: &Partition| {
            partition.topic != it.topic || it.wanted.is_some_and(|wanted| wanted != partition.number)
        };
        for there in places.get(it.value).into_iter().flatten().filter(|there| wrong(there.partition)) {
            let what = format!("{} was sent to {} and is in {}", it.value, it.topic, there.partition);
            found.push((vec![it.invoked, there.event], what));
        }
        let (Fate::Acknowledged(partition, told), Some(ended)) = (it.fate, it.ended) else { continue };
        if wrong(partition) {
            let what = format!("{} was sent to {} and acknowledged in {partition}", it.value, it.topic);
            found.push((vec![it.invoked, ended], what));
        }
        let is_its_own = |told: &i64| !facts.may_be_anothers(partition, *told, it.invoked);
        let Some(told) = told.filter(is_its_own) else { continue };
        let elsewhere = |there: &&Place<'_>| there.partition == partition && there.offset != told;
        let there = places.get(it.value).filter(|there| facts.is_idempotent(it.client) && there.len() == 1);
        for there in there.into_iter().flatten().filter(elsewhere) {
            let what =
                format!("{} was acknowledged in {partition} @ {told} and is @ {}", it.value, there.offset);
            found.push((vec![ended, there.event], what));
        }
    }
    found
}

/// I4: what an idempotent producer sent is in each log in the order of sending.
pub(super) fn out_of_order(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (partition, log) in &facts.logs {
        let mut latest: BTreeMap<&str, (u64, usize, &Record)> = BTreeMap::new();
        for (event, record) in &log.records {
            let Some((client, number)) = producer_of(&record.1).filter(|it| facts.is_idempotent(it.0)) else {
                continue;
            };
            if let Some((before, at, first)) = latest.insert(client, (number, *event, record))
                && number < before
            {
                let what = format!("{} is behind {} in {partition}", record.1, first.1);
                found.push((vec![at, *event], what));
            }
        }
    }
    found
}

/// I6: no record is there whose sender was told that it is not written, and none that nobody sent.
pub(super) fn aborted_reads(facts: &Facts<'_>) -> Vec<Found> {
    let sends: BTreeMap<_, _> = facts.sends.iter().map(|it| (it.value, it)).collect();
    let topics = facts.topics();
    let mut found = Vec::new();
    for (partition, offsets) in facts.seen.iter().filter(|it| topics.contains(&*it.0.topic)) {
        for (offset, sightings) in offsets {
            let first = sightings[0];
            match sends.get(first.value) {
                None => {
                    let what = format!("{:?} is in {partition} @ {offset} and nobody sent it", first.value);
                    found.push((vec![first.event], what));
                }
                Some(it) if it.fate == Fate::Failed => {
                    let what = format!("{} failed for certain and is in {partition} @ {offset}", it.value);
                    found.push((it.ended.into_iter().chain([first.event]).collect(), what));
                }
                Some(_) => (),
            }
        }
    }
    found
}

/// I16: what a consumer was handed is in the log in the end, at its offset, unless somebody may have taken it out; and
/// nobody else takes out the beginning of a log.
pub(super) fn vanished(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (partition, log) in &facts.logs {
        let there: BTreeMap<_, _> = log.records.iter().map(|(_, it)| (it.0, &*it.1)).collect();
        let seen = facts.seen.get(partition).into_iter().flatten();
        for (offset, sightings) in seen {
            let gone = sightings.iter().find(|it| {
                facts.is_poll(it.event)
                    && there.get(offset).is_none_or(|there| *there != it.value)
                    && !facts.may_be_removed(partition, *offset, it.since)
            });
            found.extend(gone.map(|it| {
                let what = format!("{} was read in {partition} @ {offset} and is not there", it.value);
                (vec![it.event], what)
            }));
        }
        if log.start > 0 && !facts.may_be_trimmed(partition, log.start - 1) {
            let told = log.records.first().map(|it| it.0);
            let what = format!("{partition} begins at {} and nobody removed what was before", log.start);
            found.push((told.into_iter().collect(), what));
        }
    }
    found
}

/// Where a record is in the end.
struct Place<'a> {
    partition: &'a Partition,
    offset: i64,
    event: usize,
}

/// Where the records are in the end, by value.
fn places<'a>(facts: &Facts<'a>) -> BTreeMap<&'a str, Vec<Place<'a>>> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for (partition, log) in &facts.logs {
        for (event, record) in &log.records {
            let place = Place { partition, offset: record.0, event: *event };
            places.entry(&*record.1).or_default().push(place);
        }
    }
    places
}

/// Who sent a value, and as which.
fn producer_of(value: &str) -> Option<(&str, u64)> {
    let (client, number) = value.rsplit_once(':')?;
    Some((client, number.parse().ok()?))
}
