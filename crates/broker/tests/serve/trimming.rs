//! Records deleted, and leader epochs told.

use std::{sync::Arc, time::Duration};

use vltava_broker::{Broker, disk::Memory};
use vltava_wire::{
    Api, Compression, ErrorCode,
    messages::{
        CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, DeleteRecordsPartition,
        DeleteRecordsRequest, DeleteRecordsTopic, FetchRequest, ListOffsetsPartition, ListOffsetsRequest,
        ListOffsetsTopic, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records, text};

async fn append(caller: &mut Caller, values: &[&str]) {
    let sent = produce(-1, batch(1_000, values, Stamp::NONE, Compression::None));
    let response = caller.call(9, sent).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

fn delete(topic: &str, offsets: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition =
        |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition { partition_index, offset };
    let partitions = offsets.iter().map(partition).collect();
    DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic { name: text(topic), partitions }],
        timeout_ms: 1000,
    }
}

async fn deleted(caller: &mut Caller, request: DeleteRecordsRequest) -> Vec<(ErrorCode, i64)> {
    let response = caller.call(2, request).await;
    response.topics[0].partitions.iter().map(|it| (it.error_code.into(), it.low_watermark)).collect()
}

#[tokio::test(start_paused = true)]
async fn deleted_records_are_out_of_range_and_the_log_begins_behind_them() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    append(&mut caller, &["a", "b", "c"]).await;
    append(&mut caller, &["d"]).await;
    for version in Api::DeleteRecords.versions() {
        let response = caller.call(version, delete("orders", &[(0, 2)])).await;
        assert_eq!(response.topics[0].partitions[0].low_watermark, 2, "version {version}");
    }
    let refused = deleted(&mut caller, delete("orders", &[(0, 5), (0, -2), (3, 0)])).await;
    let out_of_range = (ErrorCode::OffsetOutOfRange, -1);
    assert_eq!(refused, [out_of_range, out_of_range, (ErrorCode::UnknownTopicOrPartition, -1)]);
    let nobody = deleted(&mut caller, delete("nobody", &[(0, 0)])).await;
    assert_eq!(nobody, [(ErrorCode::UnknownTopicOrPartition, -1)]);
    let response = caller.call(12, fetch(1, 60_000)).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::OffsetOutOfRange);
    let response = caller.call(12, fetch(2, 0)).await;
    assert_eq!((fetched(&response).log_start_offset, records(fetched(&response)).len()), (2, 4));
    let ask = |timestamp| ListOffsetsPartition { partition_index: 0, current_leader_epoch: -1, timestamp };
    for (timestamp, offset) in [(-2, 2), (-1, 4), (0, 2)] {
        let topics = vec![ListOffsetsTopic { name: text("orders"), partitions: vec![ask(timestamp)] }];
        let response = caller.call(7, ListOffsetsRequest { topics, ..Default::default() }).await;
        assert_eq!(response.topics[0].partitions[0].offset, offset, "timestamp {timestamp}");
    }
    assert_eq!(deleted(&mut caller, delete("orders", &[(0, -1)])).await, [(ErrorCode::None, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_where_records_are_deleted_is_answered() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let (mut reader, mut other) = (Caller::of(&broker), Caller::of(&broker));
    append(&mut other, &["a"]).await;
    let waiting = FetchRequest { min_bytes: 1 << 20, ..fetch(0, 600_000) };
    let id = reader.send(12, &waiting).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = tokio::time::Instant::now();
    assert_eq!(deleted(&mut other, delete("orders", &[(0, 1)])).await, [(ErrorCode::None, 1)]);
    let response = reader.receive::<FetchRequest>(12, id).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::OffsetOutOfRange);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_from_a_topic_that_is_only_compacted() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let config = CreatableTopicConfig { name: text("cleanup.policy"), value: Some(text("compact")) };
    let topic = CreatableTopic {
        name: text("orders"),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..Default::default()
    };
    caller.call(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
    append(&mut caller, &["a"]).await;
    let refused = deleted(&mut caller, delete("orders", &[(0, 1)])).await;
    assert_eq!(refused, [(ErrorCode::PolicyViolation, -1)]);
}

/// Asks how far an epoch reached, by what the client takes for the current one.
async fn reached(
    caller: &mut Caller,
    version: i16,
    current_leader_epoch: i32,
    epoch: i32,
) -> (ErrorCode, i32, i64) {
    let partition = OffsetForLeaderPartition { partition: 0, current_leader_epoch, leader_epoch: epoch };
    let topics = vec![OffsetForLeaderTopic { topic: text("orders"), partitions: vec![partition] }];
    let response = caller.call(version, OffsetForLeaderEpochRequest { topics, ..Default::default() }).await;
    let told = &response.topics[0].partitions[0];
    (told.error_code.into(), told.leader_epoch, told.end_offset)
}

#[tokio::test(start_paused = true)]
async fn an_epoch_reaches_up_to_the_restart_that_ended_it() {
    let disk = Memory::new();
    let start = || Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 1).start();
    let broker = start().await.unwrap();
    append(&mut Caller::of(&broker), &["a", "b"]).await;
    broker.shutdown().await.unwrap();
    let broker = start().await.unwrap();
    let mut caller = Caller::of(&broker);
    append(&mut caller, &["c"]).await;
    for version in Api::OffsetForLeaderEpoch.versions() {
        assert_eq!(reached(&mut caller, version, 1, 0).await, (ErrorCode::None, 0, 2), "version {version}");
        assert_eq!(reached(&mut caller, version, -1, 1).await, (ErrorCode::None, 1, 3));
        assert_eq!(reached(&mut caller, version, 1, 7).await, (ErrorCode::None, -1, -1));
        assert_eq!(reached(&mut caller, version, 0, 0).await.0, ErrorCode::FencedLeaderEpoch);
        assert_eq!(reached(&mut caller, version, 2, 0).await.0, ErrorCode::UnknownLeaderEpoch);
    }
    let mut fenced = fetch(0, 0);
    fenced.topics[0].partitions[0].current_leader_epoch = 0;
    let response = caller.call(12, fenced).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::FencedLeaderEpoch);
}
