//! Our client on a broker of several nodes, while leaders move and nodes stop: nothing is lost, nothing comes twice,
//! and all in order.
#![cfg(feature = "broker")]

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{sleep, timeout};
use vltava::{
    Acks, Broker, Client, InProcess, Offset, Producer, ProducerRecord, TopicPartition, broker::ErrorKind,
};

const PARTITIONS: i32 = 4;
const NODES: i32 = 3;

/// Records of each partition.
const RECORDS: usize = 500;

/// Nothing comes any more if nothing came for so long.
const LONG: Duration = Duration::from_secs(120);

async fn broker(seed: u64) -> Broker {
    let builder = Broker::in_memory().nodes(NODES as usize).topic("orders", PARTITIONS).seed(seed);
    builder.start().await.expect("a broker in memory starts")
}

async fn client(broker: &Broker, seed: u64) -> Client {
    let builder = Client::builder().brokers(broker.bootstrap()).dial(broker.dial()).seed(seed);
    builder.connect().await.expect("the broker answers")
}

/// Moves every leader, then stops a node and starts it again, many times.
async fn disturb(broker: &Broker, seed: u64) {
    for round in 0..12 {
        for partition in 0..PARTITIONS {
            let to = 1 + (partition + round + seed as i32) % NODES;
            broker.move_leader("orders", partition, to).await.expect("all nodes run");
        }
        sleep(Duration::from_millis(40 + 13 * seed)).await;
        let node = broker.node(1 + round % NODES).expect("it is one of them");
        node.stop().await.expect("others run");
        let refused = broker.move_leader("orders", 0, node.id()).await.expect_err("it was stopped");
        assert_eq!(refused.kind(), ErrorKind::NodeStopped);
        sleep(Duration::from_millis(90)).await;
        node.start().await.expect("nobody has its place");
    }
}

/// Sends numbers to every partition, and says how many were delivered.
async fn produce(client: &Client) -> usize {
    let producer = Producer::builder(client).batch_bytes(200).build().expect("a producer");
    let mut deliveries = Vec::new();
    for n in 0..RECORDS {
        for partition in 0..PARTITIONS {
            let record = ProducerRecord::to("orders").partition(partition).value(n.to_string());
            deliveries.push(producer.send(record).await.expect("there is room"));
        }
        sleep(Duration::from_millis(4)).await;
    }
    let mut delivered = 0;
    for delivery in deliveries {
        delivery.await.expect("every record is delivered in the end");
        delivered += 1;
    }
    delivered
}

/// Reads every partition until nothing comes any more.
async fn consume(client: &Client) -> BTreeMap<i32, Vec<usize>> {
    let all = (0..PARTITIONS).map(|it| (TopicPartition::new("orders", it), Offset::Earliest));
    let mut consumer = client.consumer().assign(all).await.expect("an assignment");
    let mut seen: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    while let Ok(record) = timeout(LONG, consumer.recv()).await {
        let record = record.expect("no error is due").expect("it has no end");
        let value = String::from_utf8_lossy(record.value().expect("a value")).parse().expect("a number");
        seen.entry(record.partition()).or_default().push(value);
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_producer_and_a_consumer_go_on_while_leaders_move_and_nodes_stop() {
    for seed in 0..6 {
        let broker = broker(seed).await;
        let (writer, reader) = (client(&broker, 10 + seed).await, client(&broker, 20 + seed).await);
        let (delivered, seen, ()) = tokio::join!(produce(&writer), consume(&reader), disturb(&broker, seed));
        assert_eq!(delivered, RECORDS * PARTITIONS as usize, "seed {seed}");
        let expected: Vec<usize> = (0..RECORDS).collect();
        for partition in 0..PARTITIONS {
            assert_eq!(seen[&partition], expected, "seed {seed}, partition {partition}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_goes_on_while_its_coordinators_stop() {
    let broker = broker(1).await;
    let client = client(&broker, 2).await;
    let producer = client.producer();
    let mut consumer = client.consumer().group("audit").subscribe(["orders"]).await.expect("a group");
    let mut seen = Vec::new();
    for n in 0..9 {
        // Each node in turn, so that the group's is among them.
        let node = broker.node(1 + n % NODES).expect("it is one of them");
        node.stop().await.expect("others run");
        let record = ProducerRecord::to("orders").partition(n % PARTITIONS).value(n.to_string());
        let delivery = producer.send(record).await.expect("there is room");
        delivery.await.expect("it is delivered");
        let batch = timeout(LONG, consumer.next()).await.expect("it comes").expect("no error is due");
        let batch = batch.expect("it has no end");
        for record in &batch {
            seen.push(String::from_utf8_lossy(record.value().expect("a value")).into_owned());
        }
        consumer.commit(&batch).await.expect("it is committed");
        node.start().await.expect("nobody has its place");
    }
    assert_eq!(seen, (0..9).map(|n| n.to_string()).collect::<Vec<_>>());
    let committed = client.admin().committed_offsets("audit").await.expect("a coordinator answers");
    let offsets: Vec<_> = committed.iter().map(|(at, it)| (at.partition, it.offset)).collect();
    assert_eq!(offsets, [(0, 3), (1, 2), (2, 2), (3, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_in_process_finds_its_way_while_the_first_node_is_stopped() {
    let broker = broker(3).await;
    broker.node(1).expect("it is one of them").stop().await.expect("others run");
    let client = broker.client().await.expect("the others answer");
    let record = ProducerRecord::to("orders").partition(0).value("one");
    let delivery = client.producer().send(record).await.expect("there is room");
    assert_eq!(delivery.await.expect("the next node leads").to_string(), "orders-0 @ 0");
}

/// Sends numbers to one partition while its leader moves twice, then ten more in peace; says how many were sent.
async fn produce_loosely(broker: &Broker, client: &Client, acks: Acks) -> usize {
    let builder = Producer::builder(client).acks(acks).idempotent(false).in_flight_max(1);
    let producer = builder.build().expect("a producer");
    for n in 0..100 {
        if n == 30 || n == 60 {
            broker.move_leader("orders", 0, 1 + n / 30).await.expect("all nodes run");
        }
        if n == 90 {
            // What was written to a node that leads no longer has been refused by now.
            sleep(LONG).await;
        }
        let record = ProducerRecord::to("orders").partition(0).value(n.to_string());
        let delivery = producer.send(record).await.expect("there is room");
        delivery.await.expect("it is delivered, whatever that is worth");
        sleep(Duration::from_millis(1)).await;
    }
    producer.shutdown(LONG).await.expect("nothing is left");
    100
}

/// P14: without acks a leader that moves costs the records that were written to the one before it, and no others; with
/// the leader's, none.
#[tokio::test(start_paused = true)]
async fn a_leader_that_moves_costs_what_the_acks_allow_and_nothing_else() {
    for acks in [Acks::None, Acks::Leader] {
        for seed in 0..6 {
            let broker = broker(seed).await;
            let client = client(&broker, 10 + seed).await;
            let sent = produce_loosely(&broker, &client, acks).await;
            let seen = consume(&client).await.remove(&0).expect("some are there");
            assert!(seen.is_sorted_by(|a, b| a < b), "{acks:?}, seed {seed}: {seen:?}");
            let lost: Vec<_> = (0..sent).filter(|it| !seen.contains(it)).collect();
            let allowed = |n: &usize| acks == Acks::None && [30..60, 60..90].iter().any(|it| it.contains(n));
            assert!(lost.iter().all(allowed), "{acks:?}, seed {seed}: {lost:?}");
            assert_eq!(
                acks == Acks::None,
                !lost.is_empty(),
                "{acks:?}, seed {seed}: there was something to lose"
            );
        }
    }
}
