//! Reading partitions: from memory, from segments, and across where one ends and the next begins.

use tokio::sync::Notify;
use vltava_wire::{
    ErrorCode,
    record::{BATCH_OVERHEAD_BYTES, BatchHeader},
};

use super::*;
use crate::log::read::Found;

/// A log of 60 batches of three records: most in several segments, the last in memory.
async fn filled(disk: &Memory) -> (Broker, PartitionId) {
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    for number in 0..60 {
        let values = [0, 1, 2].map(|it| format!("{number:02}-{it}"));
        broker.append(at, &batch_at(&values, number * 100, Stamp::NONE)).await;
    }
    (broker, at)
}

fn header(records: &[u8]) -> BatchHeader {
    BatchHeader::parse(records).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_read_brings_the_whole_batch_that_holds_the_offset_wherever_it_is() {
    let disk = Memory::new();
    let (broker, at) = filled(&disk).await;
    assert!(files_of(&disk, ".log").len() > 3);
    for offset in 0..180 {
        let chunk = broker.log.read(at, offset, 1).unwrap();
        let found = header(&chunk.records);
        assert_eq!((found.base_offset, found.count), (offset / 3 * 3, 3), "offset {offset}");
        assert_eq!(found.length, chunk.records.len(), "no more than the one batch");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_filled_across_segments_and_memory_but_no_further_than_asked() {
    let disk = Memory::new();
    let (broker, at) = filled(&disk).await;
    let one = broker.log.read(at, 0, 1).unwrap().records.len();
    for offset in 0..180 {
        for batches in [1, 2, 7, 59, 60] {
            let chunk = broker.log.read(at, offset, one * batches + one - 1).unwrap();
            let left = 60 - offset as usize / 3;
            let expected = batches.min(left) * 3 - offset as usize % 3;
            assert_eq!(values_of(chunk.records, offset).len(), expected, "{batches} batches from {offset}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reads_beyond_either_end_are_refused_and_at_the_end_empty() {
    let (broker, at) = filled(&Memory::new()).await;
    assert!(broker.log.read(at, 180, 100).unwrap().records.is_empty());
    assert_eq!(broker.log.read(at, 181, 100).unwrap_err().code(), ErrorCode::OffsetOutOfRange);
    assert_eq!(broker.log.read(at, -1, 100).unwrap_err().code(), ErrorCode::OffsetOutOfRange);
    for partition in [-1, 1, i32::MAX] {
        let refused = broker.log.read(PartitionId { partition, ..at }, 0, 100).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::UnknownTopicOrPartition);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_synced_is_not_seen() {
    let clock = Arc::new(SystemClock::new());
    let disk = Memory::new().with_latency(clock, Duration::from_millis(5));
    let broker = Broker::open(disk, small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let appended = broker.log.append(at, FIRST, &batch(&["one"])).unwrap();
    assert_eq!(broker.log.bounds(at).unwrap().end, 1);
    assert_eq!(broker.log.bounds(at).unwrap().high_watermark, 0);
    assert!(broker.log.read(at, 0, 100).unwrap().records.is_empty());
    broker.log.settled(appended.position).await.unwrap();
    assert_eq!(broker.values(at), ["one"]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_once_when_the_high_watermark_rises() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 2).await;
    let other = PartitionId { partition: 1, ..at };
    let notify = Arc::new(Notify::new());
    broker.log.notify_of([at, other], &notify);
    broker.append(other, &batch(&["one"])).await;
    notify.notified().await;
    broker.append(other, &batch(&["two"])).await;
    let told = tokio::time::timeout(Duration::from_secs(1), notify.notified()).await;
    assert!(told.is_err(), "told once alone");
    broker.append(at, &batch(&["one"])).await;
    notify.notified().await;
}

#[tokio::test(start_paused = true)]
async fn records_are_found_by_timestamp_in_segments_and_in_memory() {
    let (broker, at) = filled(&Memory::new()).await;
    for number in 0..60 {
        for it in 0..3 {
            let timestamp = number * 100 + it;
            let found = broker.log.find_timestamp(at, timestamp).unwrap();
            let expected = Found { offset: number * 3 + it, timestamp, leader_epoch: 0 };
            assert_eq!(found, Some(expected), "timestamp {timestamp}");
        }
        let between = broker.log.find_timestamp(at, number * 100 - 50).unwrap().unwrap();
        assert_eq!(between.offset, number * 3);
    }
    assert_eq!(broker.log.find_timestamp(at, 5903).unwrap(), None);
    let latest = broker.log.find_latest_timestamp(at).unwrap().unwrap();
    assert_eq!((latest.offset, latest.timestamp), (179, 5902));
}

/// A log of three segments of ten batches with one record each. All are of the time 10, but for some.
async fn in_files(others: &[(i64, i64)]) -> (Broker, PartitionId) {
    let batch_of = |offset: i64| {
        let other = others.iter().find(|it| it.0 == offset);
        batch_at(&["x"], other.map_or(10, |it| it.1), Stamp::NONE)
    };
    let segment_bytes = 10 * batch_of(0).len() as u64;
    let disk = Memory::new();
    let broker =
        Broker::open(disk.clone(), Options { segment_bytes, move_bytes: 1, ..small() }).await.unwrap();
    let at = broker.topic("orders", 1).await;
    for offset in 0..30 {
        assert_eq!(broker.append(at, &batch_of(offset)).await.base_offset, offset);
    }
    pass(Duration::from_millis(1)).await;
    assert_eq!(files_of(&disk, ".log").len(), 3);
    (broker, at)
}

#[tokio::test(start_paused = true)]
async fn a_time_is_found_behind_a_segment_that_had_it_before_the_beginning() {
    let (broker, at) = in_files(&[(5, 1_000), (25, 2_000)]).await;
    broker.log.delete_records(at, Some(8)).unwrap();
    let found = broker.log.find_timestamp(at, 900).unwrap();
    assert_eq!(found, Some(Found { offset: 25, timestamp: 2_000, leader_epoch: 0 }));
}

#[tokio::test(start_paused = true)]
async fn the_latest_time_is_that_of_what_is_left() {
    let (broker, at) = in_files(&[(5, 5_000), (9, 20), (25, 2_000), (28, 30)]).await;
    for (start, latest) in [(5, (5, 5_000)), (8, (25, 2_000)), (26, (28, 30)), (29, (29, 10))] {
        broker.log.delete_records(at, Some(start)).unwrap();
        let found = broker.log.find_latest_timestamp(at).unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp), latest, "from {start} on");
    }
    broker.log.delete_records(at, None).unwrap();
    assert_eq!(broker.log.find_latest_timestamp(at).unwrap(), None);
    broker.append(at, &batch_at(&["a", "b", "c"], 100, Stamp::NONE)).await;
    let mut falling = BatchBuilder::new();
    for timestamp in [9_000, 50, 60] {
        falling.append(RecordSlices::new(timestamp, None, Some(b"value"))).unwrap();
    }
    let base = broker.append(at, &falling.finish(Stamp::NONE, Compression::None).unwrap()).await.base_offset;
    broker.log.delete_records(at, Some(base + 1)).unwrap();
    let found = broker.log.find_latest_timestamp(at).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (base + 2, 60), "within a batch too");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_cannot_be_opened_is_found_as_a_whole() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let mut builder = BatchBuilder::new();
    for timestamp in 100..103 {
        builder.append(RecordSlices::new(timestamp, None, Some(b"value"))).unwrap();
    }
    let mut packed = Vec::from(builder.finish(Stamp::NONE, Compression::Gzip).unwrap());
    packed[BATCH_OVERHEAD_BYTES..].fill(0);
    broker.append(at, &batch(&["before"])).await;
    broker.append(at, &packed).await;
    broker.append(at, &batch_at(&["after"], 200, Stamp::NONE)).await;
    let found = |offset, timestamp| Some(Found { offset, timestamp, leader_epoch: 0 });
    assert_eq!(broker.log.find_timestamp(at, 101).unwrap(), found(1, 102));
    assert_eq!(broker.log.find_timestamp(at, 103).unwrap(), found(4, 200));
}

#[tokio::test(start_paused = true)]
async fn indexes_are_made_again_when_they_are_gone_or_damaged() {
    let disk = Memory::new();
    let (broker, at) = filled(&disk).await;
    broker.stop().await;
    let indexes = files_of(&disk, ".index");
    assert_eq!(indexes.len(), files_of(&disk, ".log").len());
    disk.remove(&indexes[0]).unwrap();
    disk.damage(&indexes[1], 3..9).unwrap();
    disk.open(&indexes[2]).unwrap().truncate(5).unwrap();
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    for offset in 0..180 {
        let chunk = broker.log.read(at, offset, 1).unwrap();
        assert_eq!(header(&chunk.records).base_offset, offset / 3 * 3, "offset {offset}");
    }
    assert_eq!(broker.log.find_timestamp(at, 1201).unwrap().unwrap().offset, 37);
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_is_damaged_while_in_use_is_an_error_and_not_a_panic() {
    let disk = Memory::new();
    let (broker, at) = filled(&disk).await;
    let segment = files_of(&disk, ".log").remove(0);
    disk.damage(&segment, 0..200).unwrap();
    assert_eq!(broker.log.read(at, 0, 100).unwrap_err().code(), ErrorCode::CorruptMessage);
    assert_eq!(header(&broker.log.read(at, 178, 100).unwrap().records).base_offset, 177);
}
