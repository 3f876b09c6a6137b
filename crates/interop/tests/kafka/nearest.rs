//! Who says where it stands is served by a follower there (KIP-392): seen at the sockets, byte by byte.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::block_in_place,
    time::timeout,
};
use vltava_client::{
    Address, BoxFuture, Client, Dial, NewTopic, Offset, Producer, ProducerRecord, Stream, Tcp, TopicPartition,
};
use vltava_interop::Cluster;

const TOPIC: &str = "far_and_near";

/// Enough that whatever else is said to brokers is little beside it.
const RECORDS: usize = 2_000;
const RECORD_BYTES: usize = 1_000;

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_in_the_readers_rack_is_read_from_until_it_dies() {
    let cluster = Cluster::up(3);
    let received = Received::default();
    let builder = Client::builder().brokers(&cluster.brokers).dial(Arc::new(Counting(received.clone())));
    let client = builder.connect().await.expect("the cluster answers");
    let topic = NewTopic::new(TOPIC).partitions(1).replication_factor(3);
    client.admin().create_topic(topic).await.expect("the topic is new");
    produce(&client).await;
    let described = client.admin().topic(TOPIC).await.expect("the topic is there");
    let leader = described.partitions[0].leader.expect("somebody leads it");
    let near = *described.partitions[0].replicas.iter().find(|it| **it != leader).expect("there are others");
    let brokers = client.admin().brokers().await.expect("the cluster answers");
    let from = |node: i32| received.from(&brokers[&node]);

    let all = RECORDS * RECORD_BYTES;
    let before = [from(leader), from(near)];
    // In the racks that the cluster's script gives its nodes.
    let consumer = client.consumer().rack(format!("rack{near}")).partition_max_bytes(100_000);
    let start = (TopicPartition::new(TOPIC, 0), Offset::Earliest);
    let mut consumer = consumer.assign([start]).await.expect("partitions can be named");
    read(&mut consumer, RECORDS).await;
    let [far, near_by] = [from(leader) - before[0], from(near) - before[1]];
    assert!(near_by > all && far < all / 10, "{near_by} bytes from the follower, {far} from the leader");

    block_in_place(|| cluster.node(near as u32).kill());
    produce(&client).await;
    read(&mut consumer, 2 * RECORDS).await;
}

async fn produce(client: &Client) {
    let producer = Producer::builder(client).delivery_timeout(PATIENCE).build().expect("it is set up well");
    let value = "x".repeat(RECORD_BYTES);
    let records = (0..RECORDS).map(|_| ProducerRecord::to(TOPIC).value(value.as_str()));
    for delivery in producer.send_many(records).await {
        delivery.await.expect("every record is delivered");
    }
}

/// Reads on up to this offset; nothing comes twice or is left out.
async fn read(consumer: &mut vltava_client::AssignedConsumer, end: usize) {
    let mut position = None;
    while position != Some(end as i64) {
        let batch = timeout(PATIENCE, consumer.next()).await.expect("there is more");
        let batch = batch.expect("reading goes on").expect("it has no end");
        let first = batch.iter().next().expect("a batch has records").offset();
        assert!(position.is_none_or(|it| it == first), "{first} behind {position:?}");
        position = Some(batch.next_offset());
    }
}

/// How many bytes came from each address.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<BTreeMap<(String, u16), usize>>>);

impl Received {
    fn from(&self, address: &Address) -> usize {
        let received = self.0.lock().expect("nothing panics with this lock");
        received.get(&(address.host.clone(), address.port)).copied().unwrap_or(0)
    }
}

/// TCP that counts.
struct Counting(Received);

impl Dial for Counting {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (received, address) = (self.0.clone(), address.clone());
        Box::pin(async move {
            let stream = Tcp.dial(&address).await?;
            Ok(Box::new(Counted { stream, received, from: (address.host, address.port) }) as _)
        })
    }
}

struct Counted {
    stream: Box<dyn Stream>,
    received: Received,
    from: (String, u16),
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let mut received = self.received.0.lock().expect("nothing panics with this lock");
        *received.entry(self.from.clone()).or_default() += buf.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
