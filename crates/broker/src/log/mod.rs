//! The broker's log: everything it acknowledges, as one sequence of entries, synced once for all who wait.
//!
//! Every change returns the position of its entry; it is acknowledged once [`Log::settled`] says so. What is read
//! of partitions is settled already; what is read of the ledger may not be, so an answer about it waits for
//! [`Log::ledger_position`]. Of Kafka's protocol the log decides the order of producers' batches, and what goes by a
//! topic's rules: whole segments that are too old or too many, and records that later ones with their key replace.

mod checkpoint;
mod compaction;
mod contents;
mod dirty;
mod entry;
mod epochs;
mod files;
mod image;
mod index;
mod journal;
mod keeper;
mod open;
mod partition;
mod producers;
mod read;
mod recover;
mod segment;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::Notify;
use vltava_core::{
    Clock, Rng, TopicPartition,
    cluster::{Leader, NodeId},
    group::coordinator::{Kept, Record},
};
use vltava_wire::{ErrorCode, Uuid};

use crate::{
    Error, ErrorKind, Result, Sync,
    disk::Disk,
    ledger::{
        Entry,
        offsets::{self, Commit},
        topics::{self, Configured, Created, Deleted, Led, LedPartition, Topic},
    },
    topic_rules::configs::Given,
    watched::Watched,
};

use entry::ALIGNMENT;
pub(crate) use keeper::Keeper;
pub(crate) use read::{Chunk, Found};
use state::{Closed, State};

/// How a broker's log is kept. The sizes have a default that suits all but the smallest machines, and tests that want
/// to see files followed by others.
#[derive(Debug, Clone)]
pub struct Options {
    /// When a write counts as done.
    pub sync: Sync,
    /// A file of the journal, a multiple of 64, and so what a batch may take. Decided when the folder is new.
    pub journal_file_bytes: u64,
    /// After so much in the journal there is a checkpoint, so that the next start reads no more than that.
    pub checkpoint_bytes: u64,
    /// A segment that would grow beyond this is followed by another, unless its topic says otherwise.
    pub segment_bytes: u64,
    /// Settled batches leave the memory for their segments when there are so many bytes of them.
    pub move_bytes: usize,
    /// Producers wait while batches take so much memory.
    pub memory_bytes: usize,
    /// So often is looked for segments that are to go by their topics' rules.
    pub retention_interval: Duration,
    /// So often is looked for a partition that is to be compacted.
    pub compaction_interval: Duration,
    /// Compaction knows so many keys at a time, which takes some 40 bytes each.
    pub compaction_keys: usize,
}

impl Options {
    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<()> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Config, why));
        if self.sync == Sync::Interval(Duration::ZERO) {
            return refused("a time of 0 between two syncs is no interval");
        }
        if self.journal_file_bytes == 0 || !self.journal_file_bytes.is_multiple_of(ALIGNMENT) {
            return refused("the size of the journal's files is not a multiple of 64 bytes");
        }
        if self.compaction_keys == 0 {
            return refused("nothing can be compacted by 0 keys at a time");
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            sync: Sync::default(),
            journal_file_bytes: 16 * MIB as u64,
            checkpoint_bytes: 64 * MIB as u64,
            segment_bytes: 128 * MIB as u64,
            move_bytes: 4 * MIB,
            memory_bytes: 32 * MIB,
            retention_interval: Duration::from_secs(5 * 60),
            compaction_interval: Duration::from_secs(15),
            compaction_keys: 1 << 20,
        }
    }
}

/// There are no more partitions in all: each takes memory, some hundred bytes while it is empty, and a place in every
/// checkpoint, so that without a limit a few small requests would be a broker that cannot start again.
pub(crate) const PARTITIONS_MAX: usize = 100_000;

/// A partition, by its topic's id: a topic that is deleted and created again is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartitionId {
    pub(crate) topic: Uuid,
    pub(crate) partition: i32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A place in the journal, just after an entry. The default is before all of them, and always settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

/// A batch that is in the log, but perhaps not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// Once this is settled, the batch may be acknowledged.
    pub(crate) position: Position,
    /// Whether the batch had been appended before, by the same producer.
    pub(crate) duplicate: bool,
}

/// What there is of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) log_start: i64,
    /// The leader epoch in which the beginning was written.
    pub(crate) log_start_epoch: Option<i32>,
    /// Offsets below it may be read.
    pub(crate) high_watermark: i64,
    /// The offset of the next batch.
    pub(crate) end: i64,
    pub(crate) leader: Leader,
    /// How many bytes were settled since the log was opened.
    pub(crate) settled_bytes: u64,
    /// Once this is settled, the high watermark is at `end`.
    pub(crate) position: Position,
}

/// Why the log does not do what it was asked.
#[derive(Debug)]
pub(crate) enum Refused {
    /// In Kafka's words.
    Code(ErrorCode),
    /// The broker cannot, or cannot any more.
    Broken(Error),
}

impl Refused {
    /// What to tell a client.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Code(code) => *code,
            // It would be damaged still for who comes again.
            Self::Broken(error) if error.kind() == crate::ErrorKind::Damaged => ErrorCode::CorruptMessage,
            Self::Broken(_) => ErrorCode::KafkaStorageError,
        }
    }

    /// What to tell who works with the broker itself.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Code(code) => {
                Error::new(crate::ErrorKind::Damaged, format!("the log refused its own entry: {code:?}"))
            }
            Self::Broken(error) => error,
        }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// The log of a broker. A clone is the same log.
#[derive(Clone)]
pub(crate) struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    options: Options,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    progress: Watched<Reached>,
    /// The keeper may have something to do.
    work: Notify,
}

/// How far a log is, for the many who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reached {
    settled: u64,
    /// Whether producers have to wait.
    crowded: bool,
    /// Nothing more will be settled.
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with this lock")
    }

    fn is_memory_full(&self, state: &State) -> bool {
        state.contents.unmoved_bytes >= self.options.memory_bytes
    }

    /// Tells those who wait how far things are. While the disk takes nothing producers do not wait, they are refused.
    fn publish(&self, state: &State) {
        let crowded = self.is_memory_full(state) && state.stuck.is_none();
        let ended = matches!(state.closed, Some(Closed::Failed(_)));
        self.progress.update(|it| {
            *it = Reached { settled: state.settled, crowded, ended: ended || it.ended };
        });
    }
}

impl Log {
    /// Recovers what the folder holds. Nothing that is written is settled unless the keeper runs.
    pub(crate) async fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        chance: Rng,
        options: Options,
    ) -> Result<(Log, Keeper)> {
        let lock = open::lock(&*disk)?;
        let state = open::open(disk.clone(), chance, &options).await?;
        let reached = Reached { settled: state.settled, crowded: false, ended: false };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            options,
            disk,
            clock,
            progress: Watched::new(reached),
            work: Notify::new(),
        });
        let keeper = Keeper::new(shared.clone(), lock);
        Ok((Log { shared }, keeper))
    }

    /// Takes no more changes, settles those there are and stores a checkpoint, so that the next start is quick.
    pub(crate) async fn stop(&self) -> Result<()> {
        self.shared.state().closed.get_or_insert(Closed::Stopped);
        self.shared.work.notify_one();
        self.shared.progress.until(|it| it.ended).await;
        match &self.shared.state().closed {
            Some(closed @ Closed::Failed(_)) => Err(closed.error()),
            _ => Ok(()),
        }
    }

    /// Completes when all before `position` is as safe as the broker's `sync` promises.
    pub(crate) async fn settled(&self, position: Position) -> Result<()> {
        let reached = self.shared.progress.until(|it| it.settled >= position.0 || it.ended).await;
        if reached.settled >= position.0 {
            return Ok(());
        }
        Err(self.shared.state().closed.clone().unwrap_or(Closed::Stopped).error())
    }

    /// Completes when there is room for more batches in memory. To be awaited before batches are appended.
    pub(crate) async fn room(&self) {
        self.shared.progress.until(|it| !it.crowded || it.ended).await;
    }

    /// Whether all before `position` is settled by now.
    pub(crate) fn is_settled(&self, position: Position) -> bool {
        self.shared.progress.now().settled >= position.0
    }

    /// Where the journal was after the last change to the ledger.
    pub(crate) fn ledger_position(&self) -> Position {
        Position(self.shared.state().ledger_position)
    }

    /// The broker's name for life.
    pub(crate) fn cluster_id(&self) -> Uuid {
        self.shared.state().contents.ledger.cluster.id
    }

    /// A producer id that was never handed out before.
    pub(crate) fn new_producer_id(&self) -> Result<(i64, Position), Refused> {
        self.change(|state| {
            if let Some(reserved) = state.contents.ledger.producer_ids.reserve() {
                state.record(&Entry::ProducerIds(reserved))?;
            }
            let id = state.contents.ledger.producer_ids.take();
            Ok((id, Position(state.ledger_position)))
        })
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.shared.state().contents.ledger.topics.named(name).cloned()
    }

    pub(crate) fn topic_with_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.shared.state().contents.ledger.topics.with_id(id).cloned()
    }

    /// All topics, in order of name.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        self.shared.state().contents.ledger.topics.iter().cloned().collect()
    }

    /// Creates a topic with a partition for each of these leaders, unless there is one of this name or there are too
    /// many partitions. Whether name, number and configs are good is for the caller to know.
    pub(crate) fn create_topic(
        &self,
        name: &str,
        leaders: &[NodeId],
        configs: &Given,
    ) -> Result<(Arc<Topic>, Position), Refused> {
        self.change(|state| {
            if state.contents.ledger.topics.named(name).is_some() {
                return Err(ErrorCode::TopicAlreadyExists.into());
            }
            if state.contents.partition_count + leaders.len() > PARTITIONS_MAX {
                return Err(ErrorCode::InvalidPartitions.into());
            }
            let id = state.new_topic_id();
            let leader_epochs = vec![0; leaders.len()];
            let leaders = topics::listed_leaders(leaders.iter().copied());
            let configs = topics::listed(configs);
            let created = Created { name: name.to_owned(), id, leader_epochs, configs, leaders };
            let position = state.record(&Entry::TopicCreated(created))?;
            let topic = state.contents.ledger.topics.with_id(id).cloned();
            Ok((topic.expect("the topic was just created"), position))
        })
    }

    /// Gives a topic what `make` makes of the configs it has at that moment, or nothing if that fails.
    pub(crate) fn configure_topic<E>(
        &self,
        id: Uuid,
        make: impl FnOnce(&Given) -> Result<Given, E>,
    ) -> Result<Result<Position, E>, Refused> {
        self.change(|state| {
            let topic = state.contents.ledger.topics.with_id(id).ok_or(ErrorCode::UnknownTopicId)?;
            let configs = match make(&topic.configs) {
                Ok(configs) => topics::listed(&configs),
                Err(error) => return Ok(Err(error)),
            };
            state.record(&Entry::TopicConfigured(Configured { id, configs })).map(Ok)
        })
    }

    /// Gives partitions of a topic other leaders, each of which begins another epoch.
    pub(crate) fn lead(&self, id: Uuid, leaders: &[(i32, NodeId)]) -> Result<Position, Refused> {
        self.change(|state| {
            let topic = state.contents.ledger.topics.with_id(id).ok_or(ErrorCode::UnknownTopicId)?;
            if leaders.iter().any(|(it, _)| !(0..topic.partitions()).contains(it)) {
                return Err(ErrorCode::UnknownTopicOrPartition.into());
            }
            let led = |&(partition, leader): &(i32, NodeId)| LedPartition { partition, leader: leader.0 };
            state.record(&Entry::Led(Led { id, partitions: leaders.iter().map(led).collect() }))
        })
    }

    /// Deletes a topic, its records and what groups committed for it.
    pub(crate) fn delete_topic(&self, id: Uuid) -> Result<Position, Refused> {
        self.change(|state| {
            if state.contents.ledger.topics.with_id(id).is_none() {
                return Err(ErrorCode::UnknownTopicId.into());
            }
            state.record(&Entry::TopicDeleted(Deleted { id }))
        })
    }

    /// The groups that have committed offsets, in order of name.
    pub(crate) fn groups_with_offsets(&self) -> Vec<String> {
        self.shared.state().contents.ledger.offsets.groups().map(str::to_owned).collect()
    }

    /// Whether a group has committed offsets.
    pub(crate) fn has_committed(&self, group: &str) -> bool {
        self.shared.state().contents.ledger.offsets.has(group)
    }

    pub(crate) fn committed(&self, group: &str, at: &TopicPartition) -> Option<Commit> {
        self.shared.state().contents.ledger.offsets.of(group, at).cloned()
    }

    /// All that a group has committed, in order of topic and partition.
    pub(crate) fn all_committed(&self, group: &str) -> Vec<(TopicPartition, Commit)> {
        let state = self.shared.state();
        let all = state.contents.ledger.offsets.all_of(group);
        all.map(|(at, commit)| (at.clone(), commit.clone())).collect()
    }

    /// Commits offsets of a group. Whether it may is for the group's coordinator to know.
    pub(crate) fn commit_offsets(
        &self,
        group: &str,
        commits: &[(TopicPartition, Commit)],
    ) -> Result<Position, Refused> {
        let committed = offsets::committed(group, commits.iter().map(|(at, commit)| (at, commit)));
        self.change(|state| state.record(&Entry::OffsetsCommitted(committed)))
    }

    /// Forgets what a group has committed for these partitions. Whether it may is for its coordinator to know.
    pub(crate) fn forget_offsets(&self, group: &str, gone: &[TopicPartition]) -> Result<Position, Refused> {
        let forgotten = offsets::forgotten(group, gone);
        self.change(|state| state.record(&Entry::OffsetsForgotten(forgotten)))
    }

    /// Writes down what a coordinator says of a group.
    pub(crate) fn record_group(&self, record: &Record) -> Result<Position, Refused> {
        let entry = Entry::from(record.clone());
        self.change(|state| state.record(&entry))
    }

    /// All groups as they were written down.
    pub(crate) fn groups(&self) -> Kept {
        self.shared.state().contents.ledger.groups.clone()
    }

    /// Has a partition begin at this offset, or at its high watermark if none is said. Says where it begins then.
    pub(crate) fn delete_records(&self, at: PartitionId, until: Option<i64>) -> Result<i64, Refused> {
        self.change(|state| state.trim(at, until))
    }

    /// Appends one whole batch that was checked, unless its producer already did or the partition is led by another
    /// node than the one it came to.
    pub(crate) fn append(&self, at: PartitionId, by: NodeId, batch: &[u8]) -> Result<Appended, Refused> {
        let now = self.shared.clock.wall();
        self.change(|state| {
            if let Some(why) = state.stuck.as_ref().filter(|_| self.shared.is_memory_full(state)) {
                return Err(why.error().into());
            }
            state.append(at, by, batch, now)
        })
    }

    fn change<T>(&self, make: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, Refused> {
        let mut state = self.shared.state();
        let made = make(&mut state);
        if self.shared.options.sync != Sync::Always {
            let end = state.journal.end().position;
            state.settle(end);
        }
        self.shared.publish(&state);
        drop(state);
        self.shared.work.notify_one();
        made
    }
}
