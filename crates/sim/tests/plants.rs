//! Planted bugs, each of which has to be found: proof that workloads and checkers see what they are for.
//!
//! Only in a build with `--cfg planted`, which `.ci/run planted` makes. What it prints says what found which bug, and
//! after how many seeds.
#![cfg(planted)]

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde_json::json;
use vltava_core::planted::{Plant, plant};
use vltava_sim::{
    WORKLOADS, Workload,
    check::{Invariant, check},
};

/// Each bug, the workload in which it is found, and within how many seeds.
const KILLS: &[(Plant, &str, u64)] = &[
    (Plant::SequenceReused, "impatient", 5),
    (Plant::EpochNotBumped, "impatient", 5),
    (Plant::RetryRenumbered, "networks", 10),
    (Plant::PartsReversed, "impatient", 30),
    (Plant::DeliveredInDoubt, "impatient", 5),
    (Plant::FailedInDoubt, "impatient", 5),
    (Plant::FlushedEarly, "crashes", 5),
    (Plant::DeadlineIgnored, "impatient", 10),
    (Plant::ResetOnTemporaryError, "networks", 10),
    (Plant::FetchedDropped, "readers", 10),
    (Plant::ErrorSkipped, "networks", 10),
    (Plant::CommittedIgnored, "group", 5),
    (Plant::SeekKeepsFetched, "readers", 5),
    (Plant::BelowPositionHanded, "readers", 5),
    (Plant::AcknowledgedUnsynced, "crashes", 5),
    (Plant::FolderNotSynced, "crashes", 5),
    (Plant::WindowsForgotten, "crashes", 5),
    (Plant::DuplicateMisplaced, "networks", 10),
    (Plant::CommitToldUnsynced, "group", 40),
];

/// How a bug was found.
struct Kill {
    /// After so many seeds.
    seeds: u64,
    /// By which invariants; or the play could not go on.
    by: String,
}

fn workload(name: &str) -> &'static Workload {
    WORKLOADS.iter().find(|it| it.name == name).expect("it is in the table")
}

/// Plays seed after seed with a bug until something is wrong.
fn hunt(bug: Plant, workload: &Workload, seeds_max: u64) -> Option<Kill> {
    plant(Some(bug));
    let kill = (0..seeds_max).find_map(|seed| {
        let Ok(play) = catch_unwind(AssertUnwindSafe(|| (workload.play)(seed))) else {
            return Some(Kill { seeds: seed + 1, by: "the end of the play".to_owned() });
        };
        let by: BTreeSet<_> = check(&play.history).into_iter().map(|it| it.invariant).collect();
        let told: Vec<_> = by.iter().map(Invariant::to_string).collect();
        (!by.is_empty()).then(|| Kill { seeds: seed + 1, by: told.join(", ") })
    });
    plant(None);
    kill
}

#[test]
fn every_planted_bug_is_found() {
    let (mut rows, mut alive) = (Vec::new(), Vec::new());
    for (bug, name, seeds_max) in KILLS {
        let Some(Kill { seeds, by }) = hunt(*bug, workload(name), *seeds_max) else {
            alive.push(bug);
            continue;
        };
        let row = json!({ "bug": format!("{bug:?}"), "workload": name, "seeds": seeds, "found by": by });
        println!("{row}");
        rows.push(row);
    }
    println!("figures: plants {}", json!({ "bugs planted": KILLS.len(), "found": rows }));
    assert!(alive.is_empty(), "these bugs live on: {alive:?}");
}

#[test]
fn without_a_bug_nothing_is_found_in_the_same_plays() {
    for workload in WORKLOADS {
        let seeds = KILLS.iter().filter(|it| it.1 == workload.name).map(|it| it.2).max().unwrap_or(0);
        workload.check(0..seeds);
    }
}

#[test]
fn no_bug_is_left_out() {
    let found: Vec<_> = KILLS.iter().map(|it| it.0).collect();
    assert_eq!(found, Plant::ALL);
}
