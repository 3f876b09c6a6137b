//! A broker that errs, played by a script: what it does not say otherwise, it answers as it should.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use vltava_wire::{
    Api,
    messages::{
        FetchRequest, FetchResponse, HeartbeatResponse, MetadataResponse, MetadataResponseBroker,
        MetadataResponsePartition, MetadataResponseTopic,
        fetch::{FetchableTopicResponse, PartitionData},
    },
    record::{BatchBuilder, RecordSlices, Stamp},
};

use crate::{
    Address, BoxFuture, Client, Compression, Dial, ErrorKind, Offset, Producer, ProducerRecord, Stream,
    TopicPartition, config,
    tests::peer::{Asked, Peer, Reply},
};

/// Two brokers; the second, `broker-2`, leads all partitions of `orders`.
fn metadata(partitions: i32) -> MetadataResponse {
    let led = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 2,
        leader_epoch: 1,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("orders".into()),
        partitions: (0..partitions).map(led).collect(),
        ..Default::default()
    };
    let broker = |node_id| MetadataResponseBroker {
        node_id,
        host: format!("broker-{node_id}"),
        port: 9092,
        ..Default::default()
    };
    MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }
}

/// A client whose brokers follow `script`.
async fn client(script: impl FnMut(Asked) -> Reply + Send + 'static) -> Client {
    let builder = Client::builder().brokers("broker-1:9092").dial(Arc::new(Peer::new(script))).seed(1);
    builder.connect().await.expect("the peer answers")
}

/// The kind of error that a record of `orders` fails with.
async fn failure(producer: &Producer) -> ErrorKind {
    let delivery = producer.send(ProducerRecord::to("orders").value("x")).await.expect("there is room");
    delivery.await.expect_err("it cannot be written").kind()
}

#[tokio::test(start_paused = true)]
async fn nonsense_instead_of_an_identity_fails_what_waits_and_is_asked_for_again_after_a_pause() {
    let asks = Arc::new(AtomicUsize::new(0));
    let count = asks.clone();
    let client = client(move |asked| match asked.api() {
        Api::Metadata => asked.answer(&metadata(1)),
        // A question that is put without end has an end here.
        Api::InitProducerId if count.fetch_add(1, Ordering::Relaxed) > 9 => Reply::Silence,
        Api::InitProducerId => asked.answer(&HeartbeatResponse::default()),
        api => panic!("{api:?} is not in the script"),
    });
    let producer = client.await.producer();
    assert_eq!(failure(&producer).await, ErrorKind::Malformed);
    let before = Instant::now();
    assert_eq!(failure(&producer).await, ErrorKind::Malformed);
    assert!(before.elapsed() >= Duration::from_millis(80), "{:?}", before.elapsed());
    assert_eq!(asks.load(Ordering::Relaxed), 2);
}

/// Reaches the first broker alone.
struct Half(Peer);

impl Dial for Half {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        match &*address.host {
            "broker-1" => self.0.dial(address),
            _ => Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) }),
        }
    }
}

/// A pause between attempts that is longer than an attempt may take must not make attempts that take no time.
#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_be_reached_is_not_tried_without_end() {
    let peer = Peer::new(|asked| asked.answer(&metadata(1)));
    let connection = config::Connection { request_timeout: Duration::from_millis(20), ..Default::default() };
    let builder = Client::builder().brokers("broker-1:9092").dial(Arc::new(Half(peer))).seed(1);
    let client = builder.connection(connection).connect().await.expect("the first broker answers");
    assert_eq!(failure(&client.producer()).await, ErrorKind::TimedOut);
}

/// `orders` has one partition, and three once this was asked often enough.
fn growing() -> impl FnMut() -> MetadataResponse {
    let mut asked = 0;
    move || {
        asked += 1;
        metadata(if asked > 5 { 3 } else { 1 })
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_metadata_does_not_tell_of_yet_is_produced_to() {
    let mut metadata = growing();
    let client = client(move |asked| match asked.api() {
        Api::Metadata => asked.answer(&metadata()),
        _ => Reply::Silence,
    });
    let producer = client.await.producer();
    let sent = producer.send(ProducerRecord::to("orders").partition(2).value("x")).await;
    drop(sent.expect("the partition has come to be"));
    let beyond = producer.send(ProducerRecord::to("orders").partition(3).value("x")).await;
    let error = beyond.expect_err("there are three");
    assert!(error.kind() == ErrorKind::UnknownTopic && error.to_string().contains("orders-3"), "{error}");
    let before = Instant::now();
    let negative = producer.send(ProducerRecord::to("orders").partition(-1).value("x")).await;
    assert_eq!(negative.expect_err("it never comes to be").kind(), ErrorKind::UnknownTopic);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// One record at offset 0 of `orders-2`.
fn fetched() -> FetchResponse {
    let mut batch = BatchBuilder::new();
    batch.append(RecordSlices::new(1, None, Some(b"found"))).expect("a record");
    let records = batch.finish(Stamp::NONE, Compression::None).expect("a batch");
    let partition =
        PartitionData { partition_index: 2, high_watermark: 1, records: Some(records), ..Default::default() };
    let topic =
        FetchableTopicResponse { topic: "orders".into(), partitions: vec![partition], ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

/// Whoever assigned it, the leader of a group perhaps, had newer metadata.
#[tokio::test(start_paused = true)]
async fn a_partition_that_metadata_does_not_tell_of_yet_is_read() {
    let mut metadata = growing();
    let client = client(move |mut asked| match asked.api() {
        Api::Metadata => asked.answer(&metadata()),
        Api::Fetch if asked.read::<FetchRequest>().topics[0].partitions[0].fetch_offset == 0 => {
            asked.answer(&fetched())
        }
        _ => Reply::Silence,
    });
    let client = client.await;
    let orders = [(TopicPartition::new("orders", 2), Offset::Exact(0))];
    let mut consumer = client.consumer().assign(orders).await.expect("an assignment");
    let batch = consumer.next().await.expect("the partition has come to be").expect("not the end");
    assert_eq!(batch.len(), 1);

    let beyond = [(TopicPartition::new("orders", 3), Offset::Exact(0))];
    let mut consumer = client.consumer().assign(beyond).await.expect("an assignment");
    let before = Instant::now();
    let error = consumer.next().await.expect_err("there are three");
    assert!(error.kind() == ErrorKind::UnknownTopic && error.to_string().contains("orders-3"), "{error}");
    assert_eq!(before.elapsed().as_secs(), config::Connection::default().call_timeout.as_secs());
}
