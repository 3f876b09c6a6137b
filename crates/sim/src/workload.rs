//! What clients do in a world, and what the world does to them.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use vltava_client::{Client, Error, Offset, TopicPartition, config};
use vltava_core::Rng;

use crate::{
    history::{Draft, Member, Partition, Producer, Record, Recorder, What},
    world::{TOPIC, World},
};

/// The group of every workload.
pub const GROUP: &str = "audit";

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

/// Sends so many records, most of them with keys, and waits until all have an outcome. `patience` is how long a record
/// may take until it is given up.
pub async fn produce(
    recorder: Recorder,
    client: Client,
    (name, count): (String, u32),
    patience: Duration,
    mut rng: Rng,
) {
    let config = config::Producer { delivery_timeout: patience, ..config::Producer::default() };
    let mut producer = Producer::new(&recorder, name, &client, config).expect("it can be so");
    for _ in 0..count {
        sleep(Duration::from_micros(rng.below(20_000))).await;
        let draft = Draft::to(TOPIC);
        let draft = if rng.chance(70) { draft.key(format!("key {}", rng.below(10))) } else { draft };
        // What came of it is in the history.
        let _ = producer.send(draft).await;
    }
    producer.flush().await;
}

/// Writes down everything that is in the log, partition by partition; says how many records that is.
pub async fn read_all(recorder: &Recorder, client: &Client, partitions: i32) -> Result<usize, Error> {
    let mut count = 0;
    for number in 0..partitions {
        let partition = TopicPartition::new(TOPIC, number);
        let start = end_of(client, &partition, Offset::Earliest).await?;
        let end = end_of(client, &partition, Offset::Latest).await?;
        let mut consumer = client.consumer().assign([(partition.clone(), Offset::Earliest)]).await?;
        consumer.stop_at([(partition.clone(), end)]);
        let mut records = Vec::new();
        while let Some(batch) = consumer.next().await? {
            records.extend(batch.iter().map(|it| Record::of(&it)));
        }
        count += records.len();
        recorder.note(What::Log { partition: Partition::from(&partition), start, end, records });
    }
    Ok(count)
}

async fn end_of(client: &Client, partition: &TopicPartition, which: Offset) -> Result<i64, Error> {
    let found = client.admin().offsets([(partition.clone(), which)]).await?;
    Ok(found.get(partition).copied().expect("it was asked for"))
}

/// A member of the group that reads and commits until it is stopped. What goes wrong with it is tried again, under
/// another name each time.
pub async fn consume(recorder: Recorder, client: Client, name: String) {
    for number in 0.. {
        let name = format!("{name}.{number}");
        // Either everything goes on in a moment, or a play that does not end says so.
        let Err(_) = consume_once(&recorder, &client, name).await else { return };
        sleep(Duration::from_millis(100)).await;
    }
}

async fn consume_once(recorder: &Recorder, client: &Client, name: String) -> Result<(), Error> {
    let config = config::Consumer {
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(20),
        heartbeat_interval: Duration::from_secs(1),
        ..config::Consumer::default()
    };
    let mut member = Member::subscribe(recorder, name, client, config, (GROUP, &[TOPIC])).await?;
    while let Some(batch) = member.next().await? {
        // A commit that fails leaves the records to whoever has the partition next.
        let _ = member.commit(&batch).await;
    }
    Ok(())
}

/// Looks again and again at what the group has committed, until it is stopped.
pub async fn watch_commits(recorder: Recorder, client: Client) {
    loop {
        sleep(Duration::from_millis(50)).await;
        let asked = recorder.now().0;
        let Ok(committed) = client.admin().committed_offsets(GROUP).await else { continue };
        for (it, committed) in committed {
            let (group, partition) = (GROUP.to_owned(), Partition::from(&it));
            recorder.note(What::Committed { group, partition, offset: committed.offset, asked });
        }
    }
}
