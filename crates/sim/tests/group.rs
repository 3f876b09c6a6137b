//! A group of members that come and go, while the broker is cut off, restarted and without power now and then.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::JoinHandle, time::sleep};
use vltava_core::Rng;
use vltava_sim::{History, Trouble, World, consume, produce, run, troubled, watch_commits};

const SEEDS: u64 = 40;
const PARTITIONS: i32 = 4;
const RECORDS: u32 = 100;

/// Longer than any trouble.
const PATIENCE: Duration = Duration::from_secs(120);

/// By then the sessions of dead members have ended, and whoever is left has read everything.
const CATCH_UP: Duration = Duration::from_secs(120);

type Shared = Arc<Mutex<History>>;

async fn member(world: &mut World, history: &Shared) -> JoinHandle<()> {
    loop {
        // A client that finds no broker at first tries again, as a supervisor would have it.
        match world.client("c").await {
            Ok(client) => return tokio::spawn(consume(client, history.clone())),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn play(seed: u64, trouble: Trouble) {
    let mut world = World::new(seed, PARTITIONS).await;
    let history = Shared::default();
    let client = world.client("c").await.expect("there is no trouble yet");
    let rng = Rng::new(world.rng.bits());
    let records = ("p".to_owned(), RECORDS);
    let producer = tokio::spawn(produce(client.clone(), records, PATIENCE, rng, history.clone()));
    let watch = tokio::spawn(watch_commits(client, history.clone()));
    let mut members = vec![member(&mut world, &history).await];
    for _ in 0..6 {
        troubled(&mut world, trouble, 2).await;
        if members.len() < 3 && world.rng.chance(60) {
            members.push(member(&mut world, &history).await);
        } else if members.len() > 1 && world.rng.chance(50) {
            // It dies without a word; the group finds out when its session ends.
            members.swap_remove(world.rng.below(members.len() as u64) as usize).abort();
        }
    }
    producer.await.expect("a producer does not panic");
    for _ in 0..CATCH_UP.as_secs() {
        if history.lock().expect("no play panics with this lock").is_handled() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    members.iter().chain([&watch]).for_each(|it| it.abort());
    let history = history.lock().expect("everybody is done");
    assert_eq!(history.sent.len(), RECORDS as usize, "seed {seed}");
    assert!(!history.committed.is_empty(), "seed {seed}: nothing was committed");
    history.check_handled(seed);
    history.check_commits(seed);
}

#[test]
fn a_group_sees_every_record_through_cuts() {
    for seed in 0..SEEDS {
        run(seed, play(seed, Trouble::Cuts));
    }
}

#[test]
fn a_group_sees_every_record_through_the_loss_of_power() {
    for seed in 0..SEEDS {
        run(seed, play(seed, Trouble::Everything));
    }
}
