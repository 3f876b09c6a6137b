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

/// What has to find a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// An invariant that its history breaks.
    Breaks(Invariant),
    /// The play, which cannot go on and says this. Any other that breaks off has found nothing.
    Ends(&'static str),
}

/// Each bug, the workload in which it is found, within how many seeds, and by what.
const KILLS: &[(Plant, &str, u64, By)] = &[
    (Plant::SequenceReused, "impatient", 5, By::Breaks(Invariant::LostWrite)),
    (Plant::EpochNotBumped, "impatient", 5, By::Breaks(Invariant::LostWrite)),
    (Plant::RetryRenumbered, "networks", 10, By::Breaks(Invariant::Duplicate)),
    (Plant::RetryForgotten, "networks", 10, By::Breaks(Invariant::NotAtRest)),
    (Plant::PartsReversed, "impatient", 30, By::Breaks(Invariant::Order)),
    (Plant::DeliveredInDoubt, "impatient", 5, By::Breaks(Invariant::LostWrite)),
    (Plant::FailedInDoubt, "impatient", 5, By::Breaks(Invariant::AbortedRead)),
    (Plant::FlushedEarly, "crashes", 5, By::Breaks(Invariant::MissedDeadline)),
    (Plant::DeadlineIgnored, "impatient", 10, By::Breaks(Invariant::MissedDeadline)),
    (Plant::ResetOnTemporaryError, "networks", 10, By::Breaks(Invariant::SilentReset)),
    (Plant::FetchedDropped, "readers", 10, By::Breaks(Invariant::Unseen)),
    (Plant::ErrorSkipped, "networks", 10, By::Breaks(Invariant::PollSkip)),
    (Plant::CommittedIgnored, "group", 5, By::Breaks(Invariant::SilentReset)),
    (Plant::SeekKeepsFetched, "readers", 5, By::Breaks(Invariant::SilentReset)),
    (Plant::BelowPositionHanded, "readers", 5, By::Breaks(Invariant::SilentReset)),
    (Plant::ConnectionKept, "networks", 5, By::Breaks(Invariant::BrokenBound)),
    (Plant::AcknowledgedUnsynced, "crashes", 5, By::Breaks(Invariant::LostWrite)),
    (Plant::UnsyncedServed, "impatient", 40, By::Breaks(Invariant::Vanished)),
    (Plant::FolderNotSynced, "crashes", 5, By::Ends("topic orders is not there")),
    (Plant::WindowsForgotten, "crashes", 5, By::Breaks(Invariant::Duplicate)),
    (Plant::DuplicateMisplaced, "networks", 10, By::Breaks(Invariant::InconsistentOffset)),
    (Plant::CommitToldUnsynced, "group", 40, By::Breaks(Invariant::CommitWentBack)),
];

/// Each of these has to find some bug.
const KILLERS: &[Invariant] = &[
    Invariant::LostWrite,
    Invariant::Duplicate,
    Invariant::InconsistentOffset,
    Invariant::Order,
    Invariant::PollSkip,
    Invariant::AbortedRead,
    Invariant::Unseen,
    Invariant::CommitWentBack,
    Invariant::Vanished,
    Invariant::SilentReset,
    Invariant::NotAtRest,
    Invariant::BrokenBound,
    Invariant::MissedDeadline,
];

/// How a bug was found.
struct Kill {
    /// After so many seeds.
    seeds: u64,
    by: String,
    /// What else the play broke.
    beside: Vec<String>,
}

fn workload(name: &str) -> &'static Workload {
    WORKLOADS.iter().find(|it| it.name == name).expect("it is in the table")
}

/// Plays seed after seed with a bug until what has to find it does.
fn hunt(bug: Plant, workload: &Workload, seeds_max: u64, by: By) -> Option<Kill> {
    plant(Some(bug));
    let kill = (1..=seeds_max).find_map(|seeds| {
        let played = catch_unwind(AssertUnwindSafe(|| (workload.play)(seeds - 1)));
        match (played, by) {
            (Ok(play), By::Breaks(by)) => {
                let mut broken: BTreeSet<_> =
                    check(&play.history).into_iter().map(|it| it.invariant).collect();
                let is_found = broken.remove(&by);
                let beside = broken.iter().map(Invariant::to_string).collect();
                is_found.then(|| Kill { seeds, by: by.to_string(), beside })
            }
            (Err(panic), By::Ends(says)) => {
                let told = panic.downcast_ref::<String>()?;
                let by = format!("the end of the play: {says}");
                told.contains(says).then(|| Kill { seeds, by, beside: Vec::new() })
            }
            _ => None,
        }
    });
    plant(None);
    kill
}

#[test]
fn every_planted_bug_is_found_by_what_has_to_find_it() {
    let (mut rows, mut alive) = (Vec::new(), Vec::new());
    for (bug, name, seeds_max, by) in KILLS {
        let Some(Kill { seeds, by, beside }) = hunt(*bug, workload(name), *seeds_max, *by) else {
            alive.push((bug, by));
            continue;
        };
        let row = json!({
            "bug": format!("{bug:?}"), "workload": name, "seeds": seeds,
            "found by": by, "and by": beside.join(", "),
        });
        println!("{row}");
        rows.push(row);
    }
    println!("figures: plants {}", json!({ "bugs planted": KILLS.len(), "found": rows }));
    assert!(alive.is_empty(), "these bugs live on: {alive:?}");
}

#[test]
fn every_invariant_finds_some_bug() {
    let is_idle = |by: &&Invariant| !KILLS.iter().any(|it| it.3 == By::Breaks(**by));
    let idle: Vec<_> = KILLERS.iter().filter(is_idle).collect();
    assert!(idle.is_empty(), "these find none: {idle:?}");
}

#[test]
fn without_a_bug_nothing_is_found_in_the_same_plays() {
    for workload in WORKLOADS {
        let seeds = KILLS.iter().filter(|it| it.1 == workload.name).map(|it| it.2).max();
        seeds.into_iter().for_each(|seeds| drop(workload.check(0..seeds)));
    }
}

#[test]
fn no_bug_is_left_out() {
    let found: Vec<_> = KILLS.iter().map(|it| it.0).collect();
    assert_eq!(found, Plant::ALL);
}
