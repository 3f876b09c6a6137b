//! Producers against a broker that is cut off, restarted and without power now and then.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use vltava_core::Rng;
use vltava_sim::{History, Stored, Trouble, World, produce, read_all, run, troubled};

const SEEDS: u64 = 60;
const PARTITIONS: i32 = 3;
const PRODUCERS: u32 = 3;
const RECORDS: u32 = 60;

/// Longer than any trouble.
const PATIENCE: Duration = Duration::from_secs(120);

async fn play(seed: u64, trouble: Trouble, patience: Duration) -> Vec<Stored> {
    let mut world = World::new(seed, PARTITIONS).await;
    let history = Arc::new(Mutex::new(History::default()));
    let mut producers = Vec::new();
    for number in 0..PRODUCERS {
        let client = world.client("c").await.expect("there is no trouble yet");
        let rng = Rng::new(world.rng.bits());
        let records = (format!("p{number}"), RECORDS);
        producers.push(tokio::spawn(produce(client, records, patience, rng, history.clone())));
    }
    troubled(&mut world, trouble, 12).await;
    for producer in producers {
        producer.await.expect("a producer does not panic");
    }
    let reader = world.client("c").await.expect("there is no trouble any more");
    let log = read_all(&reader, PARTITIONS).await.expect("there is no trouble any more");
    let history = history.lock().expect("everybody is done");
    assert_eq!(history.sent.len(), (PRODUCERS * RECORDS) as usize, "seed {seed}");
    history.check_log(seed, &log);
    log
}

#[test]
fn acknowledged_records_survive_cuts() {
    for seed in 0..SEEDS {
        let stored = run(seed, play(seed, Trouble::Cuts, PATIENCE));
        assert_eq!(stored.len(), (PRODUCERS * RECORDS) as usize, "seed {seed}: cuts alone lose nothing");
    }
}

#[test]
fn acknowledged_records_survive_the_loss_of_power() {
    for seed in 0..SEEDS {
        let stored = run(seed, play(seed, Trouble::Everything, PATIENCE));
        assert_eq!(
            stored.len(),
            (PRODUCERS * RECORDS) as usize,
            "seed {seed}: the broker was never away for long"
        );
    }
}

#[test]
fn what_is_given_up_early_takes_nothing_else_with_it() {
    let (mut stored, sent) = (0, SEEDS as usize * (PRODUCERS * RECORDS) as usize);
    for seed in 0..SEEDS {
        let patience = Duration::from_millis(50 + seed % 10 * 40);
        stored += run(seed, play(seed, Trouble::Everything, patience)).len();
    }
    assert!(stored > sent / 4 && stored < sent, "{stored} of {sent}: some are given up, not all");
}

#[test]
fn a_seed_is_played_the_same_way_each_time() {
    for seed in 0..5 {
        let [first, second] = [(); 2].map(|()| run(seed, play(seed, Trouble::Everything, PATIENCE)));
        assert_eq!(first, second, "seed {seed}");
    }
}
