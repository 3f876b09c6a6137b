//! librdkafka creates topics, produces in every codec it was built with, consumes alone and in a group of two.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use crate::ground::{Ground, unique, until};

const STEP: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(30);

fn config(ground: &Ground) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &ground.brokers);
    config
}

fn admin(ground: &Ground) -> AdminClient<DefaultClientContext> {
    config(ground).create().expect("librdkafka starts")
}

pub(crate) fn create_topic(ground: &Ground, name: &str, partitions: i32) {
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let created = admin(ground).create_topics([&topic], &AdminOptions::new()).into_blocking(ground);
    assert_eq!(created, [Ok(name.to_owned())]);
}

/// Waits for one of librdkafka's futures.
trait IntoBlocking<T> {
    fn into_blocking(self, ground: &Ground) -> T;
}

impl<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>> IntoBlocking<T> for F {
    fn into_blocking(self, ground: &Ground) -> T {
        ground.runtime.block_on(self).expect("librdkafka gets an answer")
    }
}

/// Where each record was stored, as the broker acknowledged it.
#[derive(Default)]
struct Acknowledged(Mutex<BTreeMap<(i32, i64), String>>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Self::DeliveryOpaque) {
        let stored = result.as_ref().unwrap_or_else(|(error, _)| panic!("{value} was not stored: {error}"));
        let place = (stored.partition(), stored.offset());
        let before = self.0.lock().expect("no test panicked").insert(place, *value);
        assert_eq!(before, None, "two records at {place:?}");
    }
}

fn producer(ground: &Ground, codec: &str) -> BaseProducer<Acknowledged> {
    config(ground)
        .set("enable.idempotence", "true")
        .set("compression.type", codec)
        .set("linger.ms", "5")
        .create_with_context(Acknowledged::default())
        .expect("librdkafka starts")
}

/// Produces a record for each number and returns where they were stored.
pub(crate) fn produce(
    ground: &Ground,
    codec: &str,
    topic: &str,
    numbers: std::ops::Range<u32>,
) -> BTreeMap<(i32, i64), String> {
    let producer = producer(ground, codec);
    let count = numbers.len();
    for number in numbers {
        let (key, value) = (format!("key-{}", number % 97), format!("value-{number}"));
        let header = Header { key: "number", value: Some(&number.to_be_bytes()) };
        let record = BaseRecord::with_opaque_to(topic, Box::new(value.clone()))
            .key(&key)
            .payload(&value)
            .timestamp(1_700_000_000_000 + i64::from(number))
            .headers(OwnedHeaders::new().insert(header));
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{value} was not queued: {error}"));
        producer.poll(Duration::ZERO);
    }
    producer.flush(LIMIT).expect("all is acknowledged in time");
    let stored = std::mem::take(&mut *producer.context().0.lock().expect("no test panicked"));
    assert_eq!(stored.len(), count);
    stored
}

fn member(ground: &Ground, group: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = config(ground)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "500")
        .create()
        .expect("librdkafka starts");
    consumer.subscribe(&[topic]).expect("a topic can be subscribed to");
    consumer
}

/// Reads so many records of a topic, as the only member of a group.
pub(crate) fn read(ground: &Ground, topic: &str, count: usize) -> BTreeMap<(i32, i64), String> {
    let consumer = member(ground, &unique("readers"), topic);
    let mut seen = BTreeMap::new();
    until("every record", || {
        take(&consumer, &mut seen);
        seen.len() >= count
    });
    assert_eq!(ends(&consumer, topic, 3).iter().sum::<i64>(), count as i64, "no offset is empty");
    seen
}

fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    let assignment = consumer.assignment().expect("librdkafka knows its assignment");
    assignment.elements().iter().map(|element| element.partition()).collect()
}

/// Takes what comes within a step.
fn take(consumer: &BaseConsumer, into: &mut BTreeMap<(i32, i64), String>) {
    let Some(record) = consumer.poll(STEP) else { return };
    let record = record.expect("a record comes");
    let value = record.payload_view::<str>().expect("it has a value").expect("it is text");
    let number: u32 = value.trim_start_matches("value-").parse().expect("it ends with its number");
    assert_eq!(record.key(), Some(format!("key-{}", number % 97).as_bytes()));
    assert_eq!(record.timestamp().to_millis(), Some(1_700_000_000_000 + i64::from(number)));
    let header = record.headers().expect("it has headers").get(0);
    assert_eq!((header.key, header.value), ("number", Some(&number.to_be_bytes()[..])));
    into.insert((record.partition(), record.offset()), value.to_owned());
}

/// Each partition's log end, as the broker says.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Vec<i64> {
    let end = |partition| consumer.fetch_watermarks(topic, partition, LIMIT).expect("the broker answers").1;
    (0..partitions).map(end).collect()
}

/// Each partition's committed offset, as the broker says.
fn committed(consumer: &BaseConsumer, topic: &str, partitions: i32) -> Vec<i64> {
    let mut asked = TopicPartitionList::new();
    for partition in 0..partitions {
        asked.add_partition(topic, partition);
    }
    let committed = consumer.committed_offsets(asked, LIMIT).expect("the broker answers");
    let offset = |partition| match committed.find_partition(topic, partition).expect("it was asked").offset()
    {
        Offset::Offset(offset) => offset,
        other => panic!("partition {partition} has {other:?} committed"),
    };
    (0..partitions).map(offset).collect()
}

#[test]
fn every_codec_is_produced_and_consumed() {
    let ground = Ground::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = unique(codec);
        create_topic(&ground, &topic, 3);
        let stored = produce(&ground, codec, &topic, 0..3_000);
        assert_eq!(read(&ground, &topic, stored.len()), stored, "{codec}");
    }
}

#[test]
fn a_group_goes_on_where_it_committed() {
    let ground = Ground::new();
    let (topic, group) = (unique("resume"), unique("resumers"));
    create_topic(&ground, &topic, 1);
    produce(&ground, "none", &topic, 0..100);
    let mut first = BTreeMap::new();
    let consumer = member(&ground, &group, &topic);
    until("every record", || {
        take(&consumer, &mut first);
        first.len() == 100
    });
    consumer.commit_consumer_state(CommitMode::Sync).expect("the commit is stored");
    assert_eq!(committed(&consumer, &topic, 1), [100]);
    drop(consumer);
    let later = produce(&ground, "none", &topic, 100..150);
    let mut second = BTreeMap::new();
    let consumer = member(&ground, &group, &topic);
    until("the records after the commit", || {
        take(&consumer, &mut second);
        second.len() == 50
    });
    assert_eq!(second, later);
}

#[test]
fn two_members_share_a_topic_and_hand_over_on_a_rebalance() {
    let ground = Ground::new();
    let (topic, group) = (unique("shared"), unique("sharers"));
    create_topic(&ground, &topic, 4);
    let mut stored = produce(&ground, "lz4", &topic, 0..400);
    let mut seen = BTreeMap::new();
    let one = member(&ground, &group, &topic);
    until("the first member to have all partitions", || {
        take(&one, &mut seen);
        assigned(&one) == BTreeSet::from([0, 1, 2, 3])
    });
    let two = member(&ground, &group, &topic);
    until("the members to have two partitions each", || {
        take(&one, &mut seen);
        take(&two, &mut seen);
        let both: BTreeSet<_> = assigned(&one).union(&assigned(&two)).copied().collect();
        assigned(&one).len() == 2 && assigned(&two).len() == 2 && both.len() == 4
    });
    stored.append(&mut produce(&ground, "lz4", &topic, 400..800));
    until("both members to have read everything between them", || {
        take(&one, &mut seen);
        take(&two, &mut seen);
        seen.len() == stored.len()
    });
    // It commits what it has read, and leaves.
    drop(two);
    until("the first member to have all partitions again", || {
        take(&one, &mut seen);
        assigned(&one) == BTreeSet::from([0, 1, 2, 3])
    });
    stored.append(&mut produce(&ground, "lz4", &topic, 800..1_000));
    until("the first member to have read the rest", || {
        take(&one, &mut seen);
        seen.len() == stored.len()
    });
    assert_eq!(seen, stored);
    one.commit_consumer_state(CommitMode::Sync).expect("the commit is stored");
    assert_eq!(committed(&one, &topic, 4), ends(&one, &topic, 4));
    let members = one.fetch_group_list(Some(&group), LIMIT).expect("the broker answers");
    let [described] = members.groups() else { panic!("the group is there once") };
    assert_eq!((described.state(), described.members().len()), ("Stable", 1));
}

#[test]
fn a_topic_that_was_deleted_is_gone() {
    let ground = Ground::new();
    let topic = unique("brief");
    create_topic(&ground, &topic, 2);
    let again = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    let refused = admin(&ground).create_topics([&again], &AdminOptions::new()).into_blocking(&ground);
    assert_eq!(refused, [Err((topic.clone(), rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists))]);
    let deleted = admin(&ground).delete_topics(&[&topic], &AdminOptions::new()).into_blocking(&ground);
    assert_eq!(deleted, [Ok(topic.clone())]);
    let consumer: BaseConsumer = config(&ground).create().expect("librdkafka starts");
    until("the topic to be gone", || {
        let metadata = consumer.fetch_metadata(None, LIMIT).expect("the broker answers");
        metadata.topics().iter().all(|it| it.name() != topic)
    });
}
