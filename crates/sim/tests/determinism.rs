//! The same seed is the same play, byte for byte: what happened, and everything that the network carried.

use vltava_sim::WORKLOADS;

#[test]
fn a_seed_is_played_the_same_way_each_time_and_another_differently() {
    for workload in WORKLOADS {
        let mut last = String::new();
        for seed in 0..3 {
            let [first, second] = [seed; 2].map(workload.play);
            let told = format!("{}, seed {seed}", workload.name);
            assert_same(&first.history.to_string(), &second.history.to_string(), &format!("{told}, history"));
            assert_same(&first.trace, &second.trace, &format!("{told}, trace"));
            assert_ne!(first.trace, last, "{told} is played like the one before");
            last = first.trace;
        }
    }
}

/// Says in which line two texts differ first, as they are long.
fn assert_same(one: &str, other: &str, what: &str) {
    let first = one.lines().zip(other.lines()).enumerate().find(|(_, (one, other))| one != other);
    assert_eq!(first, None, "{what}");
    assert_eq!(one.len(), other.len(), "{what}: one is longer");
}
