//! What is done to a log, step by step, and what a reader sees of it after each.

use std::collections::BTreeMap;

use vltava_core::group::coordinator::{
    ClassicGroup, ClassicMember, GroupGone, Kept, NextGroup, NextMember, NextMemberGone, NextTarget, Record,
};
use vltava_wire::messages::next_group::TopicPartitions;

use super::*;
use crate::log::{Appended, Bounds};

pub(super) type Configs = &'static [(&'static str, &'static str)];

/// One thing that is asked of a log: one entry of its journal, or none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Create(&'static str, Configs),
    Configure(&'static str, Configs),
    Delete(&'static str),
    /// A batch of one or two records that take about so many bytes.
    Append(&'static str, usize),
    DeleteRecords(&'static str, i64),
    /// Another node leads.
    Lead(&'static str, i32),
    Commit(i64),
    /// What the group committed is forgotten.
    Forget,
    /// This is written down of the group, at this generation or epoch.
    Group(Written, i32),
    /// So many milliseconds pass, in which the keeper does what is due.
    Pass(u64),
    /// All that was asked so far is acknowledged.
    Settle,
    StopAndOpen,
    KillAndOpen,
}

/// What is written down of a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Written {
    Classic,
    Next,
    Member,
    Target,
    MemberGone,
    Gone,
}

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct View {
    topics: BTreeMap<Arc<str>, Seen>,
    committed: Vec<(TopicPartition, Commit)>,
    groups: Kept,
}

#[derive(Debug, Clone, PartialEq)]
struct Seen {
    configs: Given,
    log_start: i64,
    end: i64,
    /// Not its epoch, which is another whenever the log is opened.
    leader: NodeId,
    /// Of a topic that is compacted, only the last of each key, if it has a value: the others may go at any time.
    records: Vec<Found>,
}

/// Offset, key and value.
type Found = (i64, String, Option<String>);

impl View {
    pub(super) fn log_start(&self, topic: &str) -> Option<i64> {
        self.topics.get(topic).map(|it| it.log_start)
    }

    pub(super) fn end(&self, topic: &str) -> Option<i64> {
        self.topics.get(topic).map(|it| it.end)
    }
}

/// A log that was told to do the steps of a script, and what a test knows of it from outside.
pub(super) struct Play {
    pub(super) broker: Broker,
    disk: Memory,
    options: Options,
    last: Position,
}

impl Play {
    pub(super) async fn open(disk: Memory, options: Options) -> Self {
        let broker = Broker::open(disk.clone(), options.clone()).await.expect("the disk is well");
        Self { broker, disk, options, last: Position::default() }
    }

    /// Takes the step that has this number in its script, without waiting for an acknowledgement.
    pub(super) async fn take(mut self, number: usize, step: Step) -> Self {
        let log = &self.broker.log;
        let id = |name| log.topic(name).expect("the script created it").id;
        let at = |name| PartitionId { topic: id(name), partition: 0 };
        self.last = match step {
            Step::Create(name, configs) => {
                log.create_topic(name, &[FIRST], &given(configs)).expect("it is new").1
            }
            Step::Configure(name, configs) => {
                self.broker.configure(id(name), configs);
                log.ledger_position()
            }
            Step::Delete(name) => log.delete_topic(id(name)).expect("it is there"),
            Step::Append(name, bytes) => {
                let Bounds { end, leader, .. } = log.bounds(at(name)).expect("it is there");
                log.append(at(name), leader.node, &numbered(number, end, bytes))
                    .expect("the batch is good")
                    .position
            }
            Step::DeleteRecords(name, until) => {
                log.delete_records(at(name), Some(until)).expect("it is within the log");
                log.ledger_position()
            }
            Step::Lead(name, node) => log.lead(id(name), &[(0, NodeId(node))]).expect("it is there"),
            Step::Commit(offset) => {
                log.commit_offsets("readers", &[(orders(0), commit(offset))]).expect("the disk is well")
            }
            Step::Forget => log.forget_offsets("readers", &[orders(0)]).expect("the disk is well"),
            Step::Group(what, epoch) => log.record_group(&record(what, epoch)).expect("the disk is well"),
            Step::Pass(milliseconds) => {
                pass(Duration::from_millis(milliseconds)).await;
                log.ledger_position().max(self.last)
            }
            Step::Settle => {
                self.settle().await;
                self.last
            }
            Step::StopAndOpen => {
                self.broker.stop().await;
                return Self::open(self.disk, self.options).await;
            }
            Step::KillAndOpen => {
                self.settle().await;
                self.broker.kill().await;
                return Self::open(self.disk, self.options).await;
            }
        };
        self
    }

    pub(super) async fn settle(&self) {
        self.broker.log.settled(self.last).await.expect("the disk is well");
    }
}

fn record(what: Written, epoch: i32) -> Record {
    let (group_id, member_id) = ("readers".to_owned(), "member".to_owned());
    let partitions = vec![TopicPartitions { topic_id: Uuid(7), partitions: vec![epoch] }];
    match what {
        Written::Classic => {
            let assignment = Bytes::from_static(b"orders 0");
            let members = vec![ClassicMember { member_id, assignment, ..Default::default() }];
            Record::Classic(ClassicGroup { group_id, generation: epoch, members, ..Default::default() })
        }
        Written::Next => Record::Next(NextGroup { group_id, epoch, ..Default::default() }),
        Written::Member => {
            let assigned = partitions;
            Record::Member(NextMember { group_id, member_id, epoch, assigned, ..Default::default() })
        }
        Written::Target => Record::Target(NextTarget { group_id, member_id, partitions }),
        Written::MemberGone => Record::MemberGone(NextMemberGone { group_id, member_id }),
        Written::Gone => Record::Gone(GroupGone { group_id }),
    }
}

/// The batch of a step: what is in it tells which step that was. It comes from a producer that numbers its records.
fn numbered(step: usize, base_offset: i64, bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new();
    let records = 1 + step % 2;
    for index in 0..records {
        let key = format!("key-{}", (step + index) % 4);
        let value = (step % 7 != 6).then(|| format!("{step}-{index}-{:1$}", "", bytes / records));
        let record = RecordSlices::new(1_000, Some(key.as_bytes()), value.as_deref().map(str::as_bytes));
        builder.append(record).expect("it is small");
    }
    builder.finish(stamp(7, 0, base_offset as i32), Compression::None).expect("it is small")
}

/// All that a reader finds now.
pub(super) fn view(log: &Log) -> View {
    let seen = |topic: &Arc<crate::ledger::topics::Topic>| {
        let at = PartitionId { topic: topic.id, partition: 0 };
        let bounds = log.bounds(at).expect("it is there");
        let mut records = records(log, at);
        if topic.configs.get("cleanup.policy").is_some_and(|it| it.as_deref() == Some("compact")) {
            let last: BTreeMap<_, _> = records.drain(..).map(|it| (it.1.clone(), it)).collect();
            records = last.into_values().filter(|it| it.2.is_some()).collect();
        }
        assert_eq!(topic.leaders, [bounds.leader], "the ledger and the partition agree");
        let Bounds { log_start, high_watermark: end, leader, .. } = bounds;
        let configs = topic.configs.clone();
        (topic.name.clone(), Seen { configs, log_start, end, leader: leader.node, records })
    };
    View {
        topics: log.topics().iter().map(seen).collect(),
        committed: log.all_committed("readers"),
        groups: log.groups(),
    }
}

/// How far a reader sees, of the topics that have something to see.
pub(super) fn ends(log: &Log) -> Vec<(Arc<str>, i64)> {
    let end = |topic: &Arc<crate::ledger::topics::Topic>| {
        let bounds = log.bounds(PartitionId { topic: topic.id, partition: 0 }).expect("it is there");
        (topic.name.clone(), bounds.high_watermark)
    };
    log.topics().iter().map(end).filter(|it| it.1 > 0).collect()
}

fn records(log: &Log, at: PartitionId) -> Vec<Found> {
    let mut found = Vec::new();
    let bounds = log.bounds(at).expect("it is there");
    let mut offset = bounds.log_start;
    while offset < bounds.high_watermark {
        let chunk = log.read(at, offset, 700).expect("the offset is in range");
        assert!(!chunk.records.is_empty(), "a reader at {offset} gets on");
        for batch in batches(chunk.records) {
            let batch = batch.expect("what is stored is a batch");
            batch.check_crc().expect("what is stored is as it was sent");
            offset = batch.last_offset() + 1;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
            let records = batch.decompress(Default::default()).expect("what is stored was checked");
            let all = records
                .iter()
                .map(|it| (it.offset(), it.key().map(text).expect("all have keys"), it.value().map(text)));
            found.extend(all.filter(|it| it.0 >= bounds.log_start));
        }
    }
    found
}

/// What comes again from the producer is known, if it is the last of its topic, and what comes next has its offset.
pub(super) fn goes_on(log: &Log, steps: &[Step], because: &str) {
    for topic in log.topics() {
        let at = PartitionId { topic: topic.id, partition: 0 };
        let Bounds { end, leader, .. } = log.bounds(at).expect("it is there");
        let of_topic = |it: &(usize, &Step)| matches!(it.1, Step::Append(name, _) if **name == *topic.name);
        if let Some((number, Step::Append(_, bytes))) = steps.iter().enumerate().rfind(of_topic)
            && end > 0
        {
            let base_offset = end - 1 - (number % 2) as i64;
            let again = log
                .append(at, leader.node, &numbered(number, base_offset, *bytes))
                .expect("it was good before");
            let told = (again.base_offset, again.duplicate);
            assert_eq!(told, (base_offset, true), "{because}: {} knows its producer", topic.name);
        }
        let next: Appended = log.append(at, leader.node, &numbered(0, end, 10)).expect("the batch is good");
        assert_eq!((next.base_offset, next.duplicate), (end, false), "{because}: {} goes on", topic.name);
    }
}
