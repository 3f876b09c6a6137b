//! A broker in memory, members that reach it over pipes that can be cut, and a producer of numbered records.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use vltava_broker::{Broker, Builder, Connector, disk::Memory};
use vltava_client::{Address, BoxFuture, Client, ConsumerBuilder, Dial, Stream};
use vltava_wire::{
    Compression, Request, frame,
    messages::{
        DescribeGroupsRequest, DescribedGroupMember, LeaveGroupRequest, MemberIdentity, OffsetFetchRequest,
        OffsetFetchRequestTopic,
        produce::{PartitionProduceData, ProduceRequest, TopicProduceData},
    },
    record::{BatchBuilder, RecordSlices, Stamp},
};

pub(crate) const TOPIC: &str = "orders";
pub(crate) const GROUP: &str = "audit";
const NO_PANIC: &str = "no test panics while it holds this";
pub(crate) const SESSION: Duration = Duration::from_secs(10);
pub(crate) const REBALANCE: Duration = Duration::from_secs(20);

/// A broker, and how many records each partition of its topic has.
pub(crate) struct World {
    broker: Option<Broker>,
    /// Where new connections lead.
    door: Arc<Mutex<Connector>>,
    disk: Arc<Memory>,
    produced: BTreeMap<i32, usize>,
    seed: u64,
}

impl World {
    pub(crate) async fn new(partitions: i32) -> Self {
        Self::with(Broker::in_memory().topic(TOPIC, partitions)).await
    }

    pub(crate) async fn with(builder: Builder) -> Self {
        let disk = Arc::new(Memory::new());
        let broker = builder.disk(disk.clone()).seed(1).start().await.expect("a broker in memory starts");
        let door = Arc::new(Mutex::new(broker.connector()));
        Self { broker: Some(broker), door, disk, produced: BTreeMap::new(), seed: 10 }
    }

    /// The broker stops and starts again on the same disk: it has forgotten who is in which group.
    pub(crate) async fn restart_broker(&mut self) {
        let broker = self.broker.take().expect("it runs");
        broker.shutdown().await.expect("it stops");
        let broker = Broker::in_memory().disk(self.disk.clone()).start().await.expect("it starts again");
        *self.door.lock().expect(NO_PANIC) = broker.connector();
        self.broker = Some(broker);
    }

    /// A client of its own, as another process would have it, and the switch that kills it.
    pub(crate) async fn client(&mut self) -> (Client, Switch) {
        self.seed += 1;
        let switch = Switch::default();
        let dial = Pipes { door: self.door.clone(), switch: switch.clone() };
        let client = Client::builder().brokers("broker:9092").seed(self.seed).dial(Arc::new(dial));
        (client.connect().await.expect("the broker is there"), switch)
    }

    pub(crate) async fn member(&mut self) -> (ConsumerBuilder, Switch) {
        let (client, switch) = self.client().await;
        let builder = client.consumer().group(GROUP).session_timeout(SESSION).rebalance_timeout(REBALANCE);
        (builder.heartbeat_interval(Duration::from_secs(1)).max_wait(Duration::from_millis(100)), switch)
    }

    /// Appends records that say where they are.
    pub(crate) async fn produce(&mut self, partition: i32, count: usize) {
        let first = self.produced.entry(partition).or_default();
        let mut batch = BatchBuilder::new();
        for at in *first..*first + count {
            let value = format!("{partition}:{at}");
            batch.append(RecordSlices::new(0, None, Some(value.as_bytes()))).expect("it is small");
        }
        *first += count;
        let records = batch.finish(Stamp::NONE, Compression::None).expect("it is small");
        let data = PartitionProduceData { index: partition, records: Some(records) };
        let topic =
            TopicProduceData { name: TOPIC.to_owned(), partition_data: vec![data], ..Default::default() };
        let request =
            ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() };
        let response = self.ask(9, request).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }

    pub(crate) async fn produce_everywhere(&mut self, partitions: i32, count: usize) {
        for partition in 0..partitions {
            self.produce(partition, count).await;
        }
    }

    /// Every record that was produced.
    pub(crate) fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .produced
            .iter()
            .flat_map(|(partition, count)| (0..*count).map(move |at| format!("{partition}:{at}")))
            .collect();
        all.sort();
        all
    }

    /// What the group has committed for a partition, and its note; -1 for nothing.
    pub(crate) async fn committed(&self, partition: i32) -> (i64, String) {
        let topic = OffsetFetchRequestTopic { name: TOPIC.to_owned(), partition_indexes: vec![partition] };
        let request = OffsetFetchRequest {
            group_id: GROUP.to_owned(),
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let response = self.ask(5, request).await;
        let it = &response.topics[0].partitions[0];
        (it.committed_offset, it.metadata.clone().unwrap_or_default())
    }

    /// An administrator removes every member.
    pub(crate) async fn expel_everybody(&self) {
        let describe = DescribeGroupsRequest { groups: vec![GROUP.to_owned()], ..Default::default() };
        let described = self.ask(4, describe).await;
        let identity = |member: &DescribedGroupMember| MemberIdentity {
            member_id: member.member_id.clone(),
            ..Default::default()
        };
        let members = described.groups[0].members.iter().map(identity).collect();
        let leave = LeaveGroupRequest { group_id: GROUP.to_owned(), members, ..Default::default() };
        let left = self.ask(4, leave).await;
        assert!(left.members.iter().all(|member| member.error_code == 0) && !left.members.is_empty());
    }

    /// One request over a connection of its own.
    async fn ask<R: Request>(&self, version: i16, request: R) -> R::Response {
        let mut pipe = self.broker.as_ref().expect("it runs").connect();
        let frame = frame::request(version, 1, Some("test"), &request).expect("the version can say it");
        pipe.write_all(&frame.into_bytes()).await.expect("the broker reads");
        let length = pipe.read_u32().await.expect("the broker answers");
        let mut answer = vec![0; length as usize];
        pipe.read_exact(&mut answer).await.expect("the answer is whole");
        frame::response_body::<R>(answer.into(), version, 1 << 20).expect("it is the answer")
    }
}

/// Kills a process as far as the network can tell: its connections end, and it gets no new ones.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<SwitchState>);

#[derive(Default)]
struct SwitchState {
    is_off: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Switch {
    pub(crate) fn kill(&self) {
        self.0.is_off.store(true, Ordering::SeqCst);
        for waker in self.0.wakers.lock().expect(NO_PANIC).drain(..) {
            waker.wake();
        }
    }

    fn check(&self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.0.is_off.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.0.wakers.lock().expect(NO_PANIC).push(cx.waker().clone());
        Ok(())
    }
}

struct Pipes {
    door: Arc<Mutex<Connector>>,
    switch: Switch,
}

impl Dial for Pipes {
    fn dial(&self, _: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let is_off = self.switch.0.is_off.load(Ordering::SeqCst);
        let door = self.door.lock().expect(NO_PANIC);
        let pipe = if is_off { Err(io::ErrorKind::ConnectionRefused.into()) } else { door.connect() };
        let switch = self.switch.clone();
        Box::pin(async move { Ok(Box::new(Pipe { inner: Some(pipe?), switch }) as Box<dyn Stream>) })
    }
}

/// A pipe that ends, for both sides, when the switch is thrown.
struct Pipe {
    inner: Option<DuplexStream>,
    switch: Switch,
}

impl Pipe {
    fn inner(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut DuplexStream>> {
        if let Err(error) = self.switch.check(cx) {
            self.inner = None;
            return Err(error);
        }
        Ok(Pin::new(self.inner.as_mut().expect("it is there until the switch is thrown")))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner(cx)?.poll_read(cx, into)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner(cx)?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner(cx)?.poll_shutdown(cx)
    }
}
