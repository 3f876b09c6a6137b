//! A client that is nothing but frames.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use vltava_broker::Broker;
use vltava_wire::{
    Compression, Request, Uuid, frame,
    messages::{
        FetchRequest, FetchResponse, ProduceRequest,
        fetch::{FetchPartition, FetchTopic, PartitionData},
        produce::{PartitionProduceData, TopicProduceData},
    },
    record::{self, BatchBuilder, RecordSlices, Stamp},
};

/// What decoding a response may allocate.
const BUDGET: usize = 16 << 20;

/// One connection to a broker.
pub(crate) struct Caller<S = DuplexStream> {
    pub(crate) pipe: S,
    correlation_id: i32,
}

impl Caller {
    pub(crate) fn of(broker: &Broker) -> Self {
        Self::over(broker.connect())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Caller<S> {
    pub(crate) fn over(pipe: S) -> Self {
        Self { pipe, correlation_id: 0 }
    }

    /// Sends a request and waits for its response.
    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        let id = self.send(version, &request).await;
        self.receive::<R>(version, id).await
    }

    /// Sends a request without waiting; says its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        let frame = frame::request(version, self.correlation_id, Some("tester"), request).expect("encodes");
        self.pipe.write_all(&frame.into_bytes()).await.expect("the broker reads");
        self.correlation_id
    }

    /// The next response, which must be the one to this request.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, id: i32) -> R::Response {
        let frame = self.frame().await;
        assert_eq!(frame::correlation_id(&frame), Some(id), "responses come in the order of the requests");
        frame::response_body::<R>(frame, version, BUDGET).expect("the response decodes")
    }

    /// The next response as it is, without its length.
    pub(crate) async fn frame(&mut self) -> Bytes {
        let length = self.pipe.read_u32().await.expect("a response comes");
        let mut frame = vec![0; length as usize];
        self.pipe.read_exact(&mut frame).await.expect("the response is whole");
        frame.into()
    }

    /// Waits until the broker closes the connection, and asserts that it said nothing before.
    pub(crate) async fn closed(mut self) {
        let mut rest = Vec::new();
        // A pipe whose other end was dropped reads as ended.
        self.pipe.read_to_end(&mut rest).await.expect("a pipe can be read to its end");
        assert!(rest.is_empty(), "the broker said {rest:?} before it closed the connection");
    }
}

pub(crate) fn text(text: &str) -> String {
    text.to_owned()
}

/// A batch of these values, one millisecond apart from `timestamp` on.
pub(crate) fn batch(timestamp: i64, values: &[&str], stamp: Stamp, compression: Compression) -> Bytes {
    let mut batch = BatchBuilder::new();
    for (later, value) in (0..).zip(values) {
        let record = RecordSlices::new(timestamp + later, Some(b"key"), Some(value.as_bytes()));
        batch.append(record).expect("the batch has room");
    }
    batch.finish(stamp, compression).expect("the batch packs")
}

/// Sends `records` to partition 0 of `orders`.
pub(crate) fn produce(acks: i16, records: Bytes) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData { index: 0, records: Some(records) }];
    let topic_data = vec![TopicProduceData { name: text("orders"), topic_id: Uuid::ZERO, partition_data }];
    ProduceRequest { acks, timeout_ms: 30_000, topic_data, ..Default::default() }
}

/// Fetches partition 0 of `orders`, waiting `max_wait_ms` for a byte.
pub(crate) fn fetch(offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition =
        FetchPartition { fetch_offset: offset, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: text("orders"), topic_id: Uuid::ZERO, partitions: vec![partition] };
    FetchRequest { max_wait_ms, min_bytes: 1, max_bytes: 1 << 20, topics: vec![topic], ..Default::default() }
}

/// What a response says of its only partition.
pub(crate) fn fetched(response: &FetchResponse) -> &PartitionData {
    assert_eq!(response.error_code, 0, "the request as a whole was served");
    &response.responses[0].partitions[0]
}

/// Offset and value of every record that was fetched.
pub(crate) fn records(data: &PartitionData) -> Vec<(i64, String)> {
    let all = record::batches(data.records.clone().unwrap_or_default());
    let mut records = Vec::new();
    for batch in all {
        let batch = batch.expect("the broker sends whole batches");
        batch.check_crc().expect("the bytes are those that were sent");
        let unpacked = batch.decompress(record::Limits::default()).expect("the batch unpacks");
        let value = |it: record::RecordRef<'_>| String::from_utf8(it.value().unwrap().to_vec()).unwrap();
        records.extend(unpacked.iter().map(|it| (it.offset(), value(it))));
    }
    records
}
