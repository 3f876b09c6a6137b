//! What was measured.

use std::collections::BTreeMap;

use super::{Found, facts::Facts};
use crate::history::What;

/// I19: nothing measured is ever above its bound, and once everything is closed, all of it is back where it was.
pub(super) fn broken_bounds(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut gauges = BTreeMap::<_, Readings>::new();
    let mut is_closed = false;
    for (at, event) in facts.events.iter().enumerate() {
        match &event.what {
            What::Closed => is_closed = true,
            What::Gauge { of, gauge, value, most } => {
                if let Some(most) = most.filter(|most| most < value) {
                    let what = format!("{gauge} of {of} are {value}, and {most} at most");
                    found.push((vec![at], what));
                }
                let readings =
                    gauges.entry((of, gauge)).or_insert(Readings { first: (at, *value), last: None });
                readings.last = is_closed.then_some((at, *value));
            }
            _ => (),
        }
    }
    for ((of, gauge), Readings { first, last }) in gauges.into_iter().filter(|_| is_closed) {
        match last {
            Some((at, value)) if first.1 < value => {
                let what =
                    format!("{gauge} of {of} were {} at first, and {value} when all was closed", first.1);
                found.push((vec![first.0, at], what));
            }
            Some(_) => (),
            None => {
                found.push((vec![first.0], format!("{gauge} of {of} were not measured when all was closed")));
            }
        }
    }
    found
}

/// What a gauge said at first, and what it said last after all was closed.
struct Readings {
    first: (usize, u64),
    last: Option<(usize, u64)>,
}
