//! The proof for what goes: cut after every operation of the disk while logs are trimmed, retained and compacted,
//! recover, go on, cut again.
//!
//! The last acknowledged record of a key is there, or a later one; what was deleted with an acknowledgement stays
//! deleted; nothing is gone that nobody asked to go; what is there is as it was sent, at its offset.

use std::collections::BTreeMap;

use super::{
    cuts::{Witness, cut_every_life, cut_everywhere, traced},
    *,
};

/// Of a disk that takes its time.
const LATENCY: Duration = Duration::from_millis(1);

/// What may go of each topic, by its configs.
const TOPICS: [(&str, &[(&str, &str)]); 3] = [
    (
        "compacted",
        &[
            ("cleanup.policy", "compact"),
            ("segment.bytes", "700"),
            ("min.cleanable.dirty.ratio", "0.1"),
            ("delete.retention.ms", "0"),
        ],
    ),
    ("trimmed", &[("retention.ms", "-1"), ("segment.bytes", "500")]),
    ("bounded", &[("retention.ms", "-1"), ("retention.bytes", "2000"), ("segment.bytes", "500")]),
];
const COMPACTED: usize = 0;
const TRIMMED: usize = 1;
const BOUNDED: usize = 2;
const RETAINED_BYTES: usize = 2000;

/// A record that was sent: its key, and its value if it has one.
type Sent = (String, Option<String>);

#[derive(Debug, Clone, Default)]
struct Told {
    topics: Vec<PartitionId>,
    /// By topic: every record by its offset, in the order of sending.
    sent: [Vec<Sent>; 3],
    /// Offsets up to which records of the topic `trimmed` were asked to be deleted.
    trims: Vec<i64>,
    /// What was acknowledged, and how many operations of the disk there were by then.
    acknowledged: Vec<(usize, Acknowledged)>,
}

#[derive(Debug, Clone, Copy)]
enum Acknowledged {
    Topics,
    /// All up to this offset of a topic.
    Sent(usize, i64),
    Trimmed(i64),
}

fn options() -> Options {
    Options {
        retention_interval: Duration::from_millis(7),
        compaction_interval: Duration::from_millis(5),
        ..small()
    }
}

async fn live(disk: &Memory, seed: u64, steps: usize, told: &mut Told) {
    let mut chance = Rng::new(seed);
    let broker = Broker::open(disk.clone(), options()).await.unwrap_or_else(|it| panic!("seed {seed}: {it}"));
    if told.topics.is_empty() {
        let mut last = Position::default();
        for (name, configs) in TOPICS {
            let (topic, position) =
                broker.log.create_topic(name, &[FIRST], &given(configs)).expect("it is new");
            told.topics.push(PartitionId { topic: topic.id, partition: 0 });
            last = position;
        }
        broker.log.settled(last).await.expect("the disk is well");
        told.acknowledged.push((disk.operations(), Acknowledged::Topics));
    }
    for _ in 0..steps {
        let mut waiting = Vec::new();
        for _ in 0..1 + chance.below(4) {
            waiting.push(act(&broker, &mut chance, told));
        }
        pass(Duration::from_millis(chance.below(4))).await;
        for (position, acknowledged) in waiting {
            broker.log.settled(position).await.expect("the disk is well");
            told.acknowledged.push((disk.operations(), acknowledged));
        }
    }
    match chance.chance(30) {
        true => broker.stop().await,
        false => broker.kill().await,
    }
}

fn act(broker: &Broker, chance: &mut Rng, told: &mut Told) -> (Position, Acknowledged) {
    let topic = chance.below(3) as usize;
    let at = told.topics[topic];
    if topic == TRIMMED && chance.chance(20) {
        let settled = broker.log.bounds(at).expect("the topic is there");
        let width = settled.high_watermark - settled.log_start;
        let until = settled.log_start + chance.below(width as u64 + 1) as i64;
        told.trims.push(until);
        let start = broker.log.delete_records(at, Some(until)).expect("it is within the log");
        return (broker.log.ledger_position(), Acknowledged::Trimmed(start));
    }
    let mut builder = BatchBuilder::new();
    for _ in 0..1 + chance.below(3) {
        let (key, width) = (format!("key-{}", chance.below(6)), chance.below(120) as usize);
        let number = told.sent[topic].len();
        let value = (!chance.chance(15)).then(|| format!("{number}-{:width$}", ""));
        let value_bytes = value.as_deref().map(str::as_bytes);
        builder.append(RecordSlices::new(1_000, Some(key.as_bytes()), value_bytes)).expect("it is small");
        told.sent[topic].push((key, value));
    }
    let compression = if chance.chance(30) { Compression::Lz4 } else { Compression::None };
    let batch = builder.finish(Stamp::NONE, compression).expect("it is small");
    let appended = broker.log.append(at, FIRST, &batch).expect("the batch is good");
    (appended.position, Acknowledged::Sent(topic, told.sent[topic].len() as i64 - 1))
}

/// The records of a topic by their offsets, where its log begins, and where it ends.
struct Found {
    records: BTreeMap<i64, Sent>,
    bytes: usize,
    log_start: i64,
    end: i64,
}

fn read(broker: &Broker, at: PartitionId, because: &str) -> Found {
    let bounds = broker.log.bounds(at).expect("the topic is there");
    let (log_start, end) = (bounds.log_start, bounds.high_watermark);
    let mut found = Found { records: BTreeMap::new(), bytes: 0, log_start, end };
    let mut offset = log_start;
    while offset < end {
        let chunk = broker.log.read(at, offset, 500).unwrap_or_else(|it| panic!("{because}: {it:?}"));
        assert!(!chunk.records.is_empty(), "{because}: a reader at {offset} gets on");
        for batch in batches(chunk.records) {
            let batch = batch.unwrap_or_else(|it| panic!("{because}: {it}"));
            batch.check_crc().unwrap_or_else(|it| panic!("{because}: {it}"));
            assert!(batch.last_offset() >= offset, "{because}: a read goes back");
            offset = batch.last_offset() + 1;
            found.bytes += batch.length;
            let text = |it: &[u8]| String::from_utf8(it.to_vec()).expect("it is text");
            let records = batch.decompress(Default::default()).expect("it is sound");
            for record in records.iter().filter(|it| it.offset() >= log_start) {
                let sent = (text(record.key().expect("it has a key")), record.value().map(text));
                assert!(found.records.insert(record.offset(), sent).is_none(), "{because}: read twice");
            }
        }
    }
    found
}

/// What must be there after a cut at `operations`. What is found becomes what a further life goes on from.
async fn judge(disk: &Memory, operations: usize, told: &Told, because: &str) -> Told {
    let broker = Broker::open(disk.clone(), options()).await.unwrap_or_else(|error| {
        panic!("{because}: {error}: {:?}", std::error::Error::source(&error));
    });
    let acknowledged: Vec<_> =
        told.acknowledged.iter().filter(|it| it.0 <= operations).map(|it| it.1).collect();
    let present = TOPICS.iter().filter(|(name, _)| broker.log.topic(name).is_some()).count();
    if present < TOPICS.len() {
        assert!(acknowledged.is_empty(), "{because}: topics are gone");
        for (name, _) in TOPICS {
            if let Some(topic) = broker.log.topic(name) {
                let position = broker.log.delete_topic(topic.id).expect("it is there");
                broker.log.settled(position).await.expect("the disk is well");
            }
        }
        broker.kill().await;
        return Told::default();
    }
    let mut after = told.clone();
    after.acknowledged = acknowledged.iter().map(|it| (0, *it)).collect();
    after.topics =
        TOPICS.map(|(name, _)| broker.log.topic(name).expect("it is there").id).map(at_first).to_vec();
    let found: Vec<_> = after.topics.iter().map(|at| read(&broker, *at, because)).collect();
    for (topic, found) in found.iter().enumerate() {
        let because = format!("{because}, topic {}", TOPICS[topic].0);
        for (offset, record) in &found.records {
            assert_eq!(Some(record), told.sent[topic].get(*offset as usize), "{because}: offset {offset}");
        }
        let sent = |it: &Acknowledged| matches!(it, Acknowledged::Sent(of, _) if *of == topic);
        for it in acknowledged.iter().filter(|it| sent(it)) {
            let Acknowledged::Sent(_, offset) = *it else { unreachable!("it was filtered") };
            assert!(found.end > offset, "{because}: it ends at {}, {offset} was acknowledged", found.end);
        }
        after.sent[topic].truncate(found.end as usize);
    }
    judge_trimmed(&found[TRIMMED], told, &acknowledged, because);
    judge_bounded(&found[BOUNDED], because);
    judge_compacted(&found[COMPACTED], &after.sent[COMPACTED], because);
    broker.kill().await;
    after
}

fn at_first(topic: vltava_wire::Uuid) -> PartitionId {
    PartitionId { topic, partition: 0 }
}

fn is_whole(found: &Found, because: &str) {
    let offsets: Vec<_> = found.records.keys().copied().collect();
    assert_eq!(offsets, (found.log_start..found.end).collect::<Vec<_>>(), "{because}: it has no holes");
}

fn judge_trimmed(found: &Found, told: &Told, acknowledged: &[Acknowledged], because: &str) {
    is_whole(found, because);
    let asked = told.trims.iter().copied().max().unwrap_or_default();
    assert!(found.log_start <= asked, "{because}: it begins at {}, asked was {asked}", found.log_start);
    for it in acknowledged {
        if let Acknowledged::Trimmed(start) = it {
            assert!(found.log_start >= *start, "{because}: what was deleted up to {start} is back");
        }
    }
}

fn judge_bounded(found: &Found, because: &str) {
    is_whole(found, because);
    let enough = found.log_start == 0 || found.bytes >= RETAINED_BYTES;
    assert!(enough, "{because}: {} bytes are left from {} on", found.bytes, found.log_start);
}

/// Every key's last record is there, unless it is a tombstone.
fn judge_compacted(found: &Found, sent: &[Sent], because: &str) {
    assert_eq!(found.log_start, 0, "{because}");
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for (offset, (key, _)) in (0..).zip(sent) {
        last.insert(key, offset);
    }
    for (key, offset) in last {
        let is_tombstone = sent[offset as usize].1.is_none();
        let is_there = found.records.contains_key(&offset);
        assert!(is_there || is_tombstone, "{because}: {key} of offset {offset} is gone");
        let later = found.records.iter().any(|(it, record)| *it > offset && record.0 == key);
        assert!(!later, "{because}: {key} has a record after its last");
    }
}

impl Witness for Told {
    async fn live(&mut self, disk: &Memory, seed: u64, steps: usize) {
        live(disk, seed, steps, self).await;
    }

    async fn judge(&self, disk: &Memory, operations: usize, because: &str) -> Self {
        judge(disk, operations, self, because).await
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_goes_wholly_or_not_at_all_wherever_the_disk_is_cut() {
    let mut compacted = 0;
    for seed in 0..3 {
        let disk = traced(seed, LATENCY);
        let mut told = Told::default();
        live(&disk, seed, 40, &mut told).await;
        compacted += files_of(&disk, ".c").len();
        cut_everywhere(&disk, &told, seed, 6).await;
    }
    assert!(compacted > 0, "something was compacted");
}

#[tokio::test(start_paused = true)]
async fn many_lives_of_cleaning_with_a_loss_of_power_in_each_lose_nothing() {
    let mut moved = [0; 2];
    for seed in 100..140 {
        let disk = cut_every_life::<Told>(traced(seed, LATENCY), seed, 15).await;
        let broker = Broker::open(disk.clone(), options()).await.expect("it was opened before");
        for (moved, name) in moved.iter_mut().zip(["trimmed", "bounded"]) {
            let Some(topic) = broker.log.topic(name) else { continue };
            *moved += broker.log.bounds(at_first(topic.id)).expect("it is there").log_start;
        }
        broker.kill().await;
    }
    assert!(moved[0] > 0 && moved[1] > 0, "logs were trimmed: {moved:?}");
}
