//! Members come, go and die, the broker restarts, records are produced all the while. Every record is handed out at
//! least once, and none before all earlier ones of its partition were.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use vltava_client::{AssignmentId, Consumer, RecordBatch};
use vltava_core::Rng;

use crate::{
    values,
    world::{REBALANCE, SESSION, Switch, TOPIC, World},
};

const SEEDS: u64 = 20;
const PARTITIONS: i32 = 3;
const STEPS: usize = 12;

/// What was handed out, by partition: how many of the first records, without a gap.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<i32, usize>>>);

impl Seen {
    fn add(&self, batch: &RecordBatch, seed: u64) -> BTreeSet<usize> {
        let mut seen = self.0.lock().expect("no member panics while it holds this");
        let known = seen.entry(batch.partition()).or_default();
        let at = |value: String| {
            value.split_once(':').and_then(|(_, at)| at.parse().ok()).expect("it is numbered")
        };
        let indexes: BTreeSet<usize> = values(batch).into_iter().map(at).collect();
        for &at in &indexes {
            assert!(at <= *known, "seed {seed}: record {at} of {} before {known}", batch.partition());
            *known = (*known).max(at + 1);
        }
        indexes
    }

    fn count(&self) -> usize {
        self.0.lock().expect("no member panics while it holds this").values().sum()
    }
}

struct Process {
    switch: Switch,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Reads until it is told to stop; commits most of the time.
async fn read(mut consumer: Consumer, seen: Seen, mut rng: Rng, seed: u64, mut stop: oneshot::Receiver<()>) {
    let mut last: BTreeMap<(i32, AssignmentId), usize> = BTreeMap::new();
    loop {
        let batch = tokio::select! {
            biased;
            _ = &mut stop => break,
            batch = consumer.next() => batch.expect("it goes on").expect("it is a member"),
        };
        let indexes = seen.add(&batch, seed);
        let (Some(first), Some(end)) = (indexes.first(), indexes.last()) else { continue };
        let before = last.insert((batch.partition(), batch.assignment()), *end);
        assert!(before.is_none_or(|before| before + 1 == *first), "seed {seed}: {before:?} then {first}");
        if rng.chance(70) {
            // It may have been revoked meanwhile; then others read it again.
            let _ = timeout(SESSION, consumer.commit(&batch)).await;
        }
    }
    let _ = consumer.shutdown(SESSION).await;
}

async fn start(world: &mut World, seen: &Seen, rng: &mut Rng, seed: u64) -> Process {
    let (member, switch) = world.member().await;
    let consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(read(consumer, seen.clone(), Rng::new(rng.bits()), seed, stopped));
    Process { switch, stop: Some(stop), task }
}

async fn play(seed: u64) {
    let rng = &mut Rng::new(seed);
    let mut world = World::new(PARTITIONS).await;
    let seen = Seen::default();
    let mut processes = Vec::new();
    for _ in 0..STEPS {
        match rng.below(8) {
            0..=2 if processes.len() < 4 => processes.push(start(&mut world, &seen, rng, seed).await),
            3 if !processes.is_empty() => {
                let it: Process = processes.swap_remove(rng.below(processes.len() as u64) as usize);
                it.switch.kill();
                it.task.abort();
            }
            4 if !processes.is_empty() => {
                let mut it: Process = processes.swap_remove(rng.below(processes.len() as u64) as usize);
                drop(it.stop.take());
            }
            5 => world.restart_broker().await,
            _ => world.produce_everywhere(PARTITIONS, 1 + rng.below(20) as usize).await,
        }
        tokio::time::sleep(Duration::from_millis(rng.below(15_000))).await;
    }
    world.produce_everywhere(PARTITIONS, 1).await;
    processes.push(start(&mut world, &seen, rng, seed).await);
    let all = world.all().len();
    let everything = async {
        while seen.count() < all {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let done = timeout(3 * (SESSION + REBALANCE), everything).await;
    assert!(done.is_ok(), "seed {seed}: {} of {all} records were handed out", seen.count());
    for process in processes {
        assert!(!process.task.is_finished(), "seed {seed}: a member gave up");
        process.task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn every_record_is_handed_out_whatever_becomes_of_members_and_broker() {
    for seed in 0..SEEDS {
        play(seed).await;
    }
}
