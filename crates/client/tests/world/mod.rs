//! A broker in memory and clients that reach it over pipes, on a clock that moves only when nobody has anything to
//! do. Connections can be made to break after so many bytes.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use vltava_broker::{Broker, Connector, disk::Memory};
use vltava_client::{
    Address, AssignedConsumer, BoxFuture, Client, ClientBuilder, Dial, Stream, SystemClock, TopicPartition,
    config,
};
use vltava_core::Rng;

/// A broker, and the way to it.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) pipes: Pipes,
}

/// Dials the broker's pipe, whatever the address.
#[derive(Clone)]
pub(crate) struct Pipes {
    connector: Connector,
    /// How connections break: the chance, and the bytes that get through at most.
    breaks: Arc<Mutex<Option<(Rng, u64)>>>,
    /// Connections that were opened before so many times of breaking are broken.
    broken: Arc<AtomicU64>,
}

impl World {
    pub(crate) async fn new(topics: &[(&str, i32)]) -> Self {
        Self::on(Memory::new(), topics).await
    }

    /// With what there is on a disk already.
    pub(crate) async fn on(disk: Memory, topics: &[(&str, i32)]) -> Self {
        let clock = Arc::new(SystemClock::new());
        let builder = topics.iter().fold(Broker::in_memory(), |it, (name, count)| it.topic(*name, *count));
        let broker = builder
            .disk(Arc::new(disk))
            .clock(clock)
            .seed(11)
            .start()
            .await
            .expect("a broker in memory starts");
        let pipes = Pipes { connector: broker.connector(), breaks: Arc::default(), broken: Arc::default() };
        Self { broker, pipes }
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let clock = Arc::new(SystemClock::new());
        Client::builder().brokers("broker:9092").clock(clock).dial(Arc::new(self.pipes.clone())).seed(5)
    }

    pub(crate) async fn client(&self) -> Client {
        self.builder().connect().await.expect("the broker answers")
    }

    /// A client that does not wait long for an answer.
    pub(crate) async fn impatient(&self) -> Client {
        let connection = config::Connection { request_timeout: Duration::from_secs(2), ..Default::default() };
        self.builder().connection(connection).connect().await.expect("the broker answers")
    }
}

impl Pipes {
    /// From now on every new connection breaks after at most `bytes` bytes, by chance; none stops it.
    pub(crate) fn break_after(&self, breaks: Option<(u64, u64)>) {
        let breaks = breaks.map(|(seed, bytes)| (Rng::new(seed), bytes));
        *self.breaks.lock().expect("nobody panics with it") = breaks;
    }
}

impl Pipes {
    /// Breaks every connection that is open. Whoever uses one will notice.
    pub(crate) fn break_all(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }
}

impl Dial for Pipes {
    fn dial(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let left = match &mut *self.breaks.lock().expect("nobody panics with it") {
            Some((rng, bytes)) => rng.below(*bytes),
            None => u64::MAX,
        };
        let (broken, born) = (self.broken.clone(), self.broken.load(Ordering::Relaxed));
        let fragile = |pipe| Box::new(Fragile { pipe, left, broken, born }) as Box<dyn Stream>;
        let opened = self.connector.connect().map(fragile);
        Box::pin(async move { opened })
    }
}

/// A pipe that breaks.
struct Fragile {
    pipe: DuplexStream,
    left: u64,
    broken: Arc<AtomicU64>,
    born: u64,
}

impl Fragile {
    fn used(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
    }

    fn check(&self) -> io::Result<()> {
        if self.left == 0 || self.broken.load(Ordering::Relaxed) > self.born {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for Fragile {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.pipe).poll_read(cx, buffer);
        self.used(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let written = Pin::new(&mut self.pipe).poll_write(cx, &bytes[..most]);
        if let Poll::Ready(Ok(written)) = written {
            self.used(written);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// A record as a test looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: Vec<(String, Option<String>)>,
}

/// Everything there is in a topic, partition by partition.
pub(crate) async fn read_all(client: &Client, topic: &str) -> Vec<Seen> {
    let partitions = client.admin().topic(topic).await.expect("the topic is there").partitions.len() as i32;
    let named = |partition| TopicPartition::new(topic, partition);
    let ends = (0..partitions).map(|it| (named(it), vltava_client::Offset::Latest));
    let ends = client.admin().offsets(ends).await.expect("the ends can be looked up");
    let starts = (0..partitions).map(|it| (named(it), vltava_client::Offset::Earliest));
    let mut consumer = client.consumer().assign(starts).await.expect("an assignment");
    consumer.stop_at(ends);
    let mut seen = drain(&mut consumer).await;
    seen.sort_by_key(|it| (it.partition, it.offset));
    seen
}

/// All that a consumer gives until it ends.
pub(crate) async fn drain(consumer: &mut AssignedConsumer) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(batch) = consumer.next().await.expect("no error is due") {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        seen.extend(batch.iter().map(|record| Seen {
            partition: batch.partition(),
            offset: record.offset(),
            key: record.key().map(text),
            value: record.value().map(text),
            headers: record.headers().map(|(name, value)| (text(name), value.map(text))).collect(),
        }));
    }
    seen
}
