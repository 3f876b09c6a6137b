//! What is left of a log that is compacted.

use super::*;
use vltava_wire::record::Batch;

const A_WHILE: Duration = Duration::from_secs(30);

const COMPACT: (&str, &str) = ("cleanup.policy", "compact");
const SMALL: (&str, &str) = ("segment.bytes", "1000");
const EAGER: (&str, &str) = ("min.cleanable.dirty.ratio", "0");

async fn broker(disk: &Memory, options: Options, configs: &[(&str, &str)]) -> (Broker, PartitionId) {
    let broker = Broker::open(disk.clone(), options).await.unwrap();
    let mut all = vec![COMPACT, SMALL, EAGER];
    all.extend(configs);
    let (topic, position) = broker.log.create_topic("orders", &[FIRST], &given(&all)).unwrap();
    broker.log.settled(position).await.unwrap();
    (broker, PartitionId { topic: topic.id, partition: 0 })
}

/// A record: its key, and its value if it has one.
type Pair<'a> = (&'a str, Option<&'a str>);

fn pairs(pairs: &[Pair<'_>], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (key, value) in pairs {
        let key = (!key.is_empty()).then_some(key.as_bytes());
        builder.append(RecordSlices::new(TODAY, key, value.map(str::as_bytes))).unwrap();
    }
    builder.finish(Stamp::NONE, compression).unwrap()
}

async fn put(broker: &Broker, at: PartitionId, key: &str, value: Option<&str>) -> i64 {
    broker.append(at, &pairs(&[(key, value)], Compression::None)).await.base_offset
}

/// Offset, key and value of every record that is left.
fn left(broker: &Broker, at: PartitionId) -> Vec<(i64, String, Option<String>)> {
    let mut found = Vec::new();
    let bounds = broker.log.bounds(at).unwrap();
    let mut offset = bounds.log_start;
    while offset < bounds.high_watermark {
        let chunk = broker.log.read(at, offset, 700).unwrap();
        assert!(!chunk.records.is_empty(), "a reader at {offset} gets on");
        for batch in batches(chunk.records) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            assert!(batch.last_offset() >= offset, "what is read goes on");
            offset = batch.last_offset() + 1;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let records = batch.decompress(Default::default()).unwrap();
            let record = |it: vltava_wire::record::RecordRef<'_>| {
                (it.offset(), it.key().map(text).unwrap_or_default(), it.value().map(text))
            };
            found.extend(records.iter().map(record));
        }
    }
    found
}

/// Enough under one key to close the segment that is open.
async fn close_segment(broker: &Broker, at: PartitionId) {
    for _ in 0..3 {
        put(broker, at, "filler", Some(&"x".repeat(600))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_record_of_each_key_stays_with_its_offset() {
    let disk = Memory::new();
    let (broker, at) = broker(&disk, small(), &[]).await;
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut last = std::collections::BTreeMap::new();
    for round in 0..40 {
        let keys: Vec<_> = (0..5).map(|it| format!("key-{}", (round * 3 + it * it) % 11)).collect();
        let value = format!("{round}-{:20}", "");
        let sent: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(value.as_str()))).collect();
        let base = broker.append(at, &pairs(&sent, codecs[round % 5])).await.base_offset;
        for (offset, key) in (base..).zip(keys) {
            last.insert(key, (offset, value.clone()));
        }
    }
    close_segment(&broker, at).await;
    let before = left(&broker, at);
    pass(A_WHILE).await;
    let after = left(&broker, at);
    assert!(before.len() > 200 && after.len() < 60, "{} of {} are left", after.len(), before.len());
    assert!(after.iter().all(|it| before.contains(it)), "what is left is as it was");
    for (key, (offset, value)) in &last {
        let found = after.iter().rfind(|it| it.1 == *key).unwrap();
        assert_eq!(found, &(*offset, key.clone(), Some(value.clone())));
    }
    assert_eq!(broker.log.bounds(at).unwrap().log_start, 0, "the beginning stays where it was");
    let expected = left(&broker, at);
    broker.stop().await;
    let files = files_of(&disk, ".log").len();
    assert!(files <= 6, "small segments are joined: {files}");
    let broker = Broker::open(disk, small()).await.unwrap();
    assert_eq!(left(&broker, at), expected);
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_stays_for_its_time_and_then_goes() {
    // A second is a thousand of the records' time.
    let broker = Broker::open_by(Calendar::new(1000), Memory::new(), small()).await.unwrap();
    let configs = [COMPACT, SMALL, EAGER, ("delete.retention.ms", "100000000")];
    let (topic, _) = broker.log.create_topic("orders", &[FIRST], &given(&configs)).unwrap();
    let at = PartitionId { topic: topic.id, partition: 0 };
    put(&broker, at, "a", Some("1")).await;
    put(&broker, at, "b", Some("1")).await;
    let tombstone = put(&broker, at, "a", None).await;
    let keys = |broker: &Broker| -> Vec<_> {
        let all = left(broker, at).into_iter().filter(|it| it.1 != "filler");
        all.map(|it| (it.0, it.1, it.2.is_some())).collect()
    };
    let both = [(1, "b".to_owned(), true), (tombstone, "a".to_owned(), false)];
    for _ in 0..2 {
        close_segment(&broker, at).await;
        pass(A_WHILE).await;
        assert_eq!(keys(&broker), both, "its time runs from when it was met first");
        let batch = Batch::parse(broker.log.read(at, tombstone, 1).unwrap().records).unwrap();
        let day = 100_000_000;
        assert!(
            batch.delete_horizon().is_some_and(|it| (TODAY + day..TODAY + day + 10_000_000).contains(&it))
        );
    }
    pass(A_WHILE * 2).await;
    close_segment(&broker, at).await;
    pass(A_WHILE).await;
    assert_eq!(keys(&broker), [(1, "b".to_owned(), true)]);
}

#[tokio::test(start_paused = true)]
async fn neither_young_records_nor_too_few_are_compacted_unless_they_waited_for_too_long() {
    let untouched: [&[(&str, &str)]; 3] = [
        &[("min.compaction.lag.ms", "3600000")],
        &[("min.cleanable.dirty.ratio", "1")],
        &[("cleanup.policy", "delete")],
    ];
    for configs in untouched {
        let (broker, at) = broker(&Memory::new(), small(), configs).await;
        for _ in 0..20 {
            put(&broker, at, "a", Some(&"x".repeat(100))).await;
        }
        pass(A_WHILE).await;
        assert_eq!(left(&broker, at).len(), 20, "{configs:?}");
    }
    let overdue = [("min.cleanable.dirty.ratio", "1"), ("max.compaction.lag.ms", "1")];
    let (broker, at) = broker(&Memory::new(), small(), &overdue).await;
    for _ in 0..20 {
        let mut builder = BatchBuilder::new();
        builder.append(RecordSlices::new(TODAY - 10_000, Some(b"a"), Some(&[b'x'; 100]))).unwrap();
        broker.append(at, &builder.finish(Stamp::NONE, Compression::None).unwrap()).await;
    }
    pass(A_WHILE).await;
    assert!(left(&broker, at).len() < 12);
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_are_known_at_a_time_are_compacted_in_turns() {
    let options = Options { compaction_keys: 7, ..small() };
    let (broker, at) = broker(&Memory::new(), options, &[]).await;
    for round in 0..6 {
        for key in 0..30 {
            put(&broker, at, &format!("key-{key}"), Some(&format!("{round}-{:50}", ""))).await;
        }
    }
    close_segment(&broker, at).await;
    pass(A_WHILE * 20).await;
    let after = left(&broker, at);
    for key in 0..30 {
        let found: Vec<_> = after.iter().filter(|it| it.1 == format!("key-{key}")).collect();
        assert!(found.last().unwrap().2.as_deref().unwrap().starts_with("5-"), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_whose_key_is_not_known_in_time_brings_nothing_back() {
    let options = Options { compaction_keys: 3, ..small() };
    // Between one compaction and the next, time passes.
    let clock = Arc::new(SystemClock::new());
    let disk = Memory::new().with_latency(clock, Duration::from_millis(5));
    let (broker, at) = broker(&disk, options, &[("delete.retention.ms", "0")]).await;
    put(&broker, at, "k", Some("1")).await;
    close_segment(&broker, at).await;
    pass(A_WHILE).await;
    for number in 0..12 {
        put(&broker, at, &format!("{number}"), Some("1")).await;
    }
    let tombstone = put(&broker, at, "k", None).await;
    for _ in 0..8 {
        close_segment(&broker, at).await;
        pass(A_WHILE).await;
        let found = left(&broker, at);
        let value = found.iter().find(|it| it.1 == "k" && it.2.is_some());
        let is_deleted = found.iter().any(|it| it.0 == tombstone);
        assert!(value.is_none() || is_deleted, "it is back: {value:?}");
    }
    let found = left(&broker, at);
    assert!(found.iter().all(|it| it.1 != "k"), "both are gone in the end: {found:?}");
}

#[tokio::test(start_paused = true)]
async fn records_without_a_key_and_batches_that_nobody_can_open_are_no_obstacle() {
    let (broker, at) = broker(&Memory::new(), small(), &[("cleanup.policy", "delete")]).await;
    broker.append(at, &pairs(&[("", Some("keyless")), ("a", Some("1"))], Compression::None)).await;
    // Its producer packed it so that nobody can open it, which only a topic that is not compacted takes.
    let mut closed = Vec::from(pairs(&[("a", Some(&"y".repeat(100)))], Compression::Gzip));
    let middle = closed.len() - 20;
    closed[middle..].fill(7);
    let closed_at = broker.append(at, &closed).await.base_offset;
    put(&broker, at, "a", Some("2")).await;
    broker.configure(at.topic, &[COMPACT, SMALL, EAGER]);
    close_segment(&broker, at).await;
    pass(A_WHILE).await;
    let chunk = broker.log.read(at, 0, 1).unwrap();
    let first = Batch::parse(chunk.records).unwrap();
    assert_eq!(first.bytes()[61..], closed[61..], "it is as it was, and what was before it is gone");
    assert_eq!(first.base_offset, closed_at);
    let next = Batch::parse(broker.log.read(at, closed_at + 1, 1).unwrap().records).unwrap();
    assert_eq!((next.base_offset, next.count), (closed_at + 1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_compacted_is_deleted_too_where_both_are_asked_for() {
    let both = [("cleanup.policy", "compact,delete"), ("retention.bytes", "2000")];
    let (broker, at) = broker(&Memory::new(), small(), &both).await;
    for key in 0..60 {
        put(&broker, at, &format!("key-{key}"), Some(&"x".repeat(100))).await;
    }
    pass(Duration::from_secs(61)).await;
    let after = left(&broker, at);
    assert!(broker.log.bounds(at).unwrap().log_start > 0);
    assert!((8..30).contains(&after.len()), "{} are left", after.len());
    assert_eq!(after.last().unwrap().1, "key-59");
}

#[tokio::test(start_paused = true)]
async fn a_compaction_whose_log_is_trimmed_or_deleted_meanwhile_changes_nothing() {
    let clock = Arc::new(SystemClock::new());
    let disk = Memory::new().with_latency(clock, Duration::from_millis(200));
    let (broker, at) =
        broker(&disk, small(), &[("cleanup.policy", "compact,delete"), ("retention.ms", "-1")]).await;
    for _ in 0..40 {
        broker.log.append(at, FIRST, &pairs(&[("a", Some(&"x".repeat(100)))], Compression::None)).unwrap();
    }
    put(&broker, at, "b", Some("last")).await;
    // Until the new files are being synced.
    while files_of(&disk, ".c1.log").is_empty() {
        pass(Duration::from_millis(50)).await;
    }
    let end = broker.log.bounds(at).unwrap().high_watermark;
    broker.log.delete_records(at, Some(end - 1)).unwrap();
    pass(Duration::from_secs(3)).await;
    assert_eq!(left(&broker, at).len(), 1);
    assert!(files_of(&disk, ".c1.log").is_empty(), "what it wrote is removed");
    let deleted = broker.log.delete_topic(at.topic).unwrap();
    broker.log.settled(deleted).await.unwrap();
    pass(A_WHILE).await;
    broker.stop().await;
    assert!(files_of(&disk, "segment").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_compaction_that_finds_no_room_is_tried_again() {
    let disk = Memory::new();
    let (broker, at) = broker(&disk, small(), &[]).await;
    for _ in 0..40 {
        put(&broker, at, "a", Some(&"x".repeat(100))).await;
    }
    disk.fail_writes(1_000_000);
    pass(A_WHILE).await;
    disk.fail_writes(0);
    assert_eq!(left(&broker, at).len(), 40);
    pass(A_WHILE).await;
    assert!(left(&broker, at).len() < 15);
    put(&broker, at, "a", Some("after it")).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_cannot_be_compacted_is_no_obstacle_to_the_others() {
    for victim in 0..2 {
        let disk = Memory::new();
        let broker = Broker::open(disk.clone(), small()).await.unwrap();
        let topics = ["orders", "payments"].map(|name| {
            let (topic, _) =
                broker.log.create_topic(name, &[FIRST], &given(&[COMPACT, SMALL, EAGER])).unwrap();
            PartitionId { topic: topic.id, partition: 0 }
        });
        for _ in 0..40 {
            for at in topics {
                put(&broker, at, "a", Some(&"x".repeat(100))).await;
            }
        }
        let (broken, sound) = (topics[victim], topics[1 - victim]);
        let files = files_of(&disk, &format!("{:032x}", broken.topic.0));
        let first = files.iter().find(|it| it.ends_with(".log")).unwrap();
        disk.damage(first, 0..200).unwrap();
        pass(A_WHILE).await;
        assert!(left(&broker, sound).len() < 15, "broken is {victim}");
        put(&broker, broken, "a", Some("after it")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_happened_at_a_time_is_found_in_what_is_left() {
    let (broker, at) = broker(&Memory::new(), small(), &[]).await;
    let base = TODAY - 100_000;
    for number in 0..40 {
        let mut builder = BatchBuilder::new();
        let key = format!("key-{}", number % 10);
        builder.append(RecordSlices::new(base + number, Some(key.as_bytes()), Some(&[b'x'; 100]))).unwrap();
        broker.append(at, &builder.finish(Stamp::NONE, Compression::None).unwrap()).await;
    }
    close_segment(&broker, at).await;
    pass(A_WHILE).await;
    for time in [0, 5, 29, 30, 35, 39] {
        let found = broker.log.find_timestamp(at, base + time).unwrap().unwrap();
        let first = left(&broker, at).into_iter().map(|it| it.0).find(|it| *it >= time).unwrap();
        assert_eq!(found.offset, first, "time {time}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_sync_that_fails_while_a_log_is_compacted_ends_writing_and_loses_no_key() {
    let options = Options { compaction_interval: Duration::from_millis(3), ..small() };
    for number in 0..40 {
        let disk = Memory::unreliable();
        let (broker, at) = broker(&disk, options.clone(), &[]).await;
        let mut acknowledged = std::collections::BTreeMap::new();
        for index in 0..60 {
            if index == number {
                disk.fail_syncs(1);
            }
            let (key, value) = (format!("key-{}", index % 5), format!("{index:03}-{:80}", ""));
            let sent = pairs(&[(&key, Some(&value))], Compression::None);
            let Ok(appended) = broker.log.append(at, FIRST, &sent) else { break };
            if broker.log.settled(appended.position).await.is_err() {
                break;
            }
            acknowledged.insert(key, value);
            pass(Duration::from_millis(1)).await;
        }
        broker.kill().await;
        let broker =
            Broker::open(disk.after_power_loss(&mut Rng::new(number)), options.clone()).await.unwrap();
        let found = left(&broker, at);
        for (key, value) in &acknowledged {
            let last = found.iter().rfind(|it| it.1 == *key).and_then(|it| it.2.as_ref());
            assert!(last >= Some(value), "sync {number}: {key} has {last:?} after {value}");
        }
    }
}
