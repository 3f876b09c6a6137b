//! Our client, set up as it is by default.

mod prompt;

use std::{collections::VecDeque, error::Error, sync::Arc};

use tokio::runtime::{Builder, Runtime};
use vltava_client::{
    AssignedConsumer, Client, Consumer, ConsumerRecord, Deliveries, DeliveryEvent, DeliveryEvents, Offset,
    Producer, ProducerRecord, Record, RecordBatch, StartOffset, TopicPartition,
};

use super::{Meter, Outcome, Seen, Task, Work, outgoing::Outgoing};

/// Records that are sent at once where many are, and how many such lots may be unanswered.
const TOGETHER: u64 = 1_000;
const LOTS_MAX: usize = 100;

pub(super) fn run(task: &Task) -> Outcome {
    let (door, threads) = match task.variant.split_once('-') {
        Some((door, "one")) => (door, Threads::One),
        _ => (task.variant.as_str(), Threads::Many),
    };
    runtime(threads)?.block_on(async {
        let client = Client::connect(&task.bootstrap).await?;
        match (task.work, door) {
            (Work::Produce, "many") => produce_many(&client, task).await,
            (Work::Produce, "send") => produce(&client, task).await,
            (Work::Consume, _) => consume(&client, task, door).await,
            (Work::Ack, "send") => prompt::ack(&client, task).await,
            (Work::Through, "borrowed") => prompt::through(&client, task).await,
            _ => Err(task.no_variant()),
        }
    })
}

enum Threads {
    /// As `#[tokio::main]` has it.
    Many,
    /// Everything on this thread.
    One,
}

fn runtime(threads: Threads) -> Result<Runtime, std::io::Error> {
    let mut builder = match threads {
        Threads::Many => Builder::new_multi_thread(),
        Threads::One => Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

/// What assigned consumers and members have in common.
trait Reads {
    async fn next(&mut self) -> vltava_client::Result<Option<RecordBatch>>;
    async fn recv(&mut self) -> vltava_client::Result<Option<ConsumerRecord>>;
}

impl Reads for AssignedConsumer {
    async fn next(&mut self) -> vltava_client::Result<Option<RecordBatch>> {
        self.next().await
    }

    async fn recv(&mut self) -> vltava_client::Result<Option<ConsumerRecord>> {
        self.recv().await
    }
}

impl Reads for Consumer {
    async fn next(&mut self) -> vltava_client::Result<Option<RecordBatch>> {
        self.next().await
    }

    async fn recv(&mut self) -> vltava_client::Result<Option<ConsumerRecord>> {
        self.recv().await
    }
}

async fn consume(client: &Client, task: &Task, door: &str) -> Outcome {
    let builder = client.consumer().start(StartOffset::Earliest);
    if let Some(group) = &task.group {
        return read(builder.group(group).subscribe([task.topic.as_str()]).await?, task, door).await;
    }
    let all = (0..task.partitions as i32)
        .map(|it| (TopicPartition::new(task.topic.as_str(), it), Offset::Earliest));
    read(builder.assign(all).await?, task, door).await
}

async fn read(consumer: impl Reads, task: &Task, door: &str) -> Outcome {
    match door {
        "borrowed" => borrowed(consumer, task).await,
        "owned" => owned(consumer, task).await,
        "recv" => received(consumer, task).await,
        _ => Err(task.no_variant()),
    }
}

async fn borrowed(mut consumer: impl Reads, task: &Task) -> Outcome {
    let (mut meter, mut seen) = (Meter::new(task.records), Seen::default());
    while seen.records < task.records {
        let batch = consumer.next().await?.ok_or("the consumer came to an end")?;
        for record in &batch {
            seen.add(record.offset(), record.key(), record.value());
        }
        meter.on(seen.records);
    }
    Ok(meter.report(VERSION, seen))
}

async fn owned(mut consumer: impl Reads, task: &Task) -> Outcome {
    let (mut meter, mut seen) = (Meter::new(task.records), Seen::default());
    let mut gathered: Vec<Record> = Vec::new();
    while seen.records < task.records {
        let batch = consumer.next().await?.ok_or("the consumer came to an end")?;
        gathered.extend(batch.records());
        for record in gathered.drain(..) {
            seen.add(record.offset(), record.key(), record.value());
        }
        meter.on(seen.records);
    }
    Ok(meter.report(VERSION, seen))
}

async fn received(mut consumer: impl Reads, task: &Task) -> Outcome {
    let (mut meter, mut seen) = (Meter::new(task.records), Seen::default());
    while seen.records < task.records {
        let record = consumer.recv().await?.ok_or("the consumer came to an end")?;
        seen.add(record.offset(), record.key(), record.value());
        meter.on(seen.records);
    }
    Ok(meter.report(VERSION, seen))
}

const VERSION: &str = concat!("vltava ", env!("CARGO_PKG_VERSION"));

/// A record that can be sent.
#[inline]
fn record(topic: &Arc<str>, outgoing: &Outgoing, at: u64) -> ProducerRecord {
    let (key, value) = outgoing.record(at as usize);
    let record = ProducerRecord::to(topic.clone()).value(value);
    match key {
        Some(key) => record.key(key),
        None => record,
    }
}

fn producer(client: &Client, task: &Task) -> Result<Producer, Box<dyn Error>> {
    Ok(Producer::builder(client).compression(task.codec).build()?)
}

/// One by one; what became of them is heard of by events.
async fn produce(client: &Client, task: &Task) -> Outcome {
    let producer = producer(client, task)?;
    let acknowledged = tokio::spawn(acknowledged(producer.events(), task.records));
    let mut meter = Meter::new(task.records);
    let (topic, outgoing) = (task.topic.as_str().into(), Outgoing::new(task));
    for at in 0..task.records {
        meter.on(at);
        // What became of it is heard of by events.
        drop(producer.send(record(&topic, &outgoing, at)).await?);
    }
    producer.flush().await;
    let records = acknowledged.await??;
    Ok(meter.report(VERSION, Seen { records, ..Default::default() }))
}

async fn acknowledged(mut events: DeliveryEvents, wanted: u64) -> Result<u64, String> {
    let mut records = 0;
    while records < wanted {
        match events.next().await {
            Some(DeliveryEvent::Delivered { records: more, .. }) => records += u64::from(more),
            other => return Err(format!("after {records} records: {other:?}")),
        }
    }
    Ok(records)
}

/// In lots, each of which is waited for.
async fn produce_many(client: &Client, task: &Task) -> Outcome {
    let producer = producer(client, task)?;
    let mut meter = Meter::new(task.records);
    let (topic, outgoing) = (task.topic.as_str().into(), Outgoing::new(task));
    let (mut sent, mut records) = (0, 0);
    let mut lots: VecDeque<Deliveries> = VecDeque::new();
    while sent < task.records {
        meter.on(sent);
        let end = task.records.min(sent + TOGETHER);
        lots.push_back(producer.send_many((sent..end).map(|at| record(&topic, &outgoing, at))).await);
        sent = end;
        if lots.len() > LOTS_MAX {
            records += delivered(lots.pop_front()).await?;
        }
    }
    while !lots.is_empty() {
        records += delivered(lots.pop_front()).await?;
    }
    Ok(meter.report(VERSION, Seen { records, ..Default::default() }))
}

async fn delivered(lot: Option<Deliveries>) -> vltava_client::Result<u64> {
    let lot = lot.unwrap_or_default();
    let count = lot.len() as u64;
    lot.all().await?;
    Ok(count)
}
