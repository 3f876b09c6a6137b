//! What clients do in a world, and what the world does to them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use vltava_client::{
    Client, Error, Offset, Producer, ProducerRecord, RecordBatch, StartOffset, TopicPartition,
};
use vltava_core::Rng;

use crate::{
    history::{Committed, History, Outcome, Stored},
    world::{TOPIC, World},
};

/// The group of every workload.
const GROUP: &str = "audit";

/// No play takes longer by its own clock: somebody waits for what will not come.
const PLAY_MAX: Duration = Duration::from_secs(1800);

/// What happens to a world while clients are at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Pipes are cut.
    Cuts,
    /// Pipes are cut, and the broker is restarted, is killed or loses its power.
    Everything,
}

/// Plays a world from a seed in this thread, on a clock that moves when everybody waits.
pub fn run<T>(seed: u64, play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO needs nothing of the system");
    runtime.block_on(async {
        timeout(PLAY_MAX, play).await.unwrap_or_else(|_| panic!("seed {seed}: it does not come to an end"))
    })
}

/// Makes trouble so many times, then leaves the world in peace.
pub async fn troubled(world: &mut World, trouble: Trouble, times: u32) {
    for _ in 0..times {
        sleep(Duration::from_millis(20 + world.rng.below(500))).await;
        let away = Duration::from_millis(world.rng.below(1_000));
        match (trouble, world.rng.below(6)) {
            (Trouble::Everything, 0) => world.restart(away).await,
            (Trouble::Everything, 1) => world.lose_power(away).await,
            // Its tasks end when they are polled next, and with them its hold on the disk.
            (Trouble::Everything, 2) => world.kill(away + Duration::from_millis(5)).await,
            _ => world.network.cut_some(40),
        }
    }
}

/// Sends so many records, most of them with keys, and notes what became of each. `patience` is how long a record may
/// take until it is given up.
pub async fn produce(
    client: Client,
    (name, count): (String, u32),
    patience: Duration,
    mut rng: Rng,
    history: Arc<Mutex<History>>,
) {
    let producer = Producer::builder(&client).delivery_timeout(patience).build().expect("it can be so");
    let mut deliveries = Vec::new();
    for number in 0..count {
        sleep(Duration::from_micros(rng.below(20_000))).await;
        let value = format!("{name}:{number:06}");
        let record = ProducerRecord::to(TOPIC).value(value.as_str());
        let record = if rng.chance(70) { record.key(format!("key {}", rng.below(10))) } else { record };
        match producer.send(record).await {
            Ok(delivery) => deliveries.push((value, delivery)),
            Err(error) => note(&history, value, Err(error)),
        }
    }
    for (value, delivery) in deliveries {
        let outcome = delivery.await.map(|it| (it.partition, it.offset));
        note(&history, value, outcome);
    }
}

fn note(history: &Mutex<History>, value: String, outcome: Result<(i32, Option<i64>), Error>) {
    let outcome = match outcome {
        Ok((partition, offset)) => Outcome::Acknowledged(partition, offset),
        Err(error) => Outcome::Failed(error.maybe_written()),
    };
    history.lock().expect("no play panics with this lock").sent.insert(value, outcome);
}

/// Everything that is in the log, partition by partition.
pub async fn read_all(client: &Client, partitions: i32) -> Result<Vec<Stored>, Error> {
    let all = || (0..partitions).map(|it| TopicPartition::new(TOPIC, it));
    let ends = client.admin().offsets(all().map(|it| (it, Offset::Latest))).await?;
    let mut consumer = client.consumer().assign(all().map(|it| (it, Offset::Earliest))).await?;
    consumer.stop_at(ends.clone());
    let mut stored: BTreeMap<i32, Vec<Stored>> = BTreeMap::new();
    while let Some(batch) = consumer.next().await? {
        let partition = batch.partition();
        for record in &batch {
            let value = String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned();
            stored.entry(partition).or_default().push(Stored { partition, offset: record.offset(), value });
        }
    }
    Ok(stored.into_values().flatten().collect())
}

/// A member of the group that reads and commits until it is stopped. What goes wrong with it is tried again.
pub async fn consume(client: Client, history: Arc<Mutex<History>>) {
    loop {
        // Either everything goes on in a moment, or a play that does not end says so.
        let Err(_) = consume_once(&client, &history).await else { return };
        sleep(Duration::from_millis(100)).await;
    }
}

async fn consume_once(client: &Client, history: &Mutex<History>) -> Result<(), Error> {
    let member = client.consumer().group(GROUP).start(StartOffset::Earliest);
    let member = member.session_timeout(Duration::from_secs(10)).rebalance_timeout(Duration::from_secs(20));
    let mut consumer = member.heartbeat_interval(Duration::from_secs(1)).subscribe([TOPIC]).await?;
    while let Some(batch) = consumer.next().await? {
        handle(history, &batch);
        // A commit that fails leaves the records to whoever has the partition next.
        let _ = consumer.commit(&batch).await;
    }
    Ok(())
}

fn handle(history: &Mutex<History>, batch: &RecordBatch) {
    let mut history = history.lock().expect("no play panics with this lock");
    for record in batch {
        history.handled.push(String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned());
    }
}

/// Looks again and again at what the group has committed, until it is stopped.
pub async fn watch_commits(client: Client, history: Arc<Mutex<History>>) {
    loop {
        sleep(Duration::from_millis(50)).await;
        let Ok(committed) = client.admin().committed_offsets(GROUP).await else { continue };
        let mut history = history.lock().expect("no play panics with this lock");
        for (it, committed) in committed {
            history.committed.push(Committed { partition: it.partition, offset: committed.offset });
        }
    }
}
