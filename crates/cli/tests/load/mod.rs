//! Load on a broker that may go away at any time: producers at once on several topics, what each was told, and what
//! of that is there.

#![allow(dead_code, unreachable_pub, reason = "every test file uses another part of it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use vltava::{
    Client, Offset, Producer, ProducerRecord, TopicPartition,
    client::{Delivery, NewTopic},
};

const PRODUCERS: u64 = 3;
/// Few enough that a topic that is compacted has much to lose.
const KEYS: u64 = 97;
/// So many records of a producer are under way at most.
const UNDER_WAY_MAX: usize = 2_000;

/// A topic that is written to.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    pub name: &'static str,
    pub partitions: i32,
    pub configs: &'static [(&'static str, &'static str)],
    pub value_bytes: usize,
}

/// Which record it is: no two are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    pub producer: u64,
    pub number: u64,
}

/// Where records lie: the place of their topic in the list, their partition, their offset.
pub type Place = (usize, i32, i64);

/// What the broker acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    pub records: BTreeMap<Place, Number>,
    /// When, in the same order.
    pub when: BTreeMap<Place, Instant>,
}

/// The producers, which go on until they are told to end.
pub struct Load {
    topics: &'static [Topic],
    stop: watch::Sender<bool>,
    count: watch::Receiver<usize>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    tasks: Vec<JoinHandle<()>>,
}

pub async fn create(client: &Client, topics: &[Topic]) {
    for it in topics {
        let mut topic = NewTopic::new(it.name).partitions(it.partitions);
        topic.configs = it.configs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        client.admin().create_topic(topic).await.expect("the broker takes topics");
    }
}

impl Load {
    pub fn begin(client: &Client, topics: &'static [Topic]) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (counter, count) = watch::channel(0);
        let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
        let mut tasks = Vec::new();
        for producer in 0..PRODUCERS {
            let (deliveries, delivered) = mpsc::channel(UNDER_WAY_MAX);
            tasks.push(tokio::spawn(send(client.producer(), producer, topics, stopped.clone(), deliveries)));
            tasks.push(tokio::spawn(note(delivered, acknowledged.clone(), counter.clone())));
        }
        Self { topics, stop, count, acknowledged, tasks }
    }

    /// Waits until so many more were acknowledged.
    pub async fn acknowledged_more(&self, more: u64) {
        let mut count = self.count.clone();
        let until = *count.borrow() + more as usize;
        count.wait_for(|it| *it >= until).await.expect("acknowledgements go on");
    }

    /// What was acknowledged so far.
    pub fn acknowledged(&self) -> Acknowledged {
        self.acknowledged.lock().expect("nobody panics with it").clone()
    }

    /// The offset after the last that was acknowledged, by partition.
    pub fn ends(&self) -> BTreeMap<TopicPartition, i64> {
        let mut ends = BTreeMap::new();
        let acknowledged = self.acknowledged.lock().expect("nobody panics with it");
        for (topic, partition, offset) in acknowledged.records.keys() {
            ends.insert(TopicPartition::new(self.topics[*topic].name, *partition), offset + 1);
        }
        ends
    }

    /// Has the producers finish what they have, all of which is acknowledged in the end.
    pub async fn end(self) -> Acknowledged {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("every record was acknowledged");
        }
        std::mem::take(&mut *self.acknowledged.lock().expect("nobody panics with it"))
    }

    /// Gives up, whatever is under way.
    pub fn abort(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn send(
    producer: Producer,
    id: u64,
    topics: &[Topic],
    stopped: watch::Receiver<bool>,
    deliveries: mpsc::Sender<(usize, Number, Delivery)>,
) {
    for number in 0.. {
        if *stopped.borrow() {
            return;
        }
        let index = (number % topics.len() as u64) as usize;
        let Topic { name, value_bytes, .. } = topics[index];
        let value = format!("{id} {number} {:value_bytes$}", "");
        let record = ProducerRecord::to(name).key(format!("{}", number % KEYS)).value(value);
        let delivery = producer.send(record).await.expect("the producer takes records");
        if deliveries.send((index, Number { producer: id, number }, delivery)).await.is_err() {
            return;
        }
    }
}

async fn note(
    mut delivered: mpsc::Receiver<(usize, Number, Delivery)>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    counter: watch::Sender<usize>,
) {
    while let Some((topic, number, delivery)) = delivered.recv().await {
        let stored = delivery.await.unwrap_or_else(|error| panic!("{number:?}: {error:?}"));
        let place = (topic, stored.partition, stored.offset.expect("the broker says where a record lies"));
        let mut acknowledged = acknowledged.lock().expect("nobody panics with it");
        let earlier = acknowledged.records.insert(place, number);
        assert_eq!(earlier, None, "two records at {stored}");
        acknowledged.when.insert(place, Instant::now());
        counter.send_modify(|it| *it += 1);
    }
}

/// All records that there are now, read from the beginning.
pub async fn stored(client: &Client, topics: &[Topic]) -> BTreeMap<Place, Number> {
    let mut stored = BTreeMap::new();
    for (index, topic) in topics.iter().enumerate() {
        let partitions = || (0..topic.partitions).map(|it| TopicPartition::new(topic.name, it));
        let ends = client.admin().offsets(partitions().map(|it| (it, Offset::Latest))).await;
        let ends = ends.expect("the broker answers");
        let everything = partitions().map(|it| (it, Offset::Earliest));
        let mut consumer = client.consumer().assign(everything).await.expect("the topic is there");
        consumer.stop_at(ends);
        while let Some(batch) = consumer.next().await.expect("the broker answers") {
            for record in &batch {
                let place = (index, batch.partition(), record.offset());
                let earlier = stored.insert(place, number_of(record.value().expect("a value")));
                assert_eq!(earlier, None, "{place:?} is read once");
            }
        }
    }
    stored
}

pub fn number_of(value: &[u8]) -> Number {
    let text = std::str::from_utf8(value).expect("values are text");
    let mut words = text.split(' ').map(|it| it.parse().expect("a number"));
    Number { producer: words.next().expect("a producer"), number: words.next().expect("a number") }
}

/// In every partition, what a producer sent later lies later, and nothing lies there twice.
pub fn check_order(stored: &BTreeMap<Place, Number>) {
    let mut last = BTreeMap::new();
    for ((topic, partition, offset), it) in stored {
        let earlier = last.insert((topic, partition, it.producer), it.number);
        assert!(earlier < Some(it.number), "{it:?} is at {topic} {partition} {offset}, after {earlier:?}");
    }
    let distinct: BTreeSet<_> = stored.values().collect();
    assert_eq!(distinct.len(), stored.len(), "nothing is stored twice");
}

/// The last place of each key of a topic.
pub fn last_of_keys(
    records: &BTreeMap<Place, Number>,
    topic: usize,
) -> BTreeMap<(i32, u64), (Place, Number)> {
    let of_topic = records.iter().filter(|(place, _)| place.0 == topic);
    of_topic.map(|(place, it)| ((place.1, it.number % KEYS), (*place, *it))).collect()
}
