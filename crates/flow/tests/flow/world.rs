//! A broker in memory, clients that reach it over pipes, numbered records, and what handlers made of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use vltava_broker::{Broker, Connector};
use vltava_client::{
    Address, BoxFuture, Client, Commit, Dial, Event, NewTopic, PartitionStream, ProducerRecord, Stream,
    TopicPartition,
};
use vltava_core::Rng;
use vltava_flow::{Failure, Flow, Handler, Outcome, Record};

pub(crate) const TOPIC: &str = "trades";
pub(crate) const GROUP: &str = "stats";
pub(crate) const PARTITIONS: i32 = 4;

/// No test takes longer, by the paused clock.
const PATIENCE: Duration = Duration::from_secs(300);

/// A broker, and how many records it was given.
pub(crate) struct World {
    broker: Broker,
    seed: u64,
}

struct Pipes(Connector);

impl Dial for Pipes {
    fn dial(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let pipe = self.0.connect();
        Box::pin(async move { Ok(Box::new(pipe?) as Box<dyn Stream>) })
    }
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let builder = Broker::in_memory().topic(TOPIC, PARTITIONS).topic("out", 2).seed(seed);
        Self { broker: builder.start().await.expect("a broker in memory starts"), seed }
    }

    /// A client of its own, as another process would have it.
    pub(crate) async fn client(&mut self) -> Client {
        self.seed += 1;
        let dial = Arc::new(Pipes(self.broker.connector()));
        let client = Client::builder().brokers("broker:9092").seed(self.seed).dial(dial);
        client.connect().await.expect("the broker is there")
    }

    /// A flow over the topic, from another process.
    pub(crate) async fn flow(&mut self) -> Flow {
        Flow::from(TOPIC).client(self.client().await).group(GROUP)
    }

    /// Produces records `0..count`, each with one of so many keys; the value is the record's number.
    pub(crate) async fn produce(&mut self, count: usize, keys: usize) {
        let producer = self.client().await.producer();
        let mut deliveries = Vec::new();
        for number in 0..count {
            let record = ProducerRecord::to(TOPIC).key(format!("key-{}", number % keys));
            deliveries.push(producer.send(record.value(number.to_string())).await.expect("there is memory"));
        }
        for delivery in deliveries {
            delivery.await.expect("the broker takes it");
        }
    }

    /// Deletes the topic, and makes it again.
    pub(crate) async fn begin_anew(&mut self) {
        let admin = self.client().await.admin();
        admin.delete_topic(TOPIC).await.expect("it is there");
        admin.create_topic(NewTopic::new(TOPIC).partitions(PARTITIONS)).await.expect("it is not there");
    }

    /// Commits an offset of every partition, whether the log has it or not.
    pub(crate) async fn commit_everywhere(&mut self, offset: i64) {
        let consumer = self.client().await.consumer().group(GROUP).subscribe([TOPIC]).await;
        let (mut events, committer) = consumer.expect("the group can be joined").split();
        let Ok(Some(Event::Assigned(streams))) = events.next().await else { panic!("partitions come first") };
        let commit = |stream: &PartitionStream| Commit {
            topic_partition: stream.topic_partition().clone(),
            assignment: stream.assignment(),
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        committer.commit(streams.iter().map(commit).collect()).await.expect("the broker takes it");
        committer.leave(PATIENCE).await.expect("the broker takes it");
    }

    /// What the group has committed, by partition.
    pub(crate) async fn committed(&mut self) -> BTreeMap<i32, i64> {
        let committed = self.client().await.admin().committed_offsets(GROUP).await.expect("the broker knows");
        committed.into_iter().map(|(partition, it)| (partition.partition, it.offset)).collect()
    }

    /// Where the topic's partitions end.
    pub(crate) async fn ends(&mut self) -> BTreeMap<i32, i64> {
        let partitions =
            (0..PARTITIONS).map(|it| (TopicPartition::new(TOPIC, it), vltava_client::Offset::Latest));
        let ends = self.client().await.admin().offsets(partitions).await.expect("the broker knows");
        ends.into_iter().map(|(partition, offset)| (partition.partition, offset)).collect()
    }

    /// Waits until something is so, as time goes by.
    pub(crate) async fn until(&mut self, what: &str, mut is_so: impl AsyncFnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !is_so(self).await {
            assert!(start.elapsed() < PATIENCE, "never came: {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Fails a test that hangs.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it ends")
}

/// What handlers saw, shared among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Diary>>);

#[derive(Debug, Default)]
struct Diary {
    done: Vec<(usize, i32, i64)>,
    at_work: BTreeSet<(i32, i64)>,
    keys_at_work: BTreeMap<Vec<u8>, i64>,
    most_at_work: usize,
    out_of_order: Vec<String>,
}

/// A record is being handled; dropped when it is not.
pub(crate) struct AtWork {
    seen: Seen,
    record: Record,
}

impl Seen {
    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.0.lock().expect("no test panics while it holds this")
    }

    pub(crate) fn begin(&self, record: Record) -> AtWork {
        let mut diary = self.diary();
        let key = record.key().unwrap_or_default().to_vec();
        let offset = record.offset();
        if diary.keys_at_work.insert(key, offset).is_some() {
            diary.out_of_order.push(format!("{}: another of its key is at work", record.name()));
        }
        diary.at_work.insert((record.partition(), offset));
        diary.most_at_work = diary.most_at_work.max(diary.at_work.len());
        AtWork { seen: self.clone(), record }
    }

    /// Every record whose handling ended, in that order: its number, and where it was.
    pub(crate) fn done(&self) -> Vec<(usize, i32, i64)> {
        self.diary().done.clone()
    }

    /// How many were at work at once, at most.
    pub(crate) fn most_at_work(&self) -> usize {
        self.diary().most_at_work
    }

    /// Records of a key that began before an earlier one of that key had ended, or after a later one.
    pub(crate) fn out_of_order(&self) -> Vec<String> {
        self.diary().out_of_order.clone()
    }

    /// Each record's number, without repeats.
    pub(crate) fn numbers(&self) -> BTreeSet<usize> {
        self.diary().done.iter().map(|it| it.0).collect()
    }

    /// How many were done more than once.
    pub(crate) fn repeats(&self) -> usize {
        let diary = self.diary();
        diary.done.len() - diary.done.iter().collect::<BTreeSet<_>>().len()
    }

    /// Another process begins: what came before is no measure for its order.
    pub(crate) fn restart(&self) {
        let mut diary = self.diary();
        diary.keys_at_work.clear();
        diary.at_work.clear();
    }
}

/// A handler that takes a while, which chance decides.
pub(crate) struct Working {
    seen: Seen,
    rng: Mutex<Rng>,
    /// The last offset of each key that began under this assignment.
    latest: Mutex<BTreeMap<Vec<u8>, i64>>,
}

impl Working {
    pub(crate) fn new(seen: &Seen, seed: u64) -> Self {
        Self { seen: seen.clone(), rng: Mutex::new(Rng::new(seed)), latest: Mutex::default() }
    }

    fn in_order(&self, record: &Record) {
        let key = record.key().unwrap_or_default().to_vec();
        let earlier =
            self.latest.lock().expect("no test panics while it holds this").insert(key, record.offset());
        if earlier.is_some_and(|earlier| record.offset() <= earlier) {
            self.seen.diary().out_of_order.push(format!("{}: a later one began before", record.name()));
        }
    }
}

impl Handler for Working {
    async fn handle(&self, _: vltava_flow::Context, record: Record) -> Result<Outcome, Failure> {
        self.in_order(&record);
        let at_work = self.seen.begin(record);
        let millis = self.rng.lock().expect("no test panics while it holds this").below(8);
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
        at_work.end();
        Ok(Outcome::Done)
    }

    /// What was not committed comes again.
    async fn assigned(&self, _: &[TopicPartition]) {
        self.latest.lock().expect("no test panics while it holds this").clear();
    }
}

/// Those among `done` that the group had committed.
pub(crate) fn needless(done: &[(usize, i32, i64)], committed: &BTreeMap<i32, i64>) -> Vec<(usize, i32, i64)> {
    let was_committed = |it: &&(usize, i32, i64)| it.2 < committed.get(&it.1).copied().unwrap_or(0);
    done.iter().filter(was_committed).copied().collect()
}

impl AtWork {
    pub(crate) fn end(self) {
        let number = self.record.value_str().expect("a number").parse().expect("a number");
        self.seen.diary().done.push((number, self.record.partition(), self.record.offset()));
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut diary = self.seen.diary();
        diary.at_work.remove(&(self.record.partition(), self.record.offset()));
        diary.keys_at_work.remove(self.record.key().unwrap_or_default());
    }
}
