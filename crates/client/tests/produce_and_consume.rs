//! What is produced is consumed: once, in order, as it was, whatever the compression and however often connections
//! break.

mod damage;
mod faults;
mod reading;
mod world;

use std::{collections::BTreeMap, time::Duration};

use vltava_client::{
    Compression, Delivery, ErrorKind, NewTopic, Offset, Producer, ProducerRecord, Timestamp, TopicPartition,
};
use world::{World, drain, read_all};

async fn send(producer: &Producer, record: ProducerRecord) -> Delivery {
    producer.send(record).await.expect("there is room")
}

#[tokio::test(start_paused = true)]
async fn records_come_back_as_they_were_in_every_compression() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    for compression in Compression::ALL {
        let topic = format!("orders-{compression}");
        let producer = Producer::builder(&client).compression(compression).build().expect("it is available");
        let full = ProducerRecord::to(topic.as_str())
            .key("k")
            .value("v".repeat(1000))
            .header("h", "1")
            .header("h", "2");
        let tombstone = ProducerRecord::to(topic.as_str()).key("k");
        let bare = ProducerRecord::to(topic.as_str()).partition(0);
        for record in [full, tombstone, bare] {
            drop(send(&producer, record).await);
        }
        producer.shutdown(Duration::from_secs(10)).await.expect("everything is delivered");
        let mut seen = read_all(&client, &topic).await;
        seen.sort_by_key(|it| (it.value.is_none(), it.key.is_none()));
        let header = |value: &str| ("h".to_owned(), Some(value.to_owned()));
        assert_eq!(seen.len(), 3, "{compression}");
        assert_eq!(seen[0].value.as_deref(), Some(&*"v".repeat(1000)), "{compression}");
        assert_eq!(seen[0].headers, [header("1"), header("2")], "{compression}");
        assert_eq!((seen[1].key.as_deref(), &seen[1].value), (Some("k"), &None), "{compression}");
        assert_eq!((&seen[2].key, &seen[2].value, seen[2].partition), (&None, &None, 0), "{compression}");
        assert_eq!(seen[0].partition, seen[1].partition, "one key, one partition");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_tells_where_the_record_came_to_lie() {
    let world = World::new(&[("orders", 4)]).await;
    let producer = world.client().await.producer();
    let deliveries = [0, 1, 2].map(|n| ProducerRecord::to("orders").partition(3).value(n.to_string()));
    for (n, record) in deliveries.into_iter().enumerate() {
        let stored = send(&producer, record).await.await.expect("it is delivered");
        assert_eq!(stored.to_string(), format!("orders-3 @ {n}"));
    }
}

/// Produces while connections break, and checks what is there in the end.
async fn survive_cuts(seed: u64) {
    const RECORDS: usize = 300;
    let world = World::new(&[("orders", 3)]).await;
    let client = world.impatient().await;
    world.pipes.break_all();
    world.pipes.break_after(Some((seed, 6_000)));
    let producer = Producer::builder(&client).batch_bytes(400).build().expect("a producer");
    let mut deliveries = Vec::new();
    for n in 0..RECORDS {
        let record = ProducerRecord::to("orders").partition((n % 3) as i32).value(n.to_string());
        deliveries.push(send(&producer, record).await);
        if n % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
    let mut stored = BTreeMap::new();
    for (n, delivery) in deliveries.into_iter().enumerate() {
        let place = delivery.await.unwrap_or_else(|error| panic!("seed {seed}, record {n}: {error}"));
        stored.insert(n, (place.partition, place.offset));
    }
    world.pipes.break_after(None);
    let seen = read_all(&world.client().await, "orders").await;
    assert_eq!(seen.len(), RECORDS, "seed {seed}: each once");
    for partition in 0..3 {
        let values: Vec<usize> = seen
            .iter()
            .filter(|it| it.partition == partition)
            .map(|it| it.value.as_ref().and_then(|value| value.parse().ok()).expect("a number"))
            .collect();
        assert!(values.is_sorted(), "seed {seed}: in order of sending");
    }
    for it in &seen {
        let n: usize = it.value.as_ref().and_then(|value| value.parse().ok()).expect("a number");
        let (partition, offset) = stored[&n];
        assert_eq!(partition, it.partition, "seed {seed}");
        assert!(offset.is_none_or(|offset| offset == it.offset), "seed {seed}: where the delivery said");
    }
}

#[tokio::test(start_paused = true)]
async fn each_record_is_written_once_and_in_order_while_connections_break() {
    for seed in 0..25 {
        survive_cuts(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_read_once_and_in_order_while_connections_break() {
    let world = World::new(&[("orders", 3)]).await;
    let client = world.impatient().await;
    let producer = Producer::builder(&client).batch_bytes(300).build().expect("a producer");
    for n in 0..500_i32 {
        drop(send(&producer, ProducerRecord::to("orders").partition(n % 3).value(n.to_string())).await);
    }
    producer.flush().await;
    for seed in 0..10 {
        world.pipes.break_after(Some((seed, 9_000)));
        let starts = (0..3).map(|it| (TopicPartition::new("orders", it), Offset::Earliest));
        let mut consumer =
            client.consumer().partition_max_bytes(600).assign(starts).await.expect("an assignment");
        consumer
            .stop_at((0..3).map(|it| (TopicPartition::new("orders", it), if it == 2 { 166 } else { 167 })));
        let seen = drain(&mut consumer).await;
        for partition in 0..3 {
            let mine = seen.iter().filter(|it| it.partition == partition);
            let values: Vec<_> = mine.filter_map(|it| it.value.clone()).collect();
            let expected: Vec<_> =
                (0..500).filter(|n| n % 3 == partition).map(|n: i32| n.to_string()).collect();
            assert_eq!(values, expected, "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reading_starts_where_it_is_told_to() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let producer = Producer::builder(&client).batch_bytes(200).build().expect("a producer");
    for n in 0..50_i64 {
        let record = ProducerRecord::to("orders").timestamp(Timestamp(1_000 + n)).value(n.to_string());
        send(&producer, record).await.await.expect("it is delivered");
    }
    let orders = TopicPartition::new("orders", 0);
    let cases = [
        (Offset::Earliest, Some("0")),
        (Offset::Exact(17), Some("17")),
        (Offset::Timestamp(Timestamp(1_030)), Some("30")),
        (Offset::Timestamp(Timestamp(9_999)), None),
        (Offset::Latest, None),
    ];
    for (offset, first) in cases {
        let mut consumer = client.consumer().assign([(orders.clone(), offset)]).await.expect("an assignment");
        consumer.stop_at([(orders.clone(), 50)]);
        let seen = drain(&mut consumer).await;
        assert_eq!(seen.first().and_then(|it| it.value.as_deref()), first, "{offset:?}");
        assert_eq!(consumer.positions().get(&orders), Some(&50), "{offset:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_offset_beyond_the_log_is_an_error_unless_told_otherwise() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    send(&client.producer(), ProducerRecord::to("orders").value("0")).await.await.expect("it is delivered");
    let orders = TopicPartition::new("orders", 0);
    let builder = client.consumer().start(vltava_client::StartOffset::None);
    let mut consumer = builder.assign([(orders.clone(), Offset::Exact(99))]).await.expect("an assignment");
    for _ in 0..2 {
        let error = consumer.next().await.expect_err("there is no such offset");
        assert_eq!(error.kind(), ErrorKind::NoOffset);
        assert!(error.to_string().contains("orders-0") && error.to_string().contains("99"), "{error}");
    }
    let mut consumer = client.consumer().assign([(orders, Offset::Exact(99))]).await.expect("an assignment");
    let batch = consumer.next().await.expect("it starts again").expect("not the end");
    assert_eq!(batch.iter().next().expect("a record").offset(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_made_anew_is_read_from_its_beginning() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let admin = client.admin();
    let mut values = Vec::new();
    let start = [(TopicPartition::new("orders", 0), Offset::Earliest)];
    let mut consumer = client.consumer().assign(start).await.expect("an assignment");
    for (life, count) in [("old", 2), ("new", 4)] {
        admin.create_topic(NewTopic::new("orders").partitions(1)).await.expect("it is created");
        let producer = world.client().await.producer();
        for n in 0..count {
            drop(send(&producer, ProducerRecord::to("orders").value(format!("{life} {n}"))).await);
        }
        producer.flush().await;
        while values.last() != Some(&format!("{life} {}", count - 1)) {
            let batch = consumer.next().await.expect("no error is due").expect("not the end");
            let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            values.extend(batch.iter().filter_map(|it| it.value().map(value)));
        }
        admin.delete_topic("orders").await.expect("it is deleted");
    }
    assert_eq!(values, ["old 0", "old 1", "new 0", "new 1", "new 2", "new 3"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_record_wakes_whoever_waits() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let orders = TopicPartition::new("orders", 0);
    let mut consumer = client.consumer().assign([(orders, Offset::Earliest)]).await.expect("an assignment");
    let early = tokio::time::timeout(Duration::from_secs(60), consumer.next()).await;
    assert!(early.is_err(), "there is nothing to read yet");
    drop(send(&client.producer(), ProducerRecord::to("orders").value("late")).await);
    let batch = consumer.next().await.expect("no error").expect("not the end");
    assert_eq!((batch.len(), batch.next_offset(), batch.high_watermark()), (1, 1, 1));
    let owned: Vec<_> = batch.records().collect();
    drop(batch);
    assert_eq!(owned[0].value(), Some(&b"late"[..]));
}
