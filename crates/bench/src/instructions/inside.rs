//! Work of client and broker that is counted: both on one thread, over a pipe. What is prepared before is not counted.

use std::{hint::black_box, io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::{Builder, Runtime},
};
use vltava_broker::{Broker, Connector, SystemClock};
use vltava_client::{
    Address, AssignedConsumer, BoxFuture, Client, Dial, Offset, Producer, ProducerRecord, Stream,
    TopicPartition,
};
use vltava_wire::{
    Request, frame,
    messages::{FetchRequest, ProduceRequest, fetch, produce},
};

use super::work::{Work, batch};

const TOPIC: &str = "counted";
const RECORDS: usize = 1_000;
const REQUESTS: usize = 10;

const PRODUCE_VERSION: i16 = 9;
const FETCH_VERSION: i16 = 12;

/// Enough for all that was sent to be where it goes to.
const SETTLED: Duration = Duration::from_millis(200);

struct Pipes(Connector);

impl Dial for Pipes {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let pipe = self.0.connect_to(&address.host, address.port);
        Box::pin(async move { Ok(Box::new(pipe?) as Box<dyn Stream>) })
    }
}

/// A broker, and one thread for it and for its client.
struct Stage {
    runtime: Runtime,
    broker: Broker,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let broker = Broker::in_memory().seed(1).topic(TOPIC, 1).start();
        let broker = runtime.block_on(broker).expect("a broker in memory starts");
        Self { runtime, broker }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    async fn client(&self) -> Client {
        let dial = Arc::new(Pipes(self.broker.connector()));
        // Not the client's own: under valgrind, rustix does not find where the kernel has it.
        let clock = Arc::new(SystemClock::new());
        let client =
            Client::builder().brokers(self.broker.bootstrap()).dial(dial).clock(clock).seed(2).connect();
        client.await.expect("the broker answers")
    }
}

/// Puts records into the open batch of a partition; none of them leaves.
pub(super) fn send() -> Work {
    let stage = Stage::new();
    let topic: Arc<str> = TOPIC.into();
    let (key, value) = (Bytes::from_static(b"the key!"), Bytes::from(vec![b'v'; 100]));
    let producer: Producer = stage.run(async {
        let client = stage.client().await;
        let builder = Producer::builder(&client).linger(Duration::from_secs(3_600));
        let producer = builder.batch_bytes(8 << 20).build().expect("the settings are sound");
        let first = ProducerRecord::to(topic.clone()).value(value.clone());
        drop(producer.send(first).await.expect("there is room"));
        producer
    });
    Box::new(move || {
        stage.run(async {
            for _ in 0..RECORDS {
                let record = ProducerRecord::to(topic.clone()).key(key.clone()).value(value.clone());
                drop(black_box(producer.send(record).await.expect("there is room")));
            }
        });
    })
}

/// Hands out batches that are there, and reads their records.
pub(super) fn next_batch() -> Work {
    let stage = Stage::new();
    let mut pipe = stage.run(async { stage.broker.connect() });
    let append = appending();
    stage.run(async {
        // Once for the work that warms up, once for the work that is watched, and once for what is asked for ahead.
        for _ in 0..3 * REQUESTS {
            asked(&mut pipe, &append).await;
        }
    });
    let mut consumer: AssignedConsumer = stage.run(async {
        let all = [(TopicPartition::new(TOPIC, 0), Offset::Earliest)];
        let consumer = stage.client().await.consumer().assign(all).await.expect("an assignment");
        tokio::time::sleep(SETTLED).await;
        consumer
    });
    Box::new(move || {
        stage.run(async {
            for _ in 0..REQUESTS {
                let batch = consumer.next().await.expect("no error").expect("not the end");
                for record in &batch {
                    black_box((record.offset(), record.timestamp(), record.key(), record.value()));
                }
            }
        });
    })
}

/// Has the broker append what producers sent, and answer.
pub(super) fn append() -> Work {
    over_a_pipe(appending(), 0)
}

/// Has the broker answer fetches of what was appended.
pub(super) fn fetch() -> Work {
    let partition =
        fetch::FetchPartition { partition: 0, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = fetch::FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_bytes: 1 << 20, topics: vec![topic], ..Default::default() };
    over_a_pipe(framed(FETCH_VERSION, &request), REQUESTS)
}

/// Asks the same again and again, when so many batches have been appended.
fn over_a_pipe(request: Bytes, appended: usize) -> Work {
    let stage = Stage::new();
    let mut pipe = stage.run(async {
        let mut pipe = stage.broker.connect();
        for _ in 0..appended {
            asked(&mut pipe, &appending()).await;
        }
        pipe
    });
    Box::new(move || {
        stage.run(async {
            for _ in 0..REQUESTS {
                asked(&mut pipe, &request).await;
            }
        });
    })
}

/// A request that has a batch appended.
fn appending() -> Bytes {
    let partition = produce::PartitionProduceData { index: 0, records: Some(batch()) };
    let topic_data = vec![produce::TopicProduceData {
        name: TOPIC.into(),
        partition_data: vec![partition],
        ..Default::default()
    }];
    framed(
        PRODUCE_VERSION,
        &ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data, ..Default::default() },
    )
}

fn framed<R: Request>(version: i16, request: &R) -> Bytes {
    frame::request(version, 1, Some("counted"), request).expect("the version has all of it").into_bytes()
}

async fn asked(pipe: &mut DuplexStream, request: &[u8]) {
    pipe.write_all(request).await.expect("the broker reads");
    let length = pipe.read_u32().await.expect("the broker answers") as usize;
    let mut answer = vec![0; length];
    pipe.read_exact(&mut answer).await.expect("the answer is whole");
    black_box(answer);
}
