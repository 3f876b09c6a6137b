//! What has to happen in time: deadlines, and coming to rest once nobody makes trouble any more.

use std::collections::BTreeMap;

use super::{Found, facts::Facts, reading::duties};
use crate::history::{Call, Made, What};

/// I18: when the world has been calm for as long as was said, every call has its outcome, and whoever is to be handed
/// everything was.
pub(super) fn not_at_rest(facts: &Facts<'_>) -> Vec<Found> {
    let Some((calm, within)) = last_calm(facts) else { return Vec::new() };
    let due = |since: usize| facts.events[since.max(calm)].at.saturating_add(within);
    let mut found = Vec::new();
    for call in facts.calls.iter().filter(|it| !facts.crashed.contains_key(it.client)) {
        let ended = call.ended.map(|it| facts.events[it].at);
        if ended.is_none_or(|at| due(call.invoked) < at) && facts.goes_on_after(due(call.invoked)) {
            let what = format!("{} by {} has no outcome long after all was calm", name(call), call.client);
            found.push(([calm, call.invoked].into_iter().chain(call.ended).collect(), what));
        }
    }
    for duty in duties(facts) {
        if let Some(handed) = duty.handed.filter(|it| due(duty.written) < facts.events[*it].at) {
            let what = format!("{} was handed {} long after all was calm", duty.audience, duty.record.1);
            found.push((vec![calm, duty.written, handed], what));
        }
    }
    found
}

/// The last time that the world was left in peace for good, and how long everything may take from then on.
fn last_calm(facts: &Facts<'_>) -> Option<(usize, u64)> {
    let mut calm = None;
    for (at, event) in facts.events.iter().enumerate() {
        match &event.what {
            What::Calm { within } => calm = Some((at, *within)),
            What::Fault(_) => calm = None,
            _ => (),
        }
    }
    calm
}

/// I20: what has a deadline has an outcome by then, and what was flushed is done.
pub(super) fn missed_deadlines(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = early_flushes(facts);
    for call in &facts.calls {
        let Some(within) = allowed(facts, call) else { continue };
        let due = facts.events[call.invoked].at.saturating_add(within).saturating_add(facts.slack);
        let gone = facts.crashed.get(call.client);
        let late = match call.ended.or(gone.copied()) {
            Some(ended) => due < facts.events[ended].at,
            None => facts.goes_on_after(due),
        };
        if late {
            let what = format!("{} by {} took longer than {within} µs", name(call), call.client);
            found.push(([call.invoked].into_iter().chain(call.ended).collect(), what));
        }
    }
    found
}

/// A call in words.
fn name<'a>(made: &Made<'a>) -> &'a str {
    match made.call {
        Call::Send { value, .. } => value,
        Call::Flush => "a flush",
        Call::Purge => "a purge",
        Call::Shutdown { .. } => "a shutdown",
        Call::Commit { .. } => "a commit",
    }
}

/// How long a call may take.
fn allowed(facts: &Facts<'_>, call: &Made<'_>) -> Option<u64> {
    match call.call {
        Call::Send { .. } | Call::Flush => facts.producers.get(call.client).map(|it| it.timeout),
        Call::Purge => Some(0),
        Call::Shutdown { within } => Some(*within),
        Call::Commit { .. } => None,
    }
}

/// Flushes, and shutdowns that say that all is delivered, while something that was sent before has no outcome.
fn early_flushes(facts: &Facts<'_>) -> Vec<Found> {
    let mut sends = BTreeMap::<_, Vec<_>>::new();
    for it in &facts.sends {
        sends.entry(it.client).or_default().push(it);
    }
    let mut found = Vec::new();
    for call in facts.calls.iter().filter(|it| matches!(it.call, Call::Flush | Call::Shutdown { .. })) {
        let Some(ended) = call.ended.filter(|it| matches!(facts.events[*it].what, What::Ok { .. })) else {
            continue;
        };
        let sent = sends.get(call.client).into_iter().flatten();
        let mut open = sent.filter(|it| it.invoked < call.invoked && it.ended.is_none_or(|it| ended < it));
        if let Some(it) = open.next() {
            let what = format!("{} by {} was done before {} was", name(call), call.client, it.value);
            found.push(([it.invoked, call.invoked, ended].into_iter().chain(it.ended).collect(), what));
        }
    }
    found
}
