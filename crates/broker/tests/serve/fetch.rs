//! Batches from partitions: where from, how many, and waiting for them.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use vltava_broker::{
    Broker,
    disk::{Disk, Memory},
};
use vltava_wire::{
    Api, Compression, ErrorCode, Uuid,
    messages::{
        ApiVersionsRequest, DeleteTopicsRequest, FetchRequest, ListOffsetsPartition, ListOffsetsRequest,
        ListOffsetsTopic, MetadataRequest,
        fetch::{FetchPartition, FetchTopic},
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records};

async fn broker() -> Broker {
    Broker::in_memory().topic("orders", 2).start().await.unwrap()
}

async fn append(caller: &mut Caller, timestamp: i64, values: &[&str]) {
    let response =
        caller.call(9, produce(-1, batch(timestamp, values, Stamp::NONE, Compression::None))).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

async fn topic_id(caller: &mut Caller) -> Uuid {
    let all = MetadataRequest { topics: None, ..Default::default() };
    caller.call(12, all).await.topics[0].topic_id
}

#[tokio::test(start_paused = true)]
async fn every_version_fetches_by_name_or_by_id() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    append(&mut caller, 0, &["a", "b", "c"]).await;
    let id = topic_id(&mut caller).await;
    for version in Api::Fetch.versions() {
        let mut request = fetch(1, 0);
        request.isolation_level = (version % 2) as i8;
        request.topics[0].topic_id = id;
        let response = caller.call(version, request).await;
        let data = fetched(&response);
        assert_eq!(records(data).len(), 3, "version {version}: an offset in a batch brings all of it");
        assert_eq!((data.high_watermark, data.last_stable_offset), (3, 3));
        assert_eq!(response.session_id, 0);
    }
    let mut request = fetch(0, 60_000);
    request.topics[0].topic_id = Uuid(1);
    let response = caller.call(13, request).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::UnknownTopicId);
}

#[tokio::test(start_paused = true)]
async fn one_batch_always_comes_and_more_only_as_long_as_they_fit() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let value = "x".repeat(1000);
    for _ in 0..10 {
        append(&mut caller, 0, &[&value]).await;
    }
    for (partition_bytes, all_bytes, count) in
        [(1, 1 << 20, 1), (1 << 20, 1, 1), (3500, 1 << 20, 3), (1 << 20, 5500, 5)]
    {
        let mut request = FetchRequest { max_bytes: all_bytes, ..fetch(0, 0) };
        request.topics[0].partitions[0].partition_max_bytes = partition_bytes;
        let response = caller.call(12, request).await;
        assert_eq!(records(fetched(&response)).len(), count, "{partition_bytes} and {all_bytes} bytes");
    }
    let mut request = FetchRequest { max_bytes: 1, ..fetch(0, 0) };
    let again = request.topics[0].partitions[0].clone();
    request.topics[0].partitions.push(again);
    let response = caller.call(12, request).await;
    let counts: Vec<_> = response.responses[0].partitions.iter().map(|it| records(it).len()).collect();
    assert_eq!(counts, [1, 0], "only the first batch of a response may be too large");
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_named_twice_is_read_once() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    append(&mut caller, 0, &["a"]).await;
    let mut request = fetch(0, 0);
    let again = request.topics[0].partitions[0].clone();
    request.topics[0].partitions.push(again);
    let again = request.topics[0].clone();
    request.topics.push(again);
    let response = caller.call(12, request).await;
    let all = response.responses.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<_> = all.map(|it| (records(it).len(), it.error_code, it.high_watermark)).collect();
    assert_eq!(told, [(1, 0, 1), (0, 0, 1), (0, 0, 1), (0, 0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_full_reads_no_more() {
    let disk = Memory::new();
    let start = || Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 2).start();
    let broker = start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for index in 0..2 {
        let mut request = produce(-1, batch(0, &["a"], Stamp::NONE, Compression::None));
        request.topic_data[0].partition_data[0].index = index;
        assert_eq!(caller.call(9, request).await.responses[0].partition_responses[0].error_code, 0);
    }
    // After a stop all batches are in segments; whoever reads the damaged one is told.
    broker.shutdown().await.unwrap();
    let broker = start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let mut names = disk.list().unwrap().into_iter().map(|(name, _)| name);
    let second = names.find(|name| name.contains("-1-") && name.ends_with(".log")).unwrap();
    disk.damage(&second, 0..60).unwrap();
    let one = records_bytes(&mut caller).await;
    for (max_bytes, code) in
        [(1, ErrorCode::None), (one, ErrorCode::None), (one + 1, ErrorCode::CorruptMessage)]
    {
        let mut request = FetchRequest { max_bytes, ..fetch(0, 0) };
        let other = FetchPartition { partition: 1, ..request.topics[0].partitions[0].clone() };
        request.topics[0].partitions.push(other);
        let response = caller.call(12, request).await;
        let [first, second] = &response.responses[0].partitions[..] else { panic!("{response:?}") };
        assert_eq!(records(first).len(), 1, "{max_bytes} bytes");
        assert_eq!(ErrorCode::from(second.error_code), code, "{max_bytes} bytes");
    }
}

/// The bytes of all there is in partition 0.
async fn records_bytes(caller: &mut Caller) -> i32 {
    let response = caller.call(12, fetch(0, 0)).await;
    fetched(&response).records.as_ref().map_or(0, |records| records.len() as i32)
}

#[tokio::test(start_paused = true)]
async fn an_empty_fetch_waits_until_its_time_is_up() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let start = Instant::now();
    let response = caller.call(12, fetch(0, 700)).await;
    assert!(records(fetched(&response)).is_empty());
    let waited = start.elapsed();
    assert!((Duration::from_millis(700)..Duration::from_millis(710)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_append_wakes_a_fetch_that_waits_for_it() {
    let broker = broker().await;
    let (mut reader, mut writer) = (Caller::of(&broker), Caller::of(&broker));
    let start = Instant::now();
    let id = reader.send(12, &fetch(0, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    append(&mut writer, 0, &["a"]).await;
    let response = reader.receive::<FetchRequest>(12, id).await;
    assert_eq!(records(fetched(&response)), [(0, "a".to_owned())]);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_is_told_when_its_topic_is_deleted() {
    let broker = broker().await;
    let (mut reader, mut admin) = (Caller::of(&broker), Caller::of(&broker));
    let start = Instant::now();
    let id = reader.send(12, &fetch(0, 60_000)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let request = DeleteTopicsRequest { topic_names: vec!["orders".to_owned()], ..Default::default() };
    assert_eq!(admin.call(5, request).await.responses[0].error_code, 0);
    let response = reader.receive::<FetchRequest>(12, id).await;
    let code = ErrorCode::from(fetched(&response).error_code);
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_fetch_waits_for_as_many_bytes_as_it_asks_for() {
    let broker = broker().await;
    let (mut reader, mut writer) = (Caller::of(&broker), Caller::of(&broker));
    let value = "x".repeat(1000);
    let id = reader.send(12, &FetchRequest { min_bytes: 2500, ..fetch(0, 60_000) }).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(&mut writer, 0, &[&value]).await;
    }
    let response = reader.receive::<FetchRequest>(12, id).await;
    assert_eq!(records(fetched(&response)).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_does_not_wait_for_more_than_it_may_be_given() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let value = "x".repeat(1000);
    for _ in 0..4 {
        append(&mut caller, 0, &[&value]).await;
    }
    let start = Instant::now();
    for (min_bytes, count) in [(1 << 20, 2), (2500, 2), (2000, 2)] {
        let request = FetchRequest { min_bytes, max_bytes: 2500, ..fetch(0, 60_000) };
        let response = caller.call(12, request).await;
        assert_eq!(records(fetched(&response)).len(), count, "{min_bytes} bytes at least");
        assert!(start.elapsed() < Duration::from_secs(1), "{min_bytes} bytes at least");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_behind_a_waiting_fetch_take_effect_and_are_answered_after_it() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let fetching = caller.send(12, &fetch(0, 60_000)).await;
    let values = batch(0, &["a"], Stamp::NONE, Compression::None);
    let producing = caller.send(9, &produce(-1, values)).await;
    let asking = caller.send(0, &ApiVersionsRequest::default()).await;
    let response = caller.receive::<FetchRequest>(12, fetching).await;
    assert_eq!(records(fetched(&response)).len(), 1, "the fetch sees what was sent behind it");
    caller.receive::<vltava_wire::messages::ProduceRequest>(9, producing).await;
    caller.receive::<ApiVersionsRequest>(0, asking).await;
}

#[tokio::test(start_paused = true)]
async fn errors_come_at_once() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    append(&mut caller, 0, &["a"]).await;
    let at = |offset, partition, current_leader_epoch| {
        let mut request = fetch(offset, 60_000);
        request.topics[0].partitions[0].partition = partition;
        request.topics[0].partitions[0].current_leader_epoch = current_leader_epoch;
        request
    };
    let start = Instant::now();
    for (request, code) in [
        (at(2, 0, -1), ErrorCode::OffsetOutOfRange),
        (at(-1, 0, -1), ErrorCode::OffsetOutOfRange),
        (at(0, 2, -1), ErrorCode::UnknownTopicOrPartition),
        (at(0, -1, -1), ErrorCode::UnknownTopicOrPartition),
        (at(0, 0, 7), ErrorCode::UnknownLeaderEpoch),
    ] {
        let response = caller.call(12, request).await;
        assert_eq!(ErrorCode::from(fetched(&response).error_code), code);
    }
    let mut unknown = fetch(0, 60_000);
    unknown.topics.push(FetchTopic { topic: "nobody".to_owned(), ..unknown.topics[0].clone() });
    let response = caller.call(12, unknown).await;
    assert_eq!(records(fetched(&response)).len(), 1, "the others are served");
    let code = response.responses[1].partitions[0].error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::UnknownTopicOrPartition);
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// Asks partition 0 of `orders` about each of these times.
fn list(timestamps: &[i64]) -> ListOffsetsRequest {
    let ask = |&timestamp| ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
    let partitions = timestamps.iter().map(ask).collect();
    let topics = vec![ListOffsetsTopic { name: "orders".to_owned(), partitions }];
    ListOffsetsRequest { topics, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn offsets_of_a_partition_are_listed_once_in_a_request() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    append(&mut caller, 1_000, &["a", "b"]).await;
    let mut request = list(&[1_001, 1_001]);
    let again = request.topics[0].clone();
    request.topics.push(again);
    let response = caller.call(7, request).await;
    let all = response.topics.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<_> = all.map(|it| (ErrorCode::from(it.error_code), it.offset)).collect();
    let refused = (ErrorCode::InvalidRequest, -1);
    assert_eq!(told, [(ErrorCode::None, 1), refused, refused, refused]);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_found_by_time() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    append(&mut caller, 1_000, &["a", "b", "c"]).await;
    append(&mut caller, 5_000, &["d"]).await;
    append(&mut caller, 3_000, &["e"]).await;
    for (asked, offset, timestamp) in [
        (0, 0, 1_000),
        (1_000, 0, 1_000),
        (1_001, 1, 1_001),
        (1_002, 2, 1_002),
        (1_003, 3, 5_000),
        (5_000, 3, 5_000),
        (5_001, -1, -1),
        (-1, 5, -1),
        (-2, 0, -1),
        (-3, 3, 5_000),
    ] {
        let response = caller.call(7, list(&[asked])).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(
            (found.error_code, found.offset, found.timestamp),
            (0, offset, timestamp),
            "timestamp {asked}"
        );
    }
}
