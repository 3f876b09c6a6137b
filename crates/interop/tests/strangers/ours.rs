//! What librdkafka writes is read by our client, and the other way round, in every codec.

use std::collections::BTreeMap;

use vltava_client::{Client, Compression, Offset, Producer, ProducerRecord, Timestamp, TopicPartition};

use crate::{
    ground::{Ground, unique},
    librdkafka,
};

const RECORDS: u32 = 2_000;

#[test]
fn ours_read_what_librdkafka_wrote() {
    let ground = Ground::new();
    for codec in Compression::ALL {
        let topic = unique(codec.name());
        librdkafka::create_topic(&ground, &topic, 3);
        let stored = librdkafka::produce(&ground, codec.name(), &topic, 0..RECORDS);
        let seen = ground.runtime.block_on(read(&ground.brokers, &topic, stored.len()));
        assert_eq!(seen, stored, "{codec}");
    }
}

#[test]
fn librdkafka_reads_what_ours_wrote() {
    let ground = Ground::new();
    for codec in Compression::ALL {
        let topic = unique(codec.name());
        librdkafka::create_topic(&ground, &topic, 3);
        let stored = ground.runtime.block_on(write(&ground.brokers, &topic, codec));
        assert_eq!(librdkafka::read(&ground, &topic, stored.len()), stored, "{codec}");
    }
}

/// Reads so many records of a topic, which are what librdkafka's tests produce.
async fn read(brokers: &str, topic: &str, count: usize) -> BTreeMap<(i32, i64), String> {
    let client = Client::connect(brokers).await.expect("the broker answers");
    let partitions = (0..3).map(|partition| (TopicPartition::new(topic, partition), Offset::Earliest));
    let mut consumer = client.consumer().assign(partitions).await.expect("the partitions are there");
    let mut seen = BTreeMap::new();
    while seen.len() < count {
        let batch = consumer.next().await.expect("reading goes on").expect("there are more");
        for record in &batch {
            let value = String::from_utf8(record.value().expect("it has a value").to_vec()).expect("text");
            let number: u32 = value.trim_start_matches("value-").parse().expect("it ends with its number");
            assert_eq!(record.key(), Some(format!("key-{}", number % 97).as_bytes()));
            assert_eq!(record.timestamp(), 1_700_000_000_000 + i64::from(number));
            let headers: Vec<_> = record.headers().collect();
            assert_eq!(headers, [(&b"number"[..], Some(&number.to_be_bytes()[..]))]);
            seen.insert((batch.partition(), record.offset()), value);
        }
    }
    seen
}

/// Produces the same records as librdkafka's tests do.
async fn write(brokers: &str, topic: &str, codec: Compression) -> BTreeMap<(i32, i64), String> {
    let client = Client::connect(brokers).await.expect("the broker answers");
    let producer = Producer::builder(&client).compression(codec).build().expect("it is set up well");
    let mut deliveries = Vec::new();
    for number in 0..RECORDS {
        let value = format!("value-{number}");
        let record = ProducerRecord::to(topic)
            .key(format!("key-{}", number % 97))
            .value(value.clone())
            .timestamp(Timestamp(1_700_000_000_000 + i64::from(number)))
            .header("number", number.to_be_bytes().to_vec());
        deliveries.push((value, producer.send(record).await.expect("there is room")));
    }
    let mut stored = BTreeMap::new();
    for (value, delivery) in deliveries {
        let place = delivery.await.expect("it is stored");
        stored.insert((place.partition, place.offset.expect("nothing was sent twice")), value);
    }
    stored
}
