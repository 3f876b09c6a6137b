//! Every workload, from many seeds: every history is judged.
//!
//! `VLTAVA_SEEDS=0..500` plays other seeds than the few of an ordinary run.

use vltava_sim::{WORKLOADS, seeds};

/// Each is played from so many seeds, unless somebody says otherwise.
const SEEDS: u64 = 12;

fn check(name: &str) {
    let workload = WORKLOADS.iter().find(|it| it.name == name).expect("it is in the table");
    let tally = workload.check(seeds(SEEDS));
    println!("figures: {name} {tally}");
}

#[test]
fn crashes_take_nothing_that_was_acknowledged_or_read() {
    check("crashes");
}

#[test]
fn networks_that_part_and_swallow_cost_time_and_nothing_else() {
    check("networks");
}

#[test]
fn nodes_that_stop_and_leaders_that_move_take_nothing_along() {
    check("nodes");
}

#[test]
fn disks_lose_what_their_sync_mode_says_and_nothing_else() {
    check("disks");
}

#[test]
fn impatient_producers_are_told_the_truth() {
    check("impatient");
}

#[test]
fn readers_are_handed_all_that_stays_in_order() {
    check("readers");
}

#[test]
fn topics_that_come_and_go_are_nothing_to_the_others() {
    check("topics");
}

#[test]
fn group_sees_every_record_and_its_commits_never_go_back() {
    check("group");
}

#[test]
fn every_workload_has_a_test() {
    let here = include_str!("workloads.rs");
    for workload in WORKLOADS {
        assert!(here.contains(&format!("    check(\"{}\");", workload.name)), "{}", workload.name);
    }
}
