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
        HeartbeatResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic,
    },
};

use crate::{
    Address, BoxFuture, Client, Dial, ErrorKind, Producer, ProducerRecord, Stream, config,
    peer::{Asked, Peer, Reply},
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
