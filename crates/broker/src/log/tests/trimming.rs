//! What goes from the beginning of a log, by request or by its topic's rules, and where segments begin.

use super::*;
use crate::log::{Bounds, Refused};
use vltava_wire::ErrorCode;

const RETENTION: Duration = Duration::from_secs(61);

async fn broker(disk: &Memory, configs: &[(&str, &str)]) -> (Broker, PartitionId) {
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let (topic, _) = broker.log.create_topic("orders", &[FIRST], &given(configs)).unwrap();
    (broker, PartitionId { topic: topic.id, partition: 0 })
}

async fn fill(broker: &Broker, at: PartitionId, batches: usize, timestamp: i64) {
    for number in 0..batches {
        broker.append(at, &batch_at(&[format!("{number}-{:150}", "")], timestamp, Stamp::NONE)).await;
    }
}

fn bounds(broker: &Broker, at: PartitionId) -> (i64, i64) {
    let Bounds { log_start, high_watermark, .. } = broker.log.bounds(at).unwrap();
    (log_start, high_watermark)
}

/// The offsets at which segments with a file begin.
fn segments(disk: &Memory) -> Vec<i64> {
    let names = files_of(disk, ".log");
    let offset = |name: &String| name.trim_end_matches(".log").rsplit('-').next().unwrap().parse().unwrap();
    names.iter().map(offset).collect()
}

fn code(refused: Refused) -> ErrorCode {
    refused.code()
}

#[tokio::test(start_paused = true)]
async fn deleted_records_are_gone_for_good_and_so_are_their_files() {
    for how in 0..2 {
        let disk = Memory::unreliable();
        let (broker, at) = broker(&disk, &[]).await;
        fill(&broker, at, 40, 0).await;
        assert_eq!(broker.log.delete_records(at, Some(25)).unwrap(), 25);
        assert_eq!(broker.log.delete_records(at, Some(10)).unwrap(), 25, "the beginning never goes back");
        for out in [41, -2] {
            assert_eq!(
                code(broker.log.delete_records(at, Some(out)).unwrap_err()),
                ErrorCode::OffsetOutOfRange
            );
        }
        broker.log.settled(broker.log.ledger_position()).await.unwrap();
        let check = |broker: &Broker| {
            assert_eq!(bounds(broker, at), (25, 40));
            assert_eq!(code(broker.log.read(at, 24, 100).unwrap_err()), ErrorCode::OffsetOutOfRange);
            let found = broker.log.find_timestamp(at, 0).unwrap().unwrap();
            assert_eq!(found.offset, 25, "nothing before the beginning is found");
            assert_eq!(values_of(broker.log.read(at, 25, 100_000).unwrap().records, 25).len(), 15);
        };
        check(&broker);
        let broker = match how {
            0 => {
                broker.stop().await;
                Broker::open(disk.clone(), small()).await.unwrap()
            }
            _ => {
                broker.kill().await;
                Broker::open(disk.after_power_loss(&mut Rng::new(5)), small()).await.unwrap()
            }
        };
        check(&broker);
        assert_eq!(broker.log.delete_records(at, None).unwrap(), 40, "all that there is");
        assert_eq!(broker.append(at, &batch(&["next"])).await.base_offset, 40);
        broker.stop().await;
        if how == 0 {
            assert_eq!(segments(&disk), [40]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_beginning_within_a_batch_hides_what_is_before_it() {
    let (broker, at) = broker(&Memory::new(), &[]).await;
    broker.append(at, &batch_at(&["a", "b", "c", "d"], 1_000, Stamp::NONE)).await;
    broker.append(at, &batch_at(&["e"], 1_001, Stamp::NONE)).await;
    broker.log.delete_records(at, Some(2)).unwrap();
    let found = |timestamp| broker.log.find_timestamp(at, timestamp).unwrap().map(|it| it.offset);
    assert_eq!((found(0), found(1_001), found(1_003), found(1_004)), (Some(2), Some(2), Some(3), None));
    broker.log.delete_records(at, Some(4)).unwrap();
    assert_eq!((found(0), found(1_002)), (Some(4), None));
}

#[tokio::test(start_paused = true)]
async fn segments_that_are_too_old_go_and_the_open_one_too() {
    let disk = Memory::new();
    let (broker, at) = broker(&disk, &[("retention.ms", "600000")]).await;
    fill(&broker, at, 20, TODAY - 700_000).await;
    fill(&broker, at, 10, TODAY - 300_000).await;
    pass(RETENTION).await;
    let (start, end) = bounds(&broker, at);
    assert!((14..=20).contains(&start) && end == 30, "{start}: whole segments went");
    let oldest = broker.log.find_timestamp(at, 0).unwrap().unwrap();
    assert_eq!(oldest.offset, start);
    broker.stop().await;
    assert_eq!(segments(&disk)[0], start);
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    assert_eq!(bounds(&broker, at), (start, end));
    broker.configure(at.topic, &[("retention.ms", "1")]);
    pass(RETENTION).await;
    assert_eq!(bounds(&broker, at), (30, 30), "all is older than a millisecond");
    assert_eq!(broker.append(at, &batch(&["next"])).await.base_offset, 30);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_too_large_loses_its_oldest_segments() {
    let (broker, at) = broker(&Memory::new(), &[("retention.ms", "-1"), ("retention.bytes", "4000")]).await;
    fill(&broker, at, 60, 0).await;
    pass(RETENTION).await;
    let (start, _) = bounds(&broker, at);
    let left: usize = broker.log.read(at, start, 1 << 20).unwrap().records.len();
    assert!((4000..4000 + 1500).contains(&left), "{left} bytes are left");
    pass(RETENTION).await;
    assert_eq!(bounds(&broker, at).0, start, "no more than that");
}

#[tokio::test(start_paused = true)]
async fn the_room_of_what_went_is_free_though_nothing_more_is_written() {
    let disk = Memory::new();
    let (broker, at) = broker(&disk, &[]).await;
    fill(&broker, at, 20, TODAY).await;
    broker.log.delete_records(at, Some(18)).unwrap();
    assert!(segments(&disk).iter().any(|it| *it < 10), "a start may need them, until there is a checkpoint");
    pass(RETENTION).await;
    assert!(segments(&disk).iter().all(|it| *it > 10), "{:?}", segments(&disk));
    assert_eq!(bounds(&broker, at), (18, 20));
}

#[tokio::test(start_paused = true)]
async fn records_without_a_time_count_from_their_append() {
    let (broker, at) = broker(&Memory::new(), &[("retention.ms", "600000")]).await;
    broker.append(at, &batch_at(&["timeless"], -1, Stamp::NONE)).await;
    pass(RETENTION).await;
    assert_eq!(bounds(&broker, at), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn without_limits_and_without_the_policy_nothing_goes() {
    for configs in [&[("retention.ms", "-1")][..], &[("cleanup.policy", "compact"), ("retention.ms", "1")]] {
        let (broker, at) = broker(&Memory::new(), configs).await;
        fill(&broker, at, 30, 0).await;
        pass(RETENTION).await;
        assert_eq!(bounds(&broker, at), (0, 30), "{configs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn segments_begin_where_size_or_time_says_and_are_the_same_after_every_replay() {
    let disk = Memory::unreliable();
    let (broker, at) = broker(&disk, &[("segment.ms", "1000"), ("segment.bytes", "100000")]).await;
    for timestamp in [5_000, 5_900, 6_000, 6_001, 6_500, 9_000, 9_100] {
        broker.append(at, &batch_at(&["x"], timestamp, Stamp::NONE)).await;
    }
    broker.configure(at.topic, &[("segment.bytes", "300")]);
    fill(&broker, at, 4, 9_100).await;
    broker.log.settled(broker.log.ledger_position()).await.unwrap();
    let replayed = disk.after_power_loss(&mut Rng::new(1));
    broker.stop().await;
    Broker::open(replayed.clone(), small()).await.unwrap().stop().await;
    assert_eq!(segments(&disk), [0, 3, 5, 7, 8, 9, 10]);
    assert_eq!(segments(&replayed), segments(&disk));
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_was_closed_before_a_stop_stays_closed() {
    let disk = Memory::new();
    let (broker, at) = broker(&disk, &[("segment.bytes", "300")]).await;
    fill(&broker, at, 2, 0).await;
    broker.stop().await;
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    fill(&broker, at, 2, 0).await;
    broker.stop().await;
    assert_eq!(segments(&disk), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_for_more_is_told_that_its_offset_is_gone() {
    let (broker, at) = broker(&Memory::new(), &[]).await;
    fill(&broker, at, 3, 0).await;
    let more = Arc::new(tokio::sync::Notify::new());
    broker.log.notify_of([at], &more);
    broker.log.delete_records(at, None).unwrap();
    tokio::time::timeout(Duration::from_secs(1), more.notified()).await.expect("it is told");
}

#[tokio::test(start_paused = true)]
async fn every_reign_ends_where_the_next_began_and_that_is_never_forgotten() {
    let disk = Memory::unreliable();
    let (mut broker, at) = broker(&disk, &[]).await;
    let mut disk = disk;
    let mut ends = Vec::new();
    for life in 0..6 {
        fill(&broker, at, 3, 0).await;
        let told = broker.log.bounds(at).unwrap();
        assert_eq!((told.leader.epoch, told.high_watermark), (life, i64::from(life + 1) * 3));
        ends.push(told.high_watermark);
        for (epoch, end) in (0..).zip(&ends) {
            assert_eq!(broker.log.epoch_end(at, epoch).unwrap(), Some((epoch, *end)), "life {life}");
        }
        assert_eq!(broker.log.epoch_end(at, life + 1).unwrap(), None);
        let batch = broker.log.read(at, told.high_watermark - 1, 1).unwrap().records;
        let written = vltava_wire::record::BatchHeader::parse(&batch).unwrap().leader_epoch;
        assert_eq!(written, life);
        match life % 2 {
            0 => broker.stop().await,
            _ => {
                broker.kill().await;
                disk = disk.after_power_loss(&mut Rng::new(life as u64));
            }
        }
        broker = Broker::open(disk.clone(), small()).await.unwrap();
    }
    broker.log.delete_records(at, Some(8)).unwrap();
    assert_eq!(broker.log.epoch_end(at, 0).unwrap(), Some((0, 8)), "what is left of it is nothing");
    assert_eq!(broker.log.epoch_end(at, 2).unwrap(), Some((2, 9)));
    assert_eq!(broker.log.bounds(at).unwrap().log_start_epoch, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_was_not_heard_of_for_a_day_is_forgotten() {
    let broker = Broker::open_by(Calendar::new(1000), Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.append(at, &batch_at(&["a"], TODAY, stamp(7, 0, 0))).await;
    let gap = batch_at(&["b"], TODAY, stamp(7, 0, 5));
    assert_eq!(code(broker.log.append(at, FIRST, &gap).unwrap_err()), ErrorCode::OutOfOrderSequenceNumber);
    pass(RETENTION * 3).await;
    assert_eq!(broker.append(at, &gap).await.base_offset, 1, "it may go on anywhere");
}
