//! What happens when the disk fails, is full, is someone else's, or cannot keep up.

use super::*;
use crate::ErrorKind;
use vltava_wire::ErrorCode;

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_nothing_is_acknowledged_or_written_but_all_that_was_is_read() {
    let disk = Memory::unreliable();
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.append(at, &batch(&["safe"])).await;
    disk.fail_syncs(1);
    let lost = broker.log.append(at, FIRST, &batch(&["lost"])).unwrap();
    let error = broker.log.settled(lost.position).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disk);
    assert!(error.to_string().contains("could not be synced"), "{error}");
    let refused = broker.log.append(at, FIRST, &batch(&["late"])).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::KafkaStorageError);
    assert!(broker.log.create_topic("late", &[FIRST], &Given::new()).is_err());
    assert_eq!(broker.values(at), ["safe"]);
    assert_eq!(broker.log.stop().await.unwrap_err().kind(), ErrorKind::Disk);
    broker.kill().await;
    let broker = Broker::open(disk.after_power_loss(&mut Rng::new(3)), small()).await.unwrap();
    assert_eq!(broker.values(at).first().map(String::as_str), Some("safe"));
}

#[tokio::test(start_paused = true)]
async fn any_sync_of_a_checkpoint_that_fails_ends_writing_and_loses_nothing() {
    for number in 0..60 {
        let disk = Memory::unreliable();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        let at = broker.topic("orders", 1).await;
        let mut acknowledged = 0;
        for index in 0..60 {
            if index == number {
                disk.fail_syncs(1);
            }
            let Ok(appended) = broker.log.append(at, FIRST, &batch(&["x".repeat(150)])) else { break };
            if broker.log.settled(appended.position).await.is_err() {
                break;
            }
            acknowledged += 1;
        }
        assert!(acknowledged < 60, "a sync failed");
        assert_eq!(broker.values(at).len(), acknowledged);
        broker.kill().await;
        let broker = Broker::open(disk.after_power_loss(&mut Rng::new(number)), small()).await.unwrap();
        assert!(broker.values(at).len() >= acknowledged, "sync {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_needs_room_to_start_says_so_and_starts_once_there_is_some() {
    let disk = Memory::unreliable();
    let options = Options { move_bytes: 1 << 20, ..small() };
    let broker = Broker::open(disk.clone(), options).await.unwrap();
    let at = broker.topic("orders", 1).await;
    for _ in 0..10 {
        broker.append(at, &batch(&["x".repeat(150)])).await;
    }
    broker.kill().await;
    disk.limit_space(Some(0));
    let error = Broker::open(disk.clone(), small()).await.err().expect("segments are to be written");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.is_retriable());
    disk.limit_space(None);
    let broker = Broker::open(disk, small()).await.unwrap();
    assert_eq!(broker.values(at).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_batches_serves_reads_and_goes_on_once_there_is_room() {
    let disk = Memory::new();
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    disk.limit_space(Some(20_000));
    let mut acknowledged = 0;
    let refused = loop {
        match broker.log.append(at, FIRST, &batch(&["x".repeat(150)])) {
            Ok(appended) => broker.log.settled(appended.position).await.unwrap(),
            Err(refused) => break refused,
        }
        acknowledged += 1;
        assert!(acknowledged < 1000, "the disk has no room for that");
    };
    let crate::log::Refused::Broken(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.is_retriable() && error.to_string().contains("make room"), "{error}");
    assert_eq!(broker.values(at).len(), acknowledged);
    disk.limit_space(None);
    pass(Duration::from_secs(3)).await;
    for _ in 0..100 {
        broker.append(at, &batch(&["y".repeat(150)])).await;
    }
    assert_eq!(broker.values(at).len(), acknowledged + 100);
    broker.stop().await;
    let broker = Broker::open(disk, small()).await.unwrap();
    assert_eq!(broker.values(at).len(), acknowledged + 100);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_left_alone_between_attempts_and_old_segments_go_nevertheless() {
    let disk = Memory::unreliable();
    let options = Options { journal_file_bytes: 1 << 14, checkpoint_bytes: 1 << 20, ..small() };
    let broker = Broker::open(disk.clone(), options).await.unwrap();
    let rules = given(&[("retention.ms", "-1"), ("retention.bytes", "2000")]);
    let (topic, _) = broker.log.create_topic("orders", &[FIRST], &rules).unwrap();
    let at = PartitionId { topic: topic.id, partition: 0 };
    for _ in 0..90 {
        broker.append(at, &batch(&["x".repeat(150)])).await;
    }
    // The journal goes on in a file that was filled before.
    let used = disk.list().unwrap().iter().map(|it| it.1).sum();
    disk.limit_space(Some(used));
    for _ in 0..small().move_bytes / 150 {
        broker.append(at, &batch(&["y".repeat(150)])).await;
    }
    pass(small().compaction_interval + Duration::from_secs(2)).await;
    assert_eq!(broker.log.bounds(at).unwrap().log_start, 0);
    pass(small().retention_interval).await;
    let start = broker.log.bounds(at).unwrap().log_start;
    assert!(start > 0, "what is too much goes, though nothing can be moved");
    disk.limit_space(None);
    pass(Duration::from_secs(3)).await;
    broker.stop().await;
    let broker = Broker::open(disk, small()).await.unwrap();
    let bounds = broker.log.bounds(at).unwrap();
    assert_eq!((bounds.log_start, bounds.high_watermark), (start, 94));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_an_error_to_who_asked_for_it_and_no_end() {
    for number in 0..60 {
        let disk = Memory::unreliable();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        let at = broker.topic("orders", 1).await;
        let mut acknowledged = 0;
        for index in 0..60 {
            if index == number {
                disk.fail_writes(1);
            }
            match broker.log.append(at, FIRST, &batch(&["x".repeat(150)])) {
                Ok(appended) => {
                    assert_eq!(appended.base_offset, acknowledged, "write {number}");
                    broker.log.settled(appended.position).await.unwrap();
                    acknowledged += 1;
                }
                Err(refused) => assert_eq!(refused.code(), ErrorCode::KafkaStorageError),
            }
        }
        assert!(acknowledged >= 59, "write {number}");
        pass(Duration::from_secs(2)).await;
        broker.append(at, &batch(&["after it"])).await;
        assert_eq!(broker.values(at).len() as i64, acknowledged + 1);
        broker.kill().await;
        let broker = Broker::open(disk.after_power_loss(&mut Rng::new(number)), small()).await.unwrap();
        assert_eq!(broker.values(at).len() as i64, acknowledged + 1, "write {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_broker_on_the_folder_is_refused_with_a_clear_message() {
    let disk = Memory::new();
    let first = Broker::open(disk.clone(), small()).await.unwrap();
    let error = Broker::open(disk.clone(), small()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains("in use by another broker"), "{error}");
    first.stop().await;
    Broker::open(disk, small()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_segments_find_no_room_memory_is_bounded_by_refusing_batches() {
    let disk = Memory::new();
    let options = Options { memory_bytes: 4000, journal_file_bytes: 64 * 1024, ..small() };
    let broker = Broker::open(disk.clone(), options).await.unwrap();
    let at = broker.topic("orders", 1).await;
    // The journal has its file, so that only segments find no room.
    disk.open(&files_of(&disk, "journal")[0]).unwrap().truncate(64 * 1024).unwrap();
    disk.limit_space(Some(64 * 1024 + 500));
    let mut acknowledged = 0;
    let refused = loop {
        broker.log.room().await;
        match broker.log.append(at, FIRST, &batch(&["x".repeat(150)])) {
            Ok(appended) => broker.log.settled(appended.position).await.unwrap(),
            Err(refused) => break refused,
        }
        acknowledged += 1;
    };
    assert_eq!(refused.code(), ErrorCode::KafkaStorageError);
    assert!((4000 / 300..4000 / 150).contains(&acknowledged), "{acknowledged} batches");
    assert_eq!(broker.values(at).len(), acknowledged);
    disk.limit_space(None);
    pass(Duration::from_secs(2)).await;
    broker.append(at, &batch(&["there is room"])).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_just_one_batch_are_refused() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let one = batch(&["one"]);
    let two = [&one[..], &one[..]].concat();
    for bytes in [&b""[..], &one[..40], &one[..one.len() - 1], &two[..]] {
        let refused = broker.log.append(at, FIRST, bytes).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::CorruptMessage, "{} bytes", bytes.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_log_frees_its_folder_while_others_still_read_it() {
    let disk = Memory::new();
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.append(at, &batch(&["one"])).await;
    let reader = broker.log.clone();
    broker.stop().await;
    let next = Broker::open(disk, small()).await.unwrap();
    next.append(at, &batch(&["two"])).await;
    assert_eq!(values_of(reader.read(at, 0, 100).unwrap().records, 0), ["one"]);
    assert_eq!(next.values(at), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_no_file_of_the_journal_holds_is_too_large() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let refused = broker.log.append(at, FIRST, &batch(&["x".repeat(5000)])).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::MessageTooLarge);
    let mut length = 4096;
    while broker.log.append(at, FIRST, &batch(&["x".repeat(length)])).is_err() {
        length -= 1;
    }
    broker.append(at, &batch(&["x".repeat(length)])).await;
    assert_eq!(broker.values(at).len(), 2, "the longest that fits is read back, {length} bytes");
}

#[tokio::test(start_paused = true)]
async fn producers_wait_while_memory_is_full_of_batches_and_go_on_when_they_were_moved() {
    let clock = Arc::new(SystemClock::new());
    let disk = Memory::new().with_latency(clock, Duration::from_millis(5));
    let options = Options { memory_bytes: 2000, ..small() };
    let broker = Broker::open(disk, options).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let mut sent = 0;
    let waits = |log: &Log| log.shared.progress.now().crowded;
    while !waits(&broker.log) {
        broker.log.room().await;
        broker.log.append(at, FIRST, &batch(&["x".repeat(150)])).unwrap();
        sent += 1;
    }
    assert!(sent < 20);
    broker.log.room().await;
    assert!(!waits(&broker.log));
    let last = broker.append(at, &batch(&["last"])).await;
    assert_eq!(last.base_offset, sent);
}

#[tokio::test(start_paused = true)]
async fn one_sync_serves_all_who_wait() {
    let clock = Arc::new(SystemClock::new());
    let disk = Memory::traced().with_latency(clock.clone(), Duration::from_millis(5));
    let broker = Broker::open(disk, Options::default()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let start = clock.now();
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (log, batch) = (broker.log.clone(), batch(&["one of many"]));
            tokio::spawn(async move {
                let appended = log.append(at, FIRST, &batch).unwrap();
                log.settled(appended.position).await.unwrap();
            })
        })
        .collect();
    for it in waiting {
        it.await.unwrap();
    }
    let took = clock.now() - start;
    assert!(took <= Duration::from_millis(15), "{took:?}");
    assert_eq!(broker.values(at).len(), 100);
}

#[tokio::test(start_paused = true)]
async fn by_interval_a_loss_of_power_takes_back_no_more_than_the_interval() {
    let disk = Memory::unreliable();
    let options = Options { sync: crate::Sync::Interval(Duration::from_secs(1)), ..Options::default() };
    let broker = Broker::open(disk.clone(), options.clone()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.append(at, &batch(&["old"])).await;
    pass(Duration::from_secs(2)).await;
    broker.append(at, &batch(&["young"])).await;
    for seed in 0..20 {
        let disk = disk.after_power_loss(&mut Rng::new(seed));
        let broker = Broker::open(disk, options.clone()).await.unwrap();
        let values = broker.values(at);
        assert!(values == ["old"] || values == ["old", "young"], "seed {seed}: {values:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_uses_its_files_again_and_a_clean_stop_leaves_none() {
    let disk = Memory::new();
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    let mut most = 0;
    for _ in 0..400 {
        broker.append(at, &batch(&["x".repeat(150)])).await;
        most = most.max(files_of(&disk, "journal").len());
    }
    assert!(most <= 6, "400 batches fill 25 files, used were {most}");
    broker.stop().await;
    assert!(files_of(&disk, "journal").is_empty());
    let broker = Broker::open(disk, small()).await.unwrap();
    assert_eq!(broker.values(at).len(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_log_refuses_changes_and_says_why() {
    let broker = Broker::open(Memory::new(), small()).await.unwrap();
    let log = broker.log.clone();
    let at = broker.topic("orders", 1).await;
    let appended = log.append(at, FIRST, &batch(&["before"])).unwrap();
    broker.stop().await;
    log.settled(appended.position).await.unwrap();
    let crate::log::Refused::Broken(error) = log.append(at, FIRST, &batch(&["after"])).unwrap_err() else {
        panic!("it is stopped")
    };
    assert_eq!(error.kind(), ErrorKind::Stopped);
}

#[tokio::test(start_paused = true)]
async fn if_the_keeper_is_gone_nobody_waits_for_ever() {
    let disk = Memory::new();
    let broker = Broker::open(disk, small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.keeper.abort();
    let appended = broker.log.append(at, FIRST, &batch(&["one"]));
    drop(broker.keeper.await);
    if let Ok(appended) = appended {
        assert_eq!(broker.log.settled(appended.position).await.unwrap_err().kind(), ErrorKind::Stopped);
    }
    broker.log.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn segments_that_no_image_names_are_removed_at_the_start_and_other_files_left_alone() {
    let disk = Memory::new();
    let broker = Broker::open(disk.clone(), small()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    broker.append(at, &batch(&["kept"])).await;
    broker.stop().await;
    let before = disk.list().unwrap();
    let stray = format!("segment-{:032x}-0-{:020}", at.topic.0, 7);
    for name in [
        format!("{stray}.log"),
        format!("{stray}.index"),
        "image.new".into(),
        "filling-000003".into(),
        "address".into(),
    ] {
        disk.create(&name).unwrap().write_at(0, b"stray").unwrap();
    }
    Broker::open(disk.clone(), small()).await.unwrap().stop().await;
    let after = disk.list().unwrap();
    let names = |list: &[(String, u64)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let mut expected = names(&before);
    expected.push("address".into());
    expected.sort();
    assert_eq!(names(&after), expected);
}
