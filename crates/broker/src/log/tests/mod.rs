//! The log as its users see it, on disks that fail.

mod cleaning;
mod compacting;
mod crash;
mod cuts;
mod damage;
mod ledger;
mod limits;
mod moves;
mod reading;
mod real;
mod script;
mod states;
mod trimming;

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::task::JoinHandle;
use vltava_core::{
    Clock, Moment, Rng, Timestamp, TopicPartition,
    cluster::{Leader, NodeId},
};
use vltava_wire::{
    Compression, Uuid,
    record::{BatchBuilder, RecordSlices, Stamp, batches},
};

use super::{Appended, Log, Options, PartitionId, Position};
use crate::{
    Result, SystemClock,
    disk::{Disk, Memory},
    ledger::offsets::Commit,
    topic_rules::configs::Given,
};

/// Sizes that let everything happen within a few dozen batches.
fn small() -> Options {
    Options {
        journal_file_bytes: 4096,
        checkpoint_bytes: 6 * 1024,
        segment_bytes: 1500,
        move_bytes: 700,
        memory_bytes: 64 * 1024,
        retention_interval: Duration::from_secs(60),
        compaction_interval: Duration::from_secs(5),
        ..Options::default()
    }
}

/// The node that leads everything in these tests.
const FIRST: NodeId = NodeId(1);

/// The day on which all tests begin, in milliseconds.
const TODAY: i64 = 1_700_000_000_000;

/// A clock whose wall time begins today and passes as paused time does, or so many times as fast.
struct Calendar {
    paused: SystemClock,
    speed: i64,
}

impl Calendar {
    fn new(speed: i64) -> Self {
        Self { paused: SystemClock::new(), speed }
    }
}

impl Clock for Calendar {
    fn now(&self) -> Moment {
        self.paused.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(TODAY + self.paused.now().0 as i64 / 1000 * self.speed)
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.paused.sleep_until(at)
    }
}

/// A log with its keeper at work.
struct Broker {
    log: Log,
    keeper: JoinHandle<Result<()>>,
}

impl Broker {
    async fn open(disk: impl Disk, options: Options) -> Result<Self> {
        Self::open_by(Calendar::new(1), disk, options).await
    }

    async fn open_by(clock: Calendar, disk: impl Disk, options: Options) -> Result<Self> {
        let (log, keeper) = Log::open(Arc::new(disk), Arc::new(clock), Rng::new(1), options).await?;
        Ok(Self { log, keeper: tokio::spawn(keeper.run()) })
    }

    /// Ends without a word, as a killed process does; the disk is unlocked.
    async fn kill(self) {
        self.keeper.abort();
        drop(self.keeper.await);
    }

    async fn stop(self) {
        self.log.stop().await.expect("the disk is well");
        self.keeper.await.expect("the keeper does not panic").expect("the disk is well");
    }

    async fn topic(&self, name: &str, partitions: u16) -> PartitionId {
        let (topic, position) = self
            .log
            .create_topic(name, &vec![FIRST; partitions.into()], &Given::new())
            .expect("the topic is new");
        self.log.settled(position).await.expect("the disk is well");
        PartitionId { topic: topic.id, partition: 0 }
    }

    /// Gives a topic these configs in place of those it has.
    fn configure(&self, topic: Uuid, configs: &[(&str, &str)]) {
        let configured = self.log.configure_topic(topic, |_| Ok::<_, Infallible>(given(configs)));
        configured.expect("the topic is there").expect("the configs are good");
    }

    async fn append(&self, at: PartitionId, batch: &[u8]) -> Appended {
        let appended = self.log.append(at, FIRST, batch).expect("the batch is good");
        self.log.settled(appended.position).await.expect("the disk is well");
        appended
    }

    /// The values of all records, and that their offsets have no holes.
    fn values(&self, at: PartitionId) -> Vec<String> {
        let mut values = Vec::new();
        loop {
            let chunk = self.log.read(at, values.len() as i64, 300).expect("the offset is in range");
            if chunk.records.is_empty() {
                assert_eq!(values.len() as i64, chunk.bounds.high_watermark);
                return values;
            }
            values.extend(values_of(chunk.records, values.len() as i64));
        }
    }
}

fn values_of(records: Bytes, from: i64) -> Vec<String> {
    let mut next = from;
    let mut values = Vec::new();
    for batch in batches(records) {
        let batch = batch.expect("what is stored is a batch");
        batch.check_crc().expect("what is stored is as it was sent");
        let records = batch.decompress(Default::default()).expect("what is stored was checked");
        for record in records.iter().filter(|it| it.offset() >= from) {
            assert_eq!(record.offset(), next, "offsets have no holes");
            next += 1;
            values.push(
                String::from_utf8(record.value().expect("there is a value").to_vec()).expect("it is text"),
            );
        }
    }
    values
}

/// A batch of these values, timestamps from `timestamp` on.
fn batch_at<T: AsRef<str>>(values: &[T], timestamp: i64, stamp: Stamp) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (index, value) in values.iter().enumerate() {
        let record = RecordSlices::new(timestamp + index as i64, None, Some(value.as_ref().as_bytes()));
        builder.append(record).expect("the record is small");
    }
    builder.finish(stamp, Compression::None).expect("the batch is small")
}

fn batch<T: AsRef<str>>(values: &[T]) -> Bytes {
    batch_at(values, 0, Stamp::NONE)
}

fn given(configs: &[(&str, &str)]) -> Given {
    configs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

fn stamp(producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Stamp {
    Stamp { producer_id, producer_epoch, base_sequence, transactional: false }
}

fn commit(offset: i64) -> Commit {
    let metadata = format!("at {offset}");
    Commit { offset, leader_epoch: 0, metadata, timestamp: vltava_core::Timestamp(1000 + offset) }
}

/// Lets time pass, by the paused clock.
async fn pass(time: Duration) {
    let clock = SystemClock::new();
    clock.sleep_until(clock.now() + time).await;
}

fn files_of(disk: &Memory, with: &str) -> Vec<String> {
    let all = disk.list().expect("memory can be listed");
    all.into_iter().map(|(name, _)| name).filter(|name| name.contains(with)).collect()
}

fn orders(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}
