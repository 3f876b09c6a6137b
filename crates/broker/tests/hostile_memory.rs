//! Many hostile connections at once, counted by the allocator: together they take no more than the broker's memory
//! for requests, and a client that behaves gets through.

use std::time::Duration;

use allocation_counter::measure;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use vltava_broker::Broker;
use vltava_wire::{
    Compression, Request, frame,
    messages::{
        ApiVersionsRequest, MetadataRequest, ProduceRequest,
        produce::{PartitionProduceData, TopicProduceData},
    },
    record::{BatchBuilder, RecordSlices, Stamp},
};

/// For the requests of all connections: 12 MiB of it are for frames.
const MEMORY_BYTES: usize = 32 << 20;

const HOSTILE_CONNECTIONS: usize = 100;

/// What each of them sends, as far as it is read: without a bound that would be 400 MiB.
const FRAME_BYTES: usize = 4 << 20;

/// What a connection costs besides: two ends of a pipe of 64 KiB, each growing into twice its bytes at most.
const PIPES_BYTES: usize = 256 << 10;

/// The broker itself, its journal, the test.
const CONSTANT_BYTES: usize = 8 << 20;

#[test]
fn many_hostile_connections_stay_within_the_memory_for_requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime starts");
    let counted = measure(|| runtime.block_on(besieged()));
    let most = MEMORY_BYTES + (HOSTILE_CONNECTIONS + 1) * PIPES_BYTES + CONSTANT_BYTES;
    assert!((counted.bytes_max as usize) < most, "{} bytes were allocated at once", counted.bytes_max);
}

async fn besieged() {
    let broker = Broker::in_memory().request_memory(MEMORY_BYTES).topic("orders", 1).start().await;
    let broker = broker.expect("it starts");
    let attacks: Vec<_> =
        (0..HOSTILE_CONNECTIONS).map(|which| tokio::spawn(attack(broker.connect(), which))).collect();
    let mut pipe = broker.connect();
    for _ in 0..50 {
        call(&mut pipe, 0, ApiVersionsRequest::default()).await;
        call(&mut pipe, 9, MetadataRequest::default()).await;
        let stored = call(&mut pipe, 9, a_record()).await;
        assert_eq!(stored.responses[0].partition_responses[0].error_code, 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let memory = broker.request_memory();
    assert!(memory.peak <= memory.max, "{memory:?}");
    assert!(memory.peak > memory.max / 3, "the attack was one: {memory:?}");
    for attack in attacks {
        attack.abort();
    }
}

/// Sends a long frame, or most of it; what it says makes no sense. Then holds the connection.
async fn attack(mut pipe: DuplexStream, which: usize) {
    let header: &[u8] = match which % 4 {
        // Produce and OffsetCommit, of which some is missing.
        0 => &[0, 0, 0, 9],
        1 => &[0, 8, 0, 2],
        // A million topics of nothing, in Metadata and ListOffsets.
        2 => &[0, 3, 0, 1],
        _ => &[0, 2, 0, 1],
    };
    let is_whole = which % 4 > 1;
    let start = [&(FRAME_BYTES as u32).to_be_bytes()[..], header, &[0, 0, 0, 1, 0xff, 0xff]].concat();
    let lies = [0, 0x0f, 0x42, 0x40];
    let mut left = FRAME_BYTES + 4 - start.len() - lies.len();
    if !is_whole {
        left -= 1;
    }
    // The broker may close at any time.
    let _ = pipe.write_all(&[&start[..], &lies].concat()).await;
    let zeros = [0; 4 << 10];
    while left > 0 {
        let piece = left.min(zeros.len());
        if pipe.write_all(&zeros[..piece]).await.is_err() {
            return;
        }
        left -= piece;
    }
    std::future::pending::<()>().await;
}

fn a_record() -> ProduceRequest {
    let mut batch = BatchBuilder::new();
    batch.append(RecordSlices::new(0, None, Some(b"value"))).expect("the batch has room");
    let records = batch.finish(Stamp::NONE, Compression::None).expect("a record is there");
    let partition_data = vec![PartitionProduceData { index: 0, records: Some(records) }];
    let topic = TopicProduceData { name: "orders".into(), partition_data, ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

async fn call<R: Request>(pipe: &mut DuplexStream, version: i16, request: R) -> R::Response {
    let frame = frame::request(version, 1, None, &request).expect("it can be written");
    pipe.write_all(&frame.into_bytes()).await.expect("the broker reads");
    let length = pipe.read_u32().await.expect("the broker answers");
    let mut response = vec![0; length as usize];
    pipe.read_exact(&mut response).await.expect("the answer is whole");
    frame::response_body::<R>(response.into(), version, 1 << 20).expect("the answer makes sense")
}
