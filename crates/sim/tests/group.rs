//! A group of members that come and go, while the broker is cut off, restarted and without power now and then.

use std::time::Duration;

use tokio::{task::JoinHandle, time::sleep};
use vltava_core::Rng;
use vltava_sim::{
    GROUP, Trouble, World,
    check::{Invariant, assert_holds, check_only},
    consume,
    history::{Event, Recorder, What},
    produce, read_all, run, troubled, watch_commits,
};

const SEEDS: u64 = 40;
const PARTITIONS: i32 = 4;
const RECORDS: u32 = 100;

/// A record that is given up has its request to wait for at most.
const SLACK: Duration = Duration::from_millis(100);

/// Longer than any trouble.
const PATIENCE: Duration = Duration::from_secs(120);

/// By then the sessions of dead members have ended, and whoever is left has read everything.
const CATCH_UP: Duration = Duration::from_secs(120);

async fn member(world: &mut World, recorder: &Recorder, number: usize) -> JoinHandle<()> {
    let name = format!("m{number}");
    loop {
        // A client that finds no broker at first tries again, as a supervisor would have it.
        match world.client("c").await {
            Ok(client) => {
                return tokio::spawn(consume(recorder.clone(), client, name));
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn play(seed: u64, trouble: Trouble) {
    let mut world = World::new(seed, PARTITIONS).await;
    let recorder = Recorder::begin(world.clock(), "group", seed, SLACK);
    let client = world.client("c").await.expect("there is no trouble yet");
    let rng = Rng::new(world.rng.bits());
    let records = ("p".to_owned(), RECORDS);
    let producer = tokio::spawn(produce(recorder.clone(), client.clone(), records, PATIENCE, rng));
    let watch = tokio::spawn(watch_commits(recorder.clone(), client.clone()));
    let mut members = vec![member(&mut world, &recorder, 0).await];
    for number in 1..=6 {
        troubled(&mut world, trouble, 2).await;
        if members.len() < 3 && world.rng.chance(60) {
            members.push(member(&mut world, &recorder, number).await);
        } else if members.len() > 1 && world.rng.chance(50) {
            // It dies without a word; the group finds out when its session ends.
            members.swap_remove(world.rng.below(members.len() as u64) as usize).abort();
        }
    }
    producer.await.expect("a producer does not panic");
    read_all(&recorder, &client, PARTITIONS).await.expect("there is no trouble any more");
    for _ in 0..CATCH_UP.as_secs() {
        if has_seen_all(&recorder) {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    recorder.note(What::Drained { audience: GROUP.to_owned() });
    members.iter().chain([&watch]).for_each(JoinHandle::abort);
    let history = recorder.history();
    assert_eq!(history.sends().len(), RECORDS as usize, "seed {seed}");
    let committed = history.events.iter().any(|it| matches!(it.what, What::Committed { .. }));
    assert!(committed, "seed {seed}: nothing was committed");
    assert_holds(&history);
}

/// Whether the group was handed all there is.
fn has_seen_all(recorder: &Recorder) -> bool {
    let mut history = recorder.history();
    let (at, audience) = (recorder.now().0, GROUP.to_owned());
    history.events.push(Event { at, what: What::Drained { audience } });
    check_only(Invariant::Unseen, &history).is_empty()
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
