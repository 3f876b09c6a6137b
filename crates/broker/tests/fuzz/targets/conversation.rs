//! What clients send to a broker, on several connections, and what it answers.
//!
//! An input is a row of requests. Each begins with a byte that says on which connection it is sent, and whether that
//! is a new one; two bytes are its length, or at least that of what is left.

use std::{collections::VecDeque, fmt::Debug, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime,
    time::timeout,
};
use vltava_broker::{Broker, disk::Memory};
use vltava_wire::{
    Api, Compression, Encoder, Request, Wire, frame,
    messages::*,
    record::{BatchBuilder, RecordSlices, Stamp},
    sample::{Dice, Sample, Visitor, each_message},
};

use super::panics;

/// Connections that are open at a time.
const CONNECTIONS: usize = 3;
/// The bit that says that the connection is a new one.
const ANEW: u8 = 0x10;
/// Longer than any honest answer takes that nobody else must bring about.
const PATIENCE: Duration = Duration::from_secs(2);
/// What an answer may take to be read.
const BUDGET: usize = 16 << 20;
const TOPIC: &str = "t";

/// Whatever clients send, they are answered in order with responses that can be read, or refused; the broker goes on,
/// and opens again with what it stored.
pub(crate) fn check(input: &[u8]) {
    panics::see();
    let paused = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    paused.expect("a runtime can be made").block_on(converse(input));
    panics::none();
}

async fn converse(mut input: &[u8]) {
    let disk = Memory::new();
    let broker = opened(&disk).await;
    let mut connections = [(); CONNECTIONS].map(|()| Connection::to(&broker));
    while let [how, high, low, rest @ ..] = input {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (request, rest) = rest.split_at(length);
        input = rest;
        let connection = &mut connections[usize::from(how & 0x0f) % CONNECTIONS];
        if how & ANEW != 0 {
            *connection = Connection::to(&broker);
        }
        connection.ask(request).await;
    }
    let mut last = Connection::to(&broker);
    last.ask(&framed(3, &ApiVersionsRequest::default())).await;
    assert!(last.waiting.is_empty(), "others are served");
    broker.shutdown().await.expect("a broker that nothing is wrong with stops");
    opened(&disk).await.shutdown().await.expect("a broker that nothing is wrong with stops");
}

async fn opened(disk: &Memory) -> Broker {
    let broker = Broker::in_memory().disk(Arc::new(disk.clone())).seed(1).topic(TOPIC, 2);
    broker.start().await.expect("what the broker stored opens again")
}

struct Connection {
    stream: DuplexStream,
    /// What was asked and not answered: correlation id, and what may follow it if that is known.
    waiting: VecDeque<(i32, Option<(Api, i16)>)>,
}

impl Connection {
    fn to(broker: &Broker) -> Self {
        Self { stream: broker.connect(), waiting: VecDeque::new() }
    }

    /// Sends a request and reads what is answered by then.
    async fn ask(&mut self, request: &[u8]) {
        if let Some(&[key_high, key_low, number_high, number_low, a, b, c, d]) = request.first_chunk() {
            let number = i16::from_be_bytes([number_high, number_low]);
            let api = Api::from_key(i16::from_be_bytes([key_high, key_low]));
            let spoken = api.filter(|it| it.versions().contains(&number)).map(|it| (it, number));
            self.waiting.push_back((i32::from_be_bytes([a, b, c, d]), spoken));
        }
        let length = u32::try_from(request.len()).expect("a request is short");
        // The broker may have hung up.
        let _ = self.stream.write_all(&[&length.to_be_bytes(), request].concat()).await;
        while let Ok(Ok(length)) = timeout(PATIENCE, self.stream.read_u32()).await {
            let mut response = vec![0; length as usize];
            self.stream.read_exact(&mut response).await.expect("a response is sent to its end");
            self.answered(response.into());
        }
    }

    /// What has no answer, as a write without acknowledgement, is passed over.
    fn answered(&mut self, response: Bytes) {
        let id = frame::correlation_id(&response).expect("a response has a correlation id");
        while let Some((asked, spoken)) = self.waiting.pop_front() {
            if asked == id {
                if let Some((api, number)) = spoken {
                    each_message(&mut Read { api, number, response });
                }
                return;
            }
        }
        panic!("an answer to {id}, which nobody asked");
    }
}

/// Reads a response as what was asked for.
struct Read {
    api: Api,
    number: i16,
    response: Bytes,
}

impl Visitor for Read {
    fn visit<T: Wire + Sample + PartialEq + Debug>(&mut self, _: Api, _: &'static str) {}

    fn ask<R: Request + Sample>(&mut self) {
        if R::API == self.api {
            let read = frame::response_body::<R>(self.response.clone(), self.number, BUDGET);
            read.unwrap_or_else(|error| panic!("{:?} {}: {error}", self.api, self.number));
        }
    }
}

/// Every request in every version by itself, and conversations that get further.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut samples = Samples(Vec::new());
    each_message(&mut samples);
    samples.0.extend((0..=4).map(lives));
    samples.0
}

struct Samples(Vec<Vec<u8>>);

impl Visitor for Samples {
    fn visit<T: Wire + Sample + PartialEq + Debug>(&mut self, api: Api, name: &'static str) {
        if !name.ends_with("Request") {
            return;
        }
        for number in api.versions() {
            let version = api.version(number);
            let mut body = Encoder::default();
            let message = T::sample(&mut Dice::new(number as u64), version);
            message.encode(&mut body, version).expect("a sample fits its version");
            let tags: &[u8] = if version.flexible { &[0] } else { &[] };
            let header =
                [&api.key().to_be_bytes()[..], &number.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff], tags];
            self.0.push(asked(0, &[&header.concat()[..], &body.into_bytes()].concat()));
        }
    }
}

fn asked(how: u8, request: &[u8]) -> Vec<u8> {
    let length = u16::try_from(request.len()).expect("a request is short");
    [&[how], &length.to_be_bytes()[..], request].concat()
}

fn framed<R: Request>(version: i16, request: &R) -> Vec<u8> {
    let version = version.clamp(*R::API.versions().start(), *R::API.versions().end());
    frame::request(version, 1, Some("seed"), request).expect("a seed fits its version").into_bytes()[4..]
        .to_vec()
}

/// A topic and a group from their making to their end, in an older or newer version of everything.
fn lives(version: i16) -> Vec<u8> {
    let version = version * 4;
    let topic =
        CreatableTopic { name: "u".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let mut requests = vec![
        framed(version, &CreateTopicsRequest { topics: vec![topic], ..Default::default() }),
        framed(version, &InitProducerIdRequest { transactional_id: None, ..Default::default() }),
    ];
    requests.extend(Compression::ALL.map(|kind| framed(version, &produced(version, kind))));
    requests.extend([fetched(version), listed(version)]);
    let protocol = JoinGroupRequestProtocol { name: "range".into(), metadata: Bytes::from_static(b"m") };
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol],
        ..Default::default()
    };
    requests.extend([framed(version, &join), committed(version)]);
    requests.push(framed(version.min(7), &OffsetFetchRequest { group_id: "g".into(), ..Default::default() }));
    requests.push(framed(version, &MetadataRequest::default()));
    requests.push(framed(5, &DeleteTopicsRequest { topic_names: vec![TOPIC.into()], ..Default::default() }));
    let sent = requests.iter().enumerate();
    sent.flat_map(|(at, request)| asked(if at % 4 == 3 { 1 } else { 0 }, request)).collect()
}

fn produced(version: i16, kind: Compression) -> ProduceRequest {
    let kind = if kind.is_available() { kind } else { Compression::None };
    let mut batch = BatchBuilder::new();
    batch.append(RecordSlices::new(1_000, Some(b"key"), Some(b"value"))).expect("the batch has room");
    let records = batch.finish(Stamp::NONE, kind).expect("a batch with records can be finished");
    let partition = produce::PartitionProduceData { index: 0, records: Some(records) };
    // From 13 on topics have ids, which nobody knows beforehand.
    let name = if version < 13 { TOPIC } else { "" };
    let topic = produce::TopicProduceData {
        name: name.into(),
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest { acks: -1, timeout_ms: 1_000, topic_data: vec![topic], ..Default::default() }
}

fn fetched(version: i16) -> Vec<u8> {
    let partition =
        fetch::FetchPartition { partition: 0, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = fetch::FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_wait_ms: 100, min_bytes: 1, topics: vec![topic], ..Default::default() };
    framed(version.min(12), &request)
}

fn listed(version: i16) -> Vec<u8> {
    let partition = ListOffsetsPartition { partition_index: 0, timestamp: 500, ..Default::default() };
    let topic = ListOffsetsTopic { name: TOPIC.into(), partitions: vec![partition] };
    framed(version, &ListOffsetsRequest { topics: vec![topic], ..Default::default() })
}

fn committed(version: i16) -> Vec<u8> {
    let partition =
        OffsetCommitRequestPartition { partition_index: 0, committed_offset: 1, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    framed(
        version.min(9),
        &OffsetCommitRequest { group_id: "g".into(), topics: vec![topic], ..Default::default() },
    )
}
