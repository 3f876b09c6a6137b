//! Fetch sessions as a client sees them, fetches that wait, and where logs part.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use vltava_broker::{
    Broker,
    disk::{Disk, Memory},
};
use vltava_wire::{
    Compression, ErrorCode,
    messages::{
        DeleteTopicsRequest, FetchRequest, FetchResponse, MetadataRequest,
        fetch::{FetchPartition, ForgottenTopic},
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records, text};

async fn append(caller: &mut Caller, partition: i32, value: &str) {
    let mut request = produce(-1, batch(1_000, &[value], Stamp::NONE, Compression::None));
    request.topic_data[0].partition_data[0].index = partition;
    let response = caller.call(9, request).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

/// Asks for these partitions from the beginning.
fn ask(session_id: i32, session_epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let mut request = FetchRequest { session_id, session_epoch, ..fetch(0, 0) };
    let partition = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    request.topics[0].partitions = partitions.iter().map(partition).collect();
    if partitions.is_empty() {
        request.topics.clear();
    }
    request
}

/// The partitions that a response tells of, and how many records of each.
fn told(response: &FetchResponse) -> Vec<(i32, usize)> {
    let all = response.responses.iter().flat_map(|topic| &topic.partitions);
    all.map(|it| (it.partition_index, records(it).len())).collect()
}

#[tokio::test(start_paused = true)]
async fn within_a_session_only_what_is_new_is_said_by_both() {
    let broker = Broker::in_memory().topic("orders", 3).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let topic_id =
        caller.call(12, MetadataRequest { topics: None, ..Default::default() }).await.topics[0].topic_id;
    for version in [7, 12, 13, 18] {
        let by_id = |mut request: FetchRequest| {
            request.topics.iter_mut().for_each(|topic| topic.topic_id = topic_id);
            request.forgotten_topics_data.iter_mut().for_each(|topic| topic.topic_id = topic_id);
            request
        };
        let start = version as i64;
        let end = {
            let response = caller.call(12, ask(0, -1, &[(1, 0)])).await;
            fetched(&response).high_watermark
        };
        let first = caller.call(version, by_id(ask(0, 0, &[(0, 0), (1, end), (2, 0)]))).await;
        let id = first.session_id;
        assert_ne!(id, 0, "version {version}");
        assert_eq!(told(&first), [(0, 0), (1, 0), (2, 0)], "a whole response begins it");
        append(&mut caller, 1, &format!("{start}")).await;
        let second = caller.call(version, ask(id, 1, &[])).await;
        assert_eq!((second.session_id, told(&second)), (id, vec![(1, 1)]));
        let third = caller.call(version, by_id(ask(id, 2, &[(1, end + 1)]))).await;
        assert_eq!(told(&third), [], "it goes on behind it");
        let gone = ForgottenTopic { topic: text("orders"), partitions: vec![1], ..Default::default() };
        let request = FetchRequest { forgotten_topics_data: vec![gone], ..ask(id, 3, &[]) };
        append(&mut caller, 1, "more").await;
        assert_eq!(told(&caller.call(version, by_id(request)).await), [], "it is not wanted any more");
        for (request, code) in [
            (ask(id, 3, &[]), ErrorCode::InvalidFetchSessionEpoch),
            (ask(id ^ 1, 4, &[]), ErrorCode::FetchSessionIdNotFound),
        ] {
            assert_eq!(ErrorCode::from(caller.call(version, request).await.error_code), code);
        }
        let last = caller.call(version, by_id(ask(id, -1, &[(0, 0)]))).await;
        assert_eq!((last.session_id, told(&last)), (0, vec![(0, 0)]), "it was ended");
        let response = caller.call(version, ask(id, 4, &[])).await;
        assert_eq!(ErrorCode::from(response.error_code), ErrorCode::FetchSessionIdNotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_to_ids_or_names_and_tells_of_a_topic_that_goes() {
    let broker = Broker::in_memory().topic("orders", 1).auto_create_topics(false).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let id = caller.call(12, ask(0, 0, &[(0, 0)])).await.session_id;
    let response = caller.call(13, ask(id, 1, &[])).await;
    assert_eq!(ErrorCode::from(response.error_code), ErrorCode::FetchSessionTopicIdError);
    let names = DeleteTopicsRequest { topic_names: vec![text("orders")], ..Default::default() };
    caller.call(4, names).await;
    for epoch in 1..4 {
        let response = caller.call(12, ask(id, epoch, &[])).await;
        let code = ErrorCode::from(fetched(&response).error_code);
        assert_eq!(code, ErrorCode::UnknownTopicOrPartition, "it is told every time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_for_more_bytes_reads_nothing_until_there_are_enough() {
    let disk = Memory::new();
    let start = || Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 1).start();
    let broker = start().await.unwrap();
    append(&mut Caller::of(&broker), 0, &"x".repeat(500)).await;
    // After a stop the batch is in a segment, and whoever reads that finds it damaged.
    broker.shutdown().await.unwrap();
    let broker = start().await.unwrap();
    let (mut reader, mut writer) = (Caller::of(&broker), Caller::of(&broker));
    let waiting = FetchRequest { min_bytes: 1_400, ..fetch(0, 600_000) };
    let id = reader.send(12, &waiting).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let names: Vec<_> = disk.list().unwrap().into_iter().map(|(name, _)| name).collect();
    let segment = names.iter().find(|name| name.ends_with(".log")).unwrap();
    disk.damage(segment, 0..60).unwrap();
    let begun = Instant::now();
    append(&mut writer, 0, "small").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // That was not enough; had it been read again, the damage would have been told by now.
    append(&mut writer, 0, &"y".repeat(900)).await;
    let response = reader.receive::<FetchRequest>(12, id).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::CorruptMessage);
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_partition_counts_for_no_more_bytes_than_may_be_read_of_it() {
    let broker = Broker::in_memory().topic("orders", 2).start().await.unwrap();
    let (mut reader, mut writer) = (Caller::of(&broker), Caller::of(&broker));
    let mut waiting = FetchRequest { min_bytes: 1_000, ..ask(0, -1, &[(0, 0), (1, 0)]) };
    waiting.max_wait_ms = 5_000;
    waiting.topics[0].partitions[0].partition_max_bytes = 600;
    let id = reader.send(12, &waiting).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    append(&mut writer, 0, &"x".repeat(2_000)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    append(&mut writer, 1, &"x".repeat(500)).await;
    let response = reader.receive::<FetchRequest>(12, id).await;
    assert_eq!(told(&response), [(0, 1), (1, 1)]);
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_read_in_an_epoch_further_than_it_reached_is_told_where_the_logs_part() {
    let disk = Memory::new();
    let start = || Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 1).start();
    for life in 0..3 {
        let broker = start().await.unwrap();
        append(&mut Caller::of(&broker), 0, &format!("{life}")).await;
        broker.shutdown().await.unwrap();
    }
    let broker = start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for (last, offset, expected) in
        [(-1, 2, None), (0, 1, None), (0, 2, Some((0, 1))), (1, 3, Some((1, 2))), (2, 3, None)]
    {
        let mut request = ask(0, -1, &[(0, offset)]);
        request.topics[0].partitions[0].last_fetched_epoch = last;
        let response = caller.call(12, request).await;
        let told = &fetched(&response).diverging_epoch;
        let told = (told.epoch >= 0).then_some((told.epoch, told.end_offset));
        assert_eq!((fetched(&response).error_code, told), (0, expected), "epoch {last}, offset {offset}");
    }
    let mut unknown = ask(0, -1, &[(0, 1)]);
    unknown.topics[0].partitions[0].last_fetched_epoch = 9;
    let response = caller.call(12, unknown).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::OffsetOutOfRange);
}
