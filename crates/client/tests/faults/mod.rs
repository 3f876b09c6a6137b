//! What a client makes of each fault that a broker has on demand: records are stored and read once and in order, and a
//! delivery that fails says whether its record may have been written.

use std::time::Duration;

use tokio::time::Instant;
use vltava_broker::faults::{Aim, Fault, Partitions, Rule, Topics};
use vltava_client::{ErrorCode, ErrorKind, Offset, Producer, ProducerRecord, TopicPartition};

use crate::world::{World, drain, read_all};

const RECORDS: usize = 60;

const SECOND: Duration = Duration::from_secs(1);

type Make = fn(Aim<Partitions>) -> Fault;

/// Faults that pass, of requests that produce or fetch.
const PASSING: &[(&str, Make)] = &[
    ("refused", |aim| aim.error(ErrorCode::NotLeaderOrFollower)),
    ("refused by the disk", |aim| aim.error(ErrorCode::KafkaStorageError)),
    ("done and denied", |aim| aim.error_although_done(ErrorCode::RequestTimedOut)),
    ("request delayed", |aim| aim.delay_request(SECOND)),
    ("request delayed for too long", |aim| aim.delay_request(SECOND * 3)),
    ("request lost", |aim| aim.drop_request()),
    ("connection cut", |aim| aim.cut_request()),
    ("reply delayed", |aim| aim.delay_reply(SECOND)),
    ("reply delayed for too long", |aim| aim.delay_reply(SECOND * 3)),
    ("reply lost", |aim| aim.drop_reply()),
    ("reply cut off", |aim| aim.cut_reply(0)),
    ("reply cut in its length", |aim| aim.cut_reply(3)),
    ("reply cut in the middle", |aim| aim.cut_reply(15)),
    ("throttled", |aim| aim.throttle(SECOND)),
];

/// Has each fault strike twice in a row, then now and then.
fn arm(aim: impl Fn() -> Aim<Partitions>, fault: fn(Aim<Partitions>) -> Fault) -> [Rule; 2] {
    [fault(aim()).times(2), fault(aim()).ratio(0.2)]
}

async fn send(producer: &Producer, value: usize) -> vltava_client::Delivery {
    let record = ProducerRecord::to("orders").partition((value % 3) as i32).value(value.to_string());
    producer.send(record).await.expect("there is room")
}

#[tokio::test(start_paused = true)]
async fn each_record_is_stored_once_and_in_order_whatever_becomes_of_requests_to_produce() {
    for (what, fault) in PASSING {
        let world = World::new(&[("orders", 3)]).await;
        let producer = Producer::builder(&world.impatient().await).batch_bytes(200).build().expect("it is");
        let rules = arm(|| world.broker.faults().produce("orders"), *fault);
        let mut deliveries = Vec::new();
        for value in 0..RECORDS {
            deliveries.push(send(&producer, value).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for delivery in deliveries {
            delivery.await.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        assert!(rules.each_ref().map(Rule::struck) >= [2, 1], "{what}: {rules:?}");
        world.broker.faults().clear();
        let seen = read_all(&world.client().await, "orders").await;
        for partition in 0..3 {
            let of_it = seen.iter().filter(|it| it.partition == partition);
            let values: Vec<_> = of_it.map(|it| it.value.clone().expect("a value")).collect();
            let sent = (0..RECORDS).filter(|it| it % 3 == partition as usize).map(|it| it.to_string());
            assert_eq!(values, sent.collect::<Vec<_>>(), "{what}, partition {partition}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_record_is_read_once_and_in_order_whatever_becomes_of_requests_to_fetch() {
    for (what, fault) in PASSING {
        let world = World::new(&[("orders", 3)]).await;
        let client = world.impatient().await;
        let producer = Producer::builder(&client).batch_bytes(200).build().expect("it is");
        for value in 0..RECORDS {
            drop(send(&producer, value).await);
        }
        producer.flush().await;
        let rules = arm(|| world.broker.faults().fetch(Topics::All), *fault);
        let starts = (0..3).map(|it| (TopicPartition::new("orders", it), Offset::Earliest));
        let mut consumer =
            client.consumer().partition_max_bytes(100).assign(starts).await.expect("an assignment");
        consumer.stop_at(
            (0..3).map(|it| (TopicPartition::new("orders", it), RECORDS as i64 / 3)).collect::<Vec<_>>(),
        );
        let seen = drain(&mut consumer).await;
        assert_eq!(rules[0].struck(), 2, "{what}: {rules:?}");
        for partition in 0..3 {
            let of_it = seen.iter().filter(|it| it.partition == partition);
            let offsets: Vec<_> = of_it.map(|it| it.offset).collect();
            assert_eq!(offsets, (0..RECORDS as i64 / 3).collect::<Vec<_>>(), "{what}, partition {partition}");
        }
    }
}

/// What becomes of a record whose requests all meet this fault.
async fn failed(fault: fn(Aim<Partitions>) -> Fault) -> (vltava_client::Error, Duration, usize) {
    let world = World::new(&[("orders", 3)]).await;
    let client = world.impatient().await;
    let producer = Producer::builder(&client).delivery_timeout(SECOND * 10).build().expect("it is");
    fault(world.broker.faults().produce("orders")).always();
    let before = Instant::now();
    let error = send(&producer, 0).await.await.expect_err("every request fails");
    let waited = before.elapsed();
    world.broker.faults().clear();
    (error, waited, read_all(&world.client().await, "orders").await.len())
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_fails_says_whether_its_record_may_have_been_written() {
    let until_the_end = [
        ("damaged", false, (|aim| aim.error(ErrorCode::CorruptMessage)) as fn(Aim<Partitions>) -> Fault),
        // A leader may say so, and be none any more, when it has written the batch already.
        ("refused", true, |aim| aim.error(ErrorCode::NotLeaderOrFollower)),
        ("done and denied", true, |aim| aim.error_although_done(ErrorCode::RequestTimedOut)),
        ("reply lost", true, |aim| aim.drop_reply()),
        ("reply cut off", true, |aim| aim.cut_reply(0)),
        ("request lost", true, |aim| aim.drop_request()),
    ];
    for (what, maybe_written, fault) in until_the_end {
        let (error, waited, stored) = failed(fault).await;
        assert_eq!(error.maybe_written(), maybe_written, "{what}: {error}");
        assert!(maybe_written || stored == 0, "{what}: {stored} stored");
        assert!(waited >= SECOND * 8 && waited <= SECOND * 12, "{what}: failed after {waited:?}");
    }
    let (error, waited, stored) = failed(|aim| aim.error(ErrorCode::TopicAuthorizationFailed)).await;
    assert_eq!((error.code(), stored), (Some(ErrorCode::TopicAuthorizationFailed), 0), "{error}");
    assert!(!error.maybe_written() && waited < SECOND, "{error} after {waited:?}");
    assert_ne!(error.kind(), ErrorKind::TimedOut);
}
