//! The memory for requests: who may have how much of it, and that others get through.

use std::time::Duration;

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, time::Instant};
use vltava_broker::Broker;
use vltava_wire::{
    Compression, frame,
    messages::{
        ApiVersionsRequest, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, ProduceRequest,
        fetch::FetchPartition,
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records};

/// Half for 16 connections, three eighths for frames, one for what is decoded.
const MEMORY_BYTES: usize = 2 << 20;

async fn start() -> Broker {
    Broker::in_memory().request_memory(MEMORY_BYTES).topic("orders", 1).start().await.unwrap()
}

/// Records of so many bytes.
fn large(bytes: usize) -> Bytes {
    batch(0, &[&"v".repeat(bytes)], Stamp::NONE, Compression::None)
}

/// The start of a Produce request that says it is so long.
fn start_of_a_request(bytes: u32) -> Vec<u8> {
    [&bytes.to_be_bytes()[..], &[0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff]].concat()
}

#[tokio::test(start_paused = true)]
async fn a_long_request_waits_for_room_and_small_ones_do_not() {
    let broker = start().await;
    let mut idle = Caller::of(&broker);
    idle.pipe.write_all(&start_of_a_request(500 << 10)).await.unwrap();
    let (mut long, mut small) = (Caller::of(&broker), Caller::of(&broker));
    // It is a connection's to say what a pipe holds; the broker does not read it.
    let sent = tokio::spawn(async move {
        let response = long.call(9, produce(-1, large(400 << 10))).await;
        (Instant::now(), response.responses[0].partition_responses[0].error_code)
    });
    let started = Instant::now();
    for offset in 0..10 {
        assert_eq!(small.call(0, ApiVersionsRequest::default()).await.error_code, 0);
        let response = small.call(9, produce(-1, batch(0, &["v"], Stamp::NONE, Compression::None))).await;
        assert_eq!(response.responses[0].partition_responses[0].base_offset, offset);
    }
    assert_eq!(records(fetched(&small.call(12, fetch(0, 0)).await)).len(), 10);
    assert!(!sent.is_finished() && broker.request_memory().used >= 500 << 10);
    let (served, code) = sent.await.unwrap();
    let waited = served - started;
    assert_eq!(code, 0);
    assert!(waited >= Duration::from_secs(10), "the other one had its time: {waited:?}");
    assert!(waited < Duration::from_secs(11), "and no more of it: {waited:?}");
    idle.closed().await;
    drop(small);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_there_could_never_be_room_for_is_refused() {
    let broker = start().await;
    let mut caller = Caller::of(&broker);
    caller.pipe.write_all(&start_of_a_request(800 << 10)).await.unwrap();
    caller.closed().await;
    let mut caller = Caller::of(&broker);
    assert_eq!(
        caller.call(9, produce(-1, large(700 << 10))).await.responses[0].partition_responses[0].error_code,
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_decoded_into_too_much_is_refused() {
    let broker = start().await;
    // 20,000 topics without a name and without partitions: 6 bytes on the wire each.
    let mut frame = start_of_a_request(0);
    frame[4..8].copy_from_slice(&[0, 2, 0, 1]);
    frame.extend((-1i32).to_be_bytes());
    frame.extend(20_000i32.to_be_bytes());
    frame.resize(frame.len() + 20_000 * 6, 0);
    let length = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    let mut caller = Caller::of(&broker);
    caller.pipe.write_all(&frame).await.unwrap();
    caller.closed().await;
    assert!(broker.request_memory().peak <= MEMORY_BYTES);
    let mut caller = Caller::of(&broker);
    let few = caller.call(1, ListOffsetsRequest { replica_id: -1, ..Default::default() }).await;
    assert!(few.topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_connections_than_there_is_memory_for() {
    let broker = start().await;
    let mut all: Vec<_> = (0..16).map(|_| Caller::of(&broker)).collect();
    for caller in &mut all {
        assert_eq!(caller.call(0, ApiVersionsRequest::default()).await.error_code, 0);
    }
    Caller::of(&broker).closed().await;
    all.pop();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(Caller::of(&broker).call(0, ApiVersionsRequest::default()).await.error_code, 0);
    drop(all);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(broker.request_memory().used, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_request_held_comes_back_with_its_answer() {
    let broker = start().await;
    let mut caller = Caller::of(&broker);
    let idle = {
        caller.call(0, ApiVersionsRequest::default()).await;
        broker.request_memory().used
    };
    for _ in 0..5 {
        caller.call(9, produce(-1, large(100 << 10))).await;
        assert_eq!(broker.request_memory().used, idle);
    }
    assert!(broker.request_memory().peak > idle + (100 << 10));
}

#[tokio::test(start_paused = true)]
async fn long_requests_take_turns_and_none_waits_for_another_that_waits() {
    let broker = start().await;
    let started = Instant::now();
    let mut all = Vec::new();
    for which in 0..12 {
        let mut caller = Caller::of(&broker);
        all.push(tokio::spawn(async move {
            for _ in 0..5 {
                if which % 2 == 0 {
                    let stored = caller.call(9, produce(-1, large(300 << 10))).await;
                    assert_eq!(stored.responses[0].partition_responses[0].error_code, 0);
                } else {
                    // Much to decode, more of it than the connection has of its own.
                    let asked = many_partitions(2_000);
                    assert_eq!(caller.call(1, asked).await.topics[0].partitions.len(), 2_000);
                }
            }
        }));
    }
    for caller in all {
        caller.await.unwrap();
    }
    let memory = broker.request_memory();
    assert!(memory.peak <= memory.max, "{memory:?}");
    assert!(started.elapsed() < Duration::from_secs(1), "nobody was waited for in vain");
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_keep_no_others_from_being_decoded() {
    let broker = Broker::in_memory().topic("orders", 500).start().await.unwrap();
    let mut waiting: Vec<_> = (0..2).map(|_| Caller::of(&broker)).collect();
    for caller in &mut waiting {
        let mut asked = fetch(0, 10_000);
        let partitions = &mut asked.topics[0].partitions;
        *partitions =
            (0..500).map(|partition| FetchPartition { partition, ..partitions[0].clone() }).collect();
        caller.send(12, &asked).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let started = Instant::now();
    let listed = Caller::of(&broker).call(1, many_partitions(2_000)).await;
    assert_eq!(listed.topics[0].partitions.len(), 2_000);
    assert!(started.elapsed() < Duration::from_secs(1), "waited {:?}", started.elapsed());
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_its_time_as_long_as_it_goes_on() {
    let broker = start().await;
    let mut slow = Caller::of(&broker);
    let request = produce(-1, large(600 << 10));
    let frame = frame::request(9, 1, None, &request).unwrap().into_bytes();
    let started = Instant::now();
    for piece in frame.chunks(100 << 10) {
        slow.pipe.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let stored = slow.receive::<ProduceRequest>(9, 1).await;
    assert_eq!(stored.responses[0].partition_responses[0].error_code, 0);
    assert!(started.elapsed() > Duration::from_secs(40));
}

fn many_partitions(count: i32) -> ListOffsetsRequest {
    let partition = |partition_index| ListOffsetsPartition { partition_index, ..Default::default() };
    let topic = ListOffsetsTopic { name: "orders".into(), partitions: (0..count).map(partition).collect() };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_answered_yet_holds_no_room() {
    let broker = start().await;
    let mut full = Caller::of(&broker);
    // One reply waits for a record that never comes, and as many behind it as the broker keeps.
    full.send(12, &fetch(0, 20_000)).await;
    for _ in 0..32 {
        full.send(0, &ApiVersionsRequest::default()).await;
    }
    let sending = tokio::spawn(async move { full.send(9, &produce(-1, large(600 << 10))).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let started = Instant::now();
    let stored = Caller::of(&broker).call(9, produce(-1, large(600 << 10))).await;
    assert_eq!(stored.responses[0].partition_responses[0].error_code, 0);
    assert!(started.elapsed() < Duration::from_secs(1), "waited {:?}", started.elapsed());
    sending.abort();
}
