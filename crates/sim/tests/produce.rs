//! Producers against a broker that is cut off, restarted and without power now and then.

use std::time::Duration;

use vltava_core::Rng;
use vltava_sim::{
    Trouble, World,
    check::assert_holds,
    history::{History, Recorder},
    produce, read_all, run, troubled,
};

const SEEDS: u64 = 60;
const PARTITIONS: i32 = 3;
const PRODUCERS: u32 = 3;
const RECORDS: u32 = 60;

/// A record that is given up has its request to wait for at most.
const SLACK: Duration = Duration::from_millis(100);

/// Longer than any trouble.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happened, and how many records are there in the end.
async fn play(seed: u64, trouble: Trouble, patience: Duration) -> (History, usize) {
    let mut world = World::new(seed, PARTITIONS).await;
    let recorder = Recorder::begin(world.clock(), "produce", seed, SLACK);
    let mut producers = Vec::new();
    for number in 0..PRODUCERS {
        let client = world.client("c").await.expect("there is no trouble yet");
        let rng = Rng::new(world.rng.bits());
        let records = (format!("p{number}"), RECORDS);
        producers.push(tokio::spawn(produce(recorder.clone(), client, records, patience, rng)));
    }
    troubled(&mut world, trouble, 12).await;
    for producer in producers {
        producer.await.expect("a producer does not panic");
    }
    let reader = world.client("c").await.expect("there is no trouble any more");
    let stored = read_all(&recorder, &reader, PARTITIONS).await.expect("there is no trouble any more");
    let history = recorder.history();
    assert_eq!(history.sends().len(), (PRODUCERS * RECORDS) as usize, "seed {seed}");
    assert_holds(&history);
    (history, stored)
}

#[test]
fn acknowledged_records_survive_cuts() {
    for seed in 0..SEEDS {
        let (_, stored) = run(seed, play(seed, Trouble::Cuts, PATIENCE));
        assert_eq!(stored, (PRODUCERS * RECORDS) as usize, "seed {seed}: cuts alone lose nothing");
    }
}

#[test]
fn acknowledged_records_survive_the_loss_of_power() {
    for seed in 0..SEEDS {
        let (_, stored) = run(seed, play(seed, Trouble::Everything, PATIENCE));
        let all = (PRODUCERS * RECORDS) as usize;
        assert_eq!(stored, all, "seed {seed}: the broker was never away for long");
    }
}

#[test]
fn what_is_given_up_early_takes_nothing_else_with_it() {
    let (mut stored, sent) = (0, SEEDS as usize * (PRODUCERS * RECORDS) as usize);
    for seed in 0..SEEDS {
        let patience = Duration::from_millis(50 + seed % 10 * 40);
        stored += run(seed, play(seed, Trouble::Everything, patience)).1;
    }
    assert!(stored > sent / 4 && stored < sent, "{stored} of {sent}: some are given up, not all");
}

#[test]
fn a_seed_is_played_the_same_way_each_time() {
    for seed in 0..5 {
        let [first, second] = [(); 2].map(|()| run(seed, play(seed, Trouble::Everything, PATIENCE)).0);
        assert_eq!(first.to_string(), second.to_string(), "seed {seed}");
    }
}
