//! Nothing is allocated for a record: ten times as many, in as many batches of about as many bytes, take no more
//! allocations, neither in the client nor in the broker, which runs on the same thread.

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use vltava_broker::{Broker, Connector};
use vltava_client::{
    Address, AssignedConsumer, BoxFuture, Client, Dial, Offset, ProducerRecord, Stream, TopicPartition,
};

const BATCHES: u64 = 64;
const BATCH_BYTES: u64 = 10_000;
const FEW: u64 = 10;
const MANY: u64 = 100;

/// What more there may be for a batch, whose memory grows by other steps when its records are other ones. One for each
/// record would be ninety.
const FOR_A_BATCH: u64 = 3;

/// The way to a broker in this process.
struct Pipes(Connector);

impl Dial for Pipes {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let pipe = self.0.connect_to(&address.host, address.port);
        Box::pin(async move { Ok(Box::new(pipe?) as Box<dyn Stream>) })
    }
}

/// A broker and a client on one thread.
struct Stage {
    runtime: Runtime,
    client: Client,
    _broker: Broker,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (broker, client) = runtime.block_on(async {
            let topics = Broker::in_memory().topic("warm-up", 1).topic("few", 1).topic("many", 1);
            let broker = topics.start().await.expect("a broker in memory starts");
            let dial = Arc::new(Pipes(broker.connector()));
            let client = Client::builder().brokers(broker.bootstrap()).dial(dial).connect();
            let client = client.await.expect("it answers");
            (broker, client)
        });
        Self { runtime, client, _broker: broker }
    }

    /// Writes batches of so many records; how many allocations that takes.
    fn write(&self, topic: &str, batch_records: u64) -> u64 {
        let topic: Arc<str> = topic.into();
        let (key, value) =
            (Bytes::from_static(b"the key"), vec![b'v'; (BATCH_BYTES / batch_records) as usize]);
        let value = Bytes::from(value);
        let _here = self.runtime.enter();
        let producer = self.client.producer();
        self.counted(async {
            for _ in 0..BATCHES {
                for _ in 0..batch_records {
                    let record = ProducerRecord::to(topic.clone()).key(key.clone()).value(value.clone());
                    drop(producer.send(record).await.expect("there is room"));
                }
                producer.flush().await;
            }
        })
    }

    /// Reads so many records of a topic; how many allocations that takes.
    fn read(&self, topic: &str, records: u64, read: impl AsyncFn(&mut AssignedConsumer) -> u64) -> u64 {
        self.counted(async {
            let all = [(TopicPartition::new(topic, 0), Offset::Earliest)];
            let mut consumer = self.client.consumer().assign(all).await.expect("an assignment");
            let mut seen = 0;
            while seen < records {
                seen += read(&mut consumer).await;
            }
            assert_eq!(seen, records);
        })
    }

    fn counted(&self, work: impl Future<Output = ()>) -> u64 {
        allocation_counter::measure(|| self.runtime.block_on(work)).count_total
    }
}

#[test]
fn sending_a_record_allocates_nothing() {
    let stage = Stage::new();
    stage.write("warm-up", FEW);
    let (few, many) = (stage.write("few", FEW), stage.write("many", MANY));
    assert!(many <= few + BATCHES * FOR_A_BATCH, "{many} allocations in place of {few}");
}

#[track_caller]
fn reading_allocates_nothing(read: impl AsyncFn(&mut AssignedConsumer) -> u64) {
    let stage = Stage::new();
    stage.write("few", FEW);
    stage.write("many", MANY);
    stage.read("few", BATCHES * FEW, &read);
    let few = stage.read("few", BATCHES * FEW, &read);
    let many = stage.read("many", BATCHES * MANY, &read);
    assert!(many <= few + BATCHES * FOR_A_BATCH, "{many} allocations in place of {few}");
}

#[test]
fn reading_a_record_where_it_lies_allocates_nothing() {
    reading_allocates_nothing(async |consumer| {
        let batch = consumer.next().await.expect("no error").expect("not the end");
        batch.iter().filter(|it| it.value().is_some()).count() as u64
    });
}

#[test]
fn owning_a_record_allocates_nothing() {
    reading_allocates_nothing(async |consumer| {
        let batch = consumer.next().await.expect("no error").expect("not the end");
        batch.records().filter(|it| it.value().is_some()).count() as u64
    });
}

#[test]
fn receiving_a_record_allocates_nothing() {
    reading_allocates_nothing(async |consumer| {
        let record = consumer.recv().await.expect("no error").expect("not the end");
        u64::from(record.value().is_some())
    });
}
