//! What happens when something does not come: memory, a topic, an answer, a broker.

mod world;

use std::{io, sync::Arc, time::Duration};

use tokio::time::Instant;
use vltava_client::{
    Address, BoxFuture, Client, ConfigChange, Dial, ErrorCode, ErrorKind, NewTopic, Offset, Phase, Producer,
    ProducerRecord, Stream, TopicPartition, Unresolved, config,
};
use world::{World, read_all};

#[tokio::test(start_paused = true)]
async fn senders_wait_for_memory_first_come_first_served() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let producer =
        Producer::builder(&client).memory_bytes(2_000).batch_bytes(500).build().expect("a producer");
    let mut tasks = Vec::new();
    for n in 0..40 {
        let producer = producer.clone();
        let value = format!("{n:03}").repeat(100);
        tasks.push(tokio::spawn(async move {
            producer.send(ProducerRecord::to("orders").value(value)).await.expect("room comes").await
        }));
    }
    for task in tasks {
        task.await.expect("no panic").expect("it is delivered");
    }
    let seen = read_all(&client, "orders").await;
    let order: Vec<_> =
        seen.iter().filter_map(|it| it.value.as_ref().map(|value| value[..3].to_owned())).collect();
    assert_eq!(order, (0..40).map(|n| format!("{n:03}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_send_or_a_delivery_that_is_dropped_harms_nobody() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let producer = Producer::builder(&client).memory_bytes(1_000).build().expect("a producer");
    let record = |n: usize| ProducerRecord::to("orders").value(n.to_string().repeat(300));
    for n in 1..=9 {
        // Whether it is dropped in the line for memory or after it was sent, what follows goes on.
        let _ =
            tokio::time::timeout(Duration::from_micros(10), async { producer.send(record(n)).await }).await;
    }
    drop(producer.send(record(0)).await.expect("room comes"));
    producer.flush().await;
    let seen = read_all(&client, "orders").await;
    let values: Vec<_> =
        seen.iter().filter_map(|it| it.value.as_ref().map(|value| value[..1].to_owned())).collect();
    assert!(values.is_sorted_by(|a, b| b == "0" || (a != "0" && a < b)), "{values:?}");
    assert_eq!(values.last().map(String::as_str), Some("0"), "the dropped delivery's record was sent");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_delivered_fails_in_time_and_the_producer_goes_on() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.impatient().await;
    let timeout = Duration::from_secs(20);
    let producer = Producer::builder(&client).delivery_timeout(timeout).build().expect("a producer");
    producer
        .send(ProducerRecord::to("orders").value("0"))
        .await
        .expect("room")
        .await
        .expect("it is delivered");
    world.pipes.break_all();
    world.pipes.break_after(Some((1, 1)));
    let before = Instant::now();
    let delivery = producer.send(ProducerRecord::to("orders").value("1")).await.expect("room");
    let error = delivery.await.expect_err("nobody can be reached");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("orders-0"), "{error}");
    assert!(before.elapsed() >= timeout && before.elapsed() < timeout + Duration::from_secs(1));
    world.pipes.break_after(None);
    let delivery = producer.send(ProducerRecord::to("orders").value("2")).await.expect("room");
    let soon = tokio::time::timeout(Duration::from_secs(3), delivery).await.expect("soon after it can");
    soon.expect("it goes on");
    let seen = read_all(&client, "orders").await;
    let values: Vec<_> = seen.iter().filter_map(|it| it.value.as_deref()).collect();
    assert_eq!(values, ["0", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_out_of_time_says_what_it_gave_up() {
    let world = World::new(&[("orders", 1)]).await;
    let producer = world.impatient().await.producer();
    producer
        .send(ProducerRecord::to("orders").value("0"))
        .await
        .expect("room")
        .await
        .expect("it is delivered");
    world.pipes.break_all();
    world.pipes.break_after(Some((1, 1)));
    let delivery = producer.send(ProducerRecord::to("orders").value("1")).await.expect("room");
    let late = producer.clone();
    let error = producer.shutdown(Duration::from_secs(3)).await.expect_err("nobody can be reached");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(delivery.await.expect_err("it was given up").kind(), ErrorKind::Closed);
    let error = late.send(ProducerRecord::to("orders").value("2")).await.expect_err("it is closed");
    assert!(error.is_fatal());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_there_is_an_error_after_the_delivery_timeout() {
    let world = World::new(&[]).await;
    let client = world.client().await;
    let error = client.admin().topic("nowhere").await.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    let nowhere = [(TopicPartition::new("nowhere", 0), Offset::Earliest)];
    let mut consumer = client.consumer().assign(nowhere).await.expect("an assignment");
    let error = consumer.next().await.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_not_there_is_refused_by_name() {
    let world = World::new(&[("orders", 2)]).await;
    let client = world.client().await;
    let record = ProducerRecord::to("orders").partition(2).value("x");
    let error = client.producer().send(record).await.expect_err("there are two");
    assert!(error.to_string().contains("orders-2"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_is_refused_before_it_is_sent() {
    let world = World::new(&[("orders", 1)]).await;
    let producer = world.client().await.producer();
    let error =
        producer.send(ProducerRecord::to("orders").value(vec![0; 2 << 20])).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    producer
        .send(ProducerRecord::to("orders").value("small"))
        .await
        .expect("room")
        .await
        .expect("it is delivered");
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_described_and_deleted() {
    let world = World::new(&[]).await;
    let admin = world.client().await.admin();
    admin.create_topic(NewTopic::new("orders").partitions(3)).await.expect("it is created");
    let again = admin.create_topic(NewTopic::new("orders").partitions(3)).await.expect_err("it is there");
    assert_eq!(again.code(), Some(ErrorCode::TopicAlreadyExists));
    let topics = admin.topics().await.expect("topics can be listed");
    assert_eq!(topics.iter().map(|it| (&*it.name, it.partitions.len())).collect::<Vec<_>>(), [("orders", 3)]);
    admin.delete_topic("orders").await.expect("it is deleted");
    assert!(admin.topics().await.expect("topics can be listed").is_empty());
    let again = admin.delete_topic("orders").await.expect_err("it is gone");
    assert_eq!(again.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

fn set(name: &str, value: &str) -> (String, ConfigChange) {
    (name.to_owned(), ConfigChange::Set(value.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn configs_of_a_topic_are_told_and_changed() {
    let world = World::new(&[]).await;
    let admin = world.client().await.admin();
    let mut new = NewTopic::new("orders").partitions(1);
    new.configs.insert("retention.ms".to_owned(), "1000".to_owned());
    admin.create_topic(new).await.expect("it is created");
    let changes = [
        set("segment.bytes", "4096"),
        ("retention.ms".to_owned(), ConfigChange::Reset),
        ("cleanup.policy".to_owned(), ConfigChange::Append("compact".to_owned())),
    ];
    admin.alter_topic_configs("orders", changes).await.expect("they can be changed");
    let configs = admin.topic_configs("orders").await.expect("they can be told");
    let told = |name: &str| (configs[name].value.as_deref(), configs[name].is_set);
    assert_eq!(told("segment.bytes"), (Some("4096"), true));
    assert_eq!(told("retention.ms"), (Some("604800000"), false));
    assert_eq!(told("cleanup.policy"), (Some("delete,compact"), true));
    let drop = [("cleanup.policy".to_owned(), ConfigChange::Subtract("delete".to_owned()))];
    admin.alter_topic_configs("orders", drop).await.expect("it can be changed");
    let configs = admin.topic_configs("orders").await.expect("they can be told");
    assert_eq!(configs["cleanup.policy"].value.as_deref(), Some("compact"));
}

#[tokio::test(start_paused = true)]
async fn a_config_that_is_refused_says_why_and_which() {
    let world = World::new(&[("orders", 1)]).await;
    let admin = world.client().await.admin();
    let error = admin.alter_topic_configs("orders", [set("retention.msec", "1")]).await.expect_err("no such");
    assert_eq!(error.code(), Some(ErrorCode::InvalidConfig));
    let whole = format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string));
    assert!(whole.contains("retention.ms"), "{whole}");
    let error = admin.topic_configs("nowhere").await.expect_err("it is not there");
    assert_eq!(error.code(), Some(ErrorCode::UnknownTopicOrPartition));
}

#[tokio::test(start_paused = true)]
async fn records_are_deleted_from_the_beginning() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let producer = client.producer();
    for n in 0..5 {
        let delivery = producer.send(ProducerRecord::to("orders").value(format!("{n}"))).await;
        delivery.expect("there is room").await.expect("it is delivered");
    }
    let admin = world.client().await.admin();
    let orders = TopicPartition::new("orders", 0);
    assert_eq!(admin.delete_records(&orders, Some(3)).await.expect("they can be deleted"), 3);
    let places = [(orders.clone(), Offset::Earliest)];
    assert_eq!(admin.offsets(places).await.expect("the beginning is told")[&orders], 3);
    assert_eq!(admin.delete_records(&orders, None).await.expect("they can be deleted"), 5);
    let error = admin.delete_records(&orders, Some(6)).await.expect_err("there are no more");
    assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
}

/// Fails as it is told to.
struct Broken(fn() -> io::Error);

impl Dial for Broken {
    fn dial(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let error = (self.0)();
        Box::pin(async move { Err(error) })
    }
}

/// Never gets anywhere.
struct Stuck;

impl Dial for Stuck {
    fn dial(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_says_how_far_the_connection_came() {
    let cases: [(fn() -> io::Error, Phase); 2] = [
        (|| io::Error::other(Unresolved(io::ErrorKind::NotFound.into())), Phase::Dns),
        (|| io::ErrorKind::ConnectionRefused.into(), Phase::Tcp),
    ];
    for (error, phase) in cases {
        let builder = Client::builder().brokers("a:1,b:2").dial(Arc::new(Broken(error)));
        let error = builder.connect().await.expect_err("nobody answers");
        assert_eq!(error.phase(), Some(phase));
        assert!(error.to_string().contains("b:2"), "{error}");
        assert!(error.likely_fix().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_is_not_waited_for_for_ever() {
    let connection = config::Connection { connect_timeout: Duration::from_secs(3), ..Default::default() };
    let before = Instant::now();
    let builder = Client::builder().brokers("a:1").connection(connection).dial(Arc::new(Stuck));
    let error = builder.connect().await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(before.elapsed() < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_room_for_a_while_costs_time_and_no_record() {
    let world = World::new(&[("orders", 1)]).await;
    let producer = world.client().await.producer();
    let disk = world.broker.faults().disk();
    disk.full();
    let one = producer.send(ProducerRecord::to("orders").value("one")).await.expect("there is room");
    let other = producer.send(ProducerRecord::to("orders").value("other")).await.expect("there is room");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(disk.struck() > 1, "it was tried again");
    disk.lift();
    for (offset, delivery) in (0..).zip([one, other]) {
        assert_eq!(delivery.await.expect("it is stored").offset, Some(offset));
    }
}
