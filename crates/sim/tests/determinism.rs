//! The same seed is the same play, byte for byte: what happened, and everything that the network carried.

use vltava_sim::WORKLOADS;

#[test]
fn a_seed_is_played_the_same_way_each_time_and_another_differently() {
    for workload in WORKLOADS {
        for seed in [0, 1, 2] {
            let [first, second, other] = [seed, seed, seed + 1].map(workload.play);
            let name = workload.name;
            assert!(!first.trace.is_empty(), "{name}, seed {seed}: the network carried nothing");
            assert_same(
                &first.history.to_string(),
                &second.history.to_string(),
                &format!("{name}, seed {seed}, history"),
            );
            assert_same(&first.trace, &second.trace, &format!("{name}, seed {seed}, trace"));
            assert_ne!(first.trace, other.trace, "{name}: seeds {seed} and {} are the same", seed + 1);
        }
    }
}

/// Says in which line two texts differ first, as they are long.
fn assert_same(one: &str, other: &str, what: &str) {
    let first = one.lines().zip(other.lines()).enumerate().find(|(_, (one, other))| one != other);
    assert_eq!(first, None, "{what}");
    assert_eq!(one.len(), other.len(), "{what}: one is longer");
}
