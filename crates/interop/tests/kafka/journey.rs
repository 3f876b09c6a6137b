//! Our client on three nodes, of which one is killed and comes back while records are on their way.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::{JoinHandle, block_in_place},
};
use vltava_client::{
    Client, Consumer, ErrorKind, NewTopic, Offset, Producer, ProducerRecord, RecordBatch, StartOffset,
    TopicPartition,
};

use vltava_interop::Cluster;

const TOPIC: &str = "journeys";
const GROUP: &str = "travellers";
const PARTITIONS: i32 = 6;
const KEYS: u32 = 200;

/// Records of each of four parts: before the kill, while a node is away, while it comes back, when all is well.
const PART: u32 = 10_000;

/// A loaded machine with three Java processes may take this long for an election and a rebalance.
const PATIENCE: Duration = Duration::from_secs(180);

/// Partition and offset of each number that was seen.
type Seen = BTreeMap<(i32, i64), u32>;

#[tokio::test(flavor = "multi_thread")]
async fn a_group_reads_what_was_acknowledged_though_a_node_is_killed_and_restarted() {
    let cluster = Cluster::up(3);
    let client = Client::connect(&cluster.brokers).await.expect("the cluster answers");
    let topic = NewTopic::new(TOPIC).partitions(PARTITIONS).replication_factor(3);
    client.admin().create_topic(topic).await.expect("the topic is new");
    let producer = Producer::builder(&client).delivery_timeout(PATIENCE).build().expect("it is set up well");
    let seen = Arc::new(watch::Sender::new(Seen::new()));

    let one = Reader::start(&client, &seen).await;
    let mut stored = produce(producer.clone(), 0..PART).await;
    let two = Reader::start(&client, &seen).await;
    let away = tokio::spawn(produce(producer.clone(), PART..2 * PART));
    block_in_place(|| cluster.node(2).kill());
    stored.extend(away.await.expect("every record is delivered"));
    let back = tokio::spawn(produce(producer.clone(), 2 * PART..3 * PART));
    block_in_place(|| cluster.node(2).start());
    stored.extend(back.await.expect("every record is delivered"));
    // One member may have read all of that before the other was let in.
    tokio::time::timeout(PATIENCE, shared(&client)).await.expect("both members get partitions");
    stored.extend(produce(producer, 3 * PART..4 * PART).await);

    let all = |seen: &Seen| seen.len() >= stored.len();
    tokio::time::timeout(PATIENCE, seen.subscribe().wait_for(all))
        .await
        .expect("all is read in time")
        .expect("open");
    let shares = [one.stop().await, two.stop().await];
    assert!(shares.iter().all(|share| *share > 0), "both members had records: {shares:?}");
    let seen = seen.borrow().clone();
    check(&stored, &seen);
    check_commits(&client, &seen).await;
}

/// Asks until the group's two members have partitions each.
async fn shared(client: &Client) {
    loop {
        // While coordinators move there may be nobody to tell.
        let Ok(group) = client.admin().describe_group(GROUP).await else { continue };
        if group.members.len() == 2 && group.members.iter().all(|it| !it.partitions.is_empty()) {
            return;
        }
    }
}

/// Sends a record for each number, and returns where each was stored.
async fn produce(producer: Producer, numbers: Range<u32>) -> BTreeMap<u32, (i32, Option<i64>)> {
    let mut deliveries = Vec::new();
    for number in numbers {
        let record = ProducerRecord::to(TOPIC).key((number % KEYS).to_string()).value(number.to_string());
        deliveries.push((number, producer.send(record).await.expect("there is room")));
    }
    let mut stored = BTreeMap::new();
    for (number, delivery) in deliveries {
        let place =
            delivery.await.unwrap_or_else(|error| panic!("record {number} was not stored: {error:?}"));
        stored.insert(number, (place.partition, place.offset));
    }
    stored
}

/// A member of the group, on a task of its own.
struct Reader {
    stop: watch::Sender<bool>,
    task: JoinHandle<usize>,
}

impl Reader {
    async fn start(client: &Client, seen: &Arc<watch::Sender<Seen>>) -> Self {
        let consumer = client
            .consumer()
            .group(GROUP)
            .start(StartOffset::Earliest)
            .session_timeout(Duration::from_secs(10))
            .heartbeat_interval(Duration::from_millis(500))
            .subscribe([TOPIC])
            .await
            .expect("a topic can be subscribed to");
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(read(consumer, stopped, seen.clone())) }
    }

    /// Has it leave the group; returns how many records it had.
    async fn stop(self) -> usize {
        self.stop.send_replace(true);
        self.task.await.expect("a reader does not panic")
    }
}

async fn read(
    mut consumer: Consumer,
    mut stop: watch::Receiver<bool>,
    seen: Arc<watch::Sender<Seen>>,
) -> usize {
    let mut count = 0;
    loop {
        let batch = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            batch = consumer.next() => batch.expect("reading goes on").expect("the member stays"),
        };
        count += batch.len();
        seen.send_modify(|seen| note(seen, &batch));
        match consumer.commit(&batch).await {
            // The partition went to the other member, who reads the batch again.
            Err(error) if error.kind() == ErrorKind::Retired => (),
            committed => committed.expect("the commit is stored"),
        }
    }
    consumer.shutdown(PATIENCE).await.expect("the coordinator lets it go");
    count
}

fn note(seen: &mut Seen, batch: &RecordBatch) {
    for record in batch {
        let number = std::str::from_utf8(record.value().expect("it has a value")).expect("it is text");
        let number = number.parse().expect("it is a number");
        let before = seen.insert((batch.partition(), record.offset()), number);
        assert!(before.is_none_or(|before| before == number), "another record at offset {}", record.offset());
    }
}

/// Every record is there once, where the producer was told, and each key's in the order they were sent.
fn check(stored: &BTreeMap<u32, (i32, Option<i64>)>, seen: &Seen) {
    let numbers: BTreeSet<_> = seen.values().copied().collect();
    assert_eq!(numbers, (0..4 * PART).collect(), "every record is there");
    assert_eq!(seen.len(), numbers.len(), "none is there twice");
    for (number, (partition, offset)) in stored {
        let Some(offset) = offset else { continue };
        assert_eq!(seen.get(&(*partition, *offset)), Some(number), "partition {partition}, offset {offset}");
    }
    let mut last = BTreeMap::new();
    for ((partition, offset), number) in seen {
        let before = last.insert(number % KEYS, (*partition, *number));
        let in_order = before.is_none_or(|(home, before)| home == *partition && before < *number);
        assert!(in_order, "{number} at {partition}, {offset} came after {before:?}");
    }
}

async fn check_commits(client: &Client, seen: &Seen) {
    let admin = client.admin();
    let partitions = (0..PARTITIONS).map(|partition| TopicPartition::new(TOPIC, partition));
    let ends = admin.offsets(partitions.map(|it| (it, Offset::Latest))).await.expect("the cluster answers");
    let committed = admin.committed_offsets(GROUP).await.expect("the coordinator answers");
    let committed: BTreeMap<_, _> = committed.into_iter().map(|(at, it)| (at, it.offset)).collect();
    assert_eq!(committed, ends);
    assert_eq!(ends.values().sum::<i64>(), seen.len() as i64, "no offset is empty");
}
