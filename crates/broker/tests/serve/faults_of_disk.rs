//! Faults of the disk, and a clock that is put forward.

use std::sync::Arc;

use tokio::time::Instant;
use vltava_broker::{Broker, Builder, ErrorCode, LogOptions, TestClock};
use vltava_wire::{
    Compression,
    messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic},
    record::Stamp,
};

use crate::{
    caller::{Caller, batch, produce},
    faults::{SECOND, broker, code, one, stored},
};

/// A disk is full for a while, then fails a write, then a sync.
async fn disk_of(builder: Builder) {
    let broker = builder.topic("orders", 1).start().await.unwrap();
    let disk = broker.faults().disk();
    let mut caller = Caller::of(&broker);
    assert_eq!(code(&caller.call(9, produce(-1, one("a"))).await), ErrorCode::None);
    disk.full();
    assert_eq!(code(&caller.call(9, produce(-1, one("b"))).await), ErrorCode::KafkaStorageError);
    disk.lift();
    disk.fail_next_write();
    assert_eq!(code(&caller.call(9, produce(-1, one("c"))).await), ErrorCode::KafkaStorageError);
    assert_eq!(code(&caller.call(9, produce(-1, one("d"))).await), ErrorCode::None);
    assert_eq!((stored(&broker).await, disk.struck()), (vec!["a".to_owned(), "d".to_owned()], 2));
    disk.fail_next_sync();
    for _ in 0..2 {
        assert_eq!(code(&caller.call(9, produce(-1, one("e"))).await), ErrorCode::KafkaStorageError);
    }
    assert_eq!((stored(&broker).await, disk.struck()), (vec!["a".to_owned(), "d".to_owned()], 3));
}

#[tokio::test]
async fn a_disk_fails_as_it_is_told_whatever_disk_it_is() {
    let folder = tempfile::tempdir().unwrap();
    disk_of(Broker::in_memory()).await;
    disk_of(Broker::open(folder.path())).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_delays_what_it_has_to_sync() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().disk().slow(SECOND * 2);
    let before = Instant::now();
    assert_eq!(code(&caller.call(9, produce(-1, one("a"))).await), ErrorCode::None);
    assert_eq!(before.elapsed(), SECOND * 2);
}

#[tokio::test(start_paused = true)]
async fn a_week_later_what_was_kept_for_a_week_is_gone() {
    let clock = Arc::new(TestClock::new());
    let options = LogOptions { retention_interval: SECOND, ..LogOptions::default() };
    let builder = Broker::in_memory().topic("orders", 1).clock(clock.clone()).log(options);
    let broker = builder.start().await.unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let mut caller = Caller::of(&broker);
    let records = batch(now.as_millis() as i64, &["a"], Stamp::NONE, Compression::None);
    assert_eq!(code(&caller.call(9, produce(-1, records)).await), ErrorCode::None);
    let partition = ListOffsetsPartition { timestamp: -2, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: "orders".to_owned(), partitions: vec![partition] }];
    for (days, start) in [(6, 0), (2, 1)] {
        clock.advance_wall(SECOND * 24 * 60 * 60 * days);
        tokio::time::sleep(SECOND * 3).await;
        let request = ListOffsetsRequest { topics: topics.clone(), ..Default::default() };
        assert_eq!(caller.call(9, request).await.topics[0].partitions[0].offset, start);
    }
}
