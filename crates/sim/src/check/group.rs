//! What groups commit.

use std::collections::BTreeMap;

use super::{Found, facts::Facts};
use crate::history::What;

/// I12: nobody who asked later sees less committed than somebody who had seen it by then.
pub(super) fn commits_that_went_back(facts: &Facts<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    // For each group and partition: the highest that was seen, and the event.
    let mut seen = BTreeMap::<_, Vec<(u64, i64, usize)>>::new();
    for (at, event) in facts.events.iter().enumerate() {
        let What::Committed { group, partition, offset, asked } = &event.what else { continue };
        let before = seen.entry((group, partition)).or_default();
        let settled = before.iter().filter(|(when, ..)| when <= asked).max_by_key(|it| it.1);
        if let Some((_, highest, by)) = settled.filter(|it| it.1 > *offset) {
            let what = format!("{group} had committed {highest} of {partition}, and then {offset}");
            found.push((vec![*by, at], what));
        }
        // Lower ones that were seen earlier say nothing more.
        before.retain(|it| it.1 > *offset);
        before.push((event.at, *offset, at));
    }
    found
}
