//! The proof: cut after every operation of the disk, recover, write on, cut again, recover again.
//!
//! What was acknowledged is there, at its offset; what is there was sent, in that order; commits do not go back.

use std::collections::BTreeMap;

use super::{
    cuts::{Witness, cut_every_life, cut_everywhere, traced},
    *,
};

/// Of a disk that takes its time.
const LATENCY: Duration = Duration::from_millis(2);

const PARTITIONS: i32 = 3;

/// What a test knows of a broker from outside.
#[derive(Debug, Clone, Default)]
struct Told {
    topic: Option<PartitionId>,
    /// By partition: every batch that was sent, as its values, in order.
    sent: BTreeMap<i32, Vec<Vec<String>>>,
    /// What was acknowledged, and how many operations of the disk there were by then.
    acknowledged: Vec<(usize, Acknowledged)>,
    /// Offsets that were sent to be committed.
    commits: Vec<i64>,
    /// A topic that is to go.
    temporary: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Acknowledged {
    Topic,
    /// The last offset of a batch, and the offset after it.
    Batch {
        partition: i32,
        base_offset: i64,
        count: usize,
    },
    Commit(i64),
    ProducerId(i64),
    /// A topic that came and went.
    Deleted(String),
}

/// One life of a broker: it does what chance says, until the workload is done.
async fn live(disk: &Memory, seed: u64, steps: usize, told: &mut Told) {
    let mut chance = Rng::new(seed);
    let broker =
        Broker::open(disk.clone(), small()).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    if told.topic.is_none() {
        let (topic, position) = broker
            .log
            .create_topic("orders", &[FIRST; PARTITIONS as usize], &Given::new())
            .expect("it is new");
        told.topic = Some(PartitionId { topic: topic.id, partition: 0 });
        let waiting = vec![(position, Acknowledged::Topic)];
        acknowledge(&broker, disk, waiting, told).await;
    }
    let mut waiting = Vec::new();
    for _ in 0..steps {
        for _ in 0..1 + chance.below(4) {
            waiting.extend(act(&broker, &mut chance, told));
        }
        match chance.below(3) {
            0 => pass(Duration::from_millis(1)).await,
            _ => acknowledge(&broker, disk, std::mem::take(&mut waiting), told).await,
        }
    }
    acknowledge(&broker, disk, waiting, told).await;
    if chance.chance(50) {
        broker.stop().await;
    } else {
        broker.kill().await;
    }
}

fn act(broker: &Broker, chance: &mut Rng, told: &mut Told) -> Option<(Position, Acknowledged)> {
    let topic = told.topic.expect("the topic was created").topic;
    match chance.below(20) {
        0 => {
            let (id, position) = broker.log.new_producer_id().expect("the disk is well");
            Some((position, Acknowledged::ProducerId(id)))
        }
        1 => match told.temporary.take() {
            Some(name) => {
                let topic = broker.log.topic(&name)?;
                let position = broker.log.delete_topic(topic.id).expect("the topic exists");
                Some((position, Acknowledged::Deleted(name)))
            }
            None => {
                let name = format!("temporary-{:x}", chance.bits());
                let (topic, _) = broker.log.create_topic(&name, &[FIRST], &Given::new()).ok()?;
                let at = PartitionId { topic: topic.id, partition: 0 };
                broker.log.append(at, FIRST, &batch(&["gone soon"])).expect("the topic exists");
                told.temporary = Some(name);
                None
            }
        },
        2..5 => {
            let offset = told.commits.last().copied().unwrap_or_default() + chance.below(3) as i64;
            let commits = [(orders(0), commit(offset)), (orders(1), commit(offset))];
            let position = broker.log.commit_offsets("readers", &commits).expect("the disk is well");
            told.commits.push(offset);
            Some((position, Acknowledged::Commit(offset)))
        }
        _ => {
            let partition = chance.below(PARTITIONS as u64) as i32;
            let count = 1 + chance.below(3) as usize;
            let width = chance.below(200) as usize;
            let sent = told.sent.entry(partition).or_default();
            let values: Vec<_> = (0..count).map(|it| format!("{}-{it}-{:width$}", sent.len(), "")).collect();
            let at = PartitionId { topic, partition };
            let appended = broker.log.append(at, FIRST, &batch(&values)).expect("the batch is good");
            sent.push(values);
            let base_offset = appended.base_offset;
            Some((appended.position, Acknowledged::Batch { partition, base_offset, count }))
        }
    }
}

async fn acknowledge(
    broker: &Broker,
    disk: &Memory,
    waiting: Vec<(Position, Acknowledged)>,
    told: &mut Told,
) {
    for (position, acknowledged) in waiting {
        broker.log.settled(position).await.expect("the disk is well");
        told.acknowledged.push((disk.operations(), acknowledged));
    }
}

/// What must be there after a cut at `operations`, judged on a broker that was recovered. What is found becomes what
/// a further life goes on from.
async fn judge(disk: &Memory, operations: usize, told: &Told, because: &str) -> Told {
    let broker = match Broker::open(disk.clone(), small()).await {
        Ok(broker) => broker,
        Err(error) => panic!("{because}: {error}: {:?}", std::error::Error::source(&error)),
    };
    let acknowledged = told.acknowledged.iter().filter(|(at, _)| *at <= operations).map(|(_, it)| it);
    let acknowledged: Vec<_> = acknowledged.cloned().collect();
    let mut found =
        Told { acknowledged: acknowledged.iter().map(|it| (0, it.clone())).collect(), ..Told::default() };
    let Some(topic) = broker.log.topic("orders") else {
        assert_eq!(acknowledged, [], "{because}: all is gone");
        broker.kill().await;
        return Told::default();
    };
    let topic = PartitionId { topic: topic.id, partition: 0 };
    found.topic = Some(topic);
    found.temporary = told.temporary.clone().filter(|name| broker.log.topic(name).is_some());
    found.acknowledged.insert(0, (0, Acknowledged::Topic));
    for partition in 0..PARTITIONS {
        let values = broker.values(PartitionId { partition, ..topic });
        let sent = told.sent.get(&partition).map(Vec::as_slice).unwrap_or_default();
        let batches =
            prefix(&values, sent).unwrap_or_else(|| panic!("{because}: {partition} has {values:?}"));
        found.sent.insert(partition, sent[..batches].to_vec());
    }
    let committed = broker.log.committed("readers", &orders(0)).map(|it| it.offset);
    assert_eq!(committed, broker.log.committed("readers", &orders(1)).map(|it| it.offset), "{because}");
    found.commits.extend(committed);
    assert!(committed.is_none_or(|it| told.commits.contains(&it)), "{because}: {committed:?}");
    for it in &acknowledged {
        check(&broker, it, &found, because);
    }
    broker.kill().await;
    found
}

/// How many of the batches that were sent make up the values, if they do.
fn prefix(values: &[String], sent: &[Vec<String>]) -> Option<usize> {
    let mut rest = values;
    for (index, batch) in sent.iter().enumerate() {
        if rest.is_empty() {
            return Some(index);
        }
        rest = rest.strip_prefix(batch.as_slice())?;
    }
    rest.is_empty().then_some(sent.len())
}

fn check(broker: &Broker, acknowledged: &Acknowledged, found: &Told, because: &str) {
    match acknowledged {
        Acknowledged::Topic => (),
        Acknowledged::Batch { partition, base_offset, count } => {
            let records: usize = found.sent[partition].iter().map(Vec::len).sum();
            let end = *base_offset as usize + count;
            assert!(records >= end, "{because}: {partition} ends at {records}, acknowledged was {end}");
        }
        Acknowledged::Commit(offset) => {
            let committed = found.commits.last().copied();
            assert!(committed >= Some(*offset), "{because}: {committed:?} after {offset} was acknowledged");
        }
        Acknowledged::ProducerId(id) => {
            let (next, _) = broker.log.new_producer_id().expect("the disk is well");
            assert!(next > *id, "{because}: {next} after {id} was handed out");
        }
        Acknowledged::Deleted(name) => {
            assert!(broker.log.topic(name).is_none(), "{because}: {name} is back");
        }
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
async fn whatever_is_acknowledged_survives_a_cut_after_any_operation_and_another_cut_after_that() {
    for seed in 0..4 {
        let disk = traced(seed, LATENCY);
        let mut told = Told::default();
        live(&disk, seed, 14, &mut told).await;
        cut_everywhere(&disk, &told, seed, 4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_lives_with_a_loss_of_power_in_each_lose_nothing() {
    for seed in 100..250 {
        cut_every_life::<Told>(traced(seed, LATENCY), seed, 6).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_loses_nothing_in_any_sync_mode() {
    for sync in [crate::Sync::Always, crate::Sync::Interval(Duration::from_secs(1)), crate::Sync::Os] {
        let disk = Memory::new();
        let options = Options { sync, ..small() };
        let broker = Broker::open(disk.clone(), options.clone()).await.unwrap();
        let at = broker.topic("orders", 1).await;
        for number in 0..50 {
            broker.append(at, &batch(&[format!("{number}-{:100}", "")])).await;
        }
        let values = broker.values(at);
        assert_eq!(values.len(), 50);
        broker.kill().await;
        let broker = Broker::open(disk, options).await.unwrap();
        assert_eq!(broker.values(at), values, "{sync:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_left_unsynced_is_synced_before_anything_is_built_on_it() {
    let disk = Memory::unreliable();
    let options = Options { checkpoint_bytes: 1 << 20, ..small() };
    let broker = Broker::open(disk.clone(), options.clone()).await.unwrap();
    let at = broker.topic("orders", 1).await;
    for _ in 0..30 {
        broker.log.append(at, FIRST, &batch(&["x".repeat(200)])).expect("the batch is good");
    }
    assert!(files_of(&disk, "journal").len() > 1, "a file was begun whose name is not synced");
    broker.kill().await;
    let broker = Broker::open(disk.clone(), options.clone()).await.unwrap();
    broker.append(at, &batch(&["acknowledged"])).await;
    for seed in 0..50 {
        let disk = disk.after_power_loss(&mut Rng::new(seed));
        let broker = Broker::open(disk, options.clone()).await.unwrap();
        let last = broker.values(at).pop();
        assert_eq!(last.as_deref(), Some("acknowledged"), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_loose_sync_modes_a_loss_of_power_leaves_a_prefix_and_is_never_taken_for_damage() {
    for sync in [crate::Sync::Os, crate::Sync::Interval(Duration::from_millis(3))] {
        for seed in 0..60 {
            let options = Options { sync, ..small() };
            let mut chance = Rng::new(seed);
            let mut disk = traced(seed, LATENCY);
            let mut sent: Vec<String> = Vec::new();
            let mut at = None;
            for life in 0..4 {
                let because = format!("{sync:?}, seed {seed}, life {life}");
                let broker = Broker::open(disk.clone(), options.clone()).await;
                let broker = broker.unwrap_or_else(|error| panic!("{because}: {error}"));
                let topic = broker.log.topic("orders");
                let partition = match topic {
                    Some(topic) => PartitionId { topic: topic.id, partition: 0 },
                    None => broker.topic("orders", 1).await,
                };
                if at.replace(partition) != Some(partition) {
                    sent.clear();
                }
                let values = broker.values(partition);
                assert!(sent.starts_with(&values), "{because}: {} of {}", values.len(), sent.len());
                sent = values;
                for _ in 0..chance.below(40) {
                    let value = format!("{}-{life}-{:2$}", sent.len(), "", chance.below(300) as usize);
                    broker.append(partition, &batch(&[&value])).await;
                    sent.push(value);
                    if chance.chance(20) {
                        pass(Duration::from_millis(1)).await;
                    }
                }
                broker.kill().await;
                disk = disk.after_power_loss(&mut chance);
            }
        }
    }
}
