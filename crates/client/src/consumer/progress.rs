//! How far the user of a member has come in all that it owns: told by those who hand records out and by the user,
//! seen by whoever commits it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;
use vltava_core::TopicPartition;

use super::{AssignmentId, Commit, PartitionStream, mark::Mark};
use crate::error::{Error, ErrorKind, Result};

/// Shared by a member's reader, its committers and its keeper.
#[derive(Debug)]
pub(super) struct Progress {
    partitions: Mutex<BTreeMap<TopicPartition, Known>>,
    /// Whether what was handed out counts as finished once more is asked for.
    auto_store: bool,
    /// Whether anybody judges if the user is stuck: not who works on partitions side by side.
    is_watched: AtomicBool,
    /// The user was found stuck, and has not asked for anything since.
    is_away: AtomicBool,
    changed: Notify,
}

/// A partition that is owned.
#[derive(Debug)]
struct Known {
    assignment: AssignmentId,
    mark: Arc<Mark>,
    /// What the user stored last.
    stored: Option<Commit>,
    /// Up to where commits were ordered.
    ordered: i64,
    is_urgent: bool,
}

/// Which commits are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// All of what is finished.
    All,
    /// What somebody wants to be committed soon.
    Urgent,
}

impl Progress {
    pub(super) fn new(auto_store: bool) -> Self {
        Self {
            partitions: Mutex::default(),
            auto_store,
            is_watched: AtomicBool::new(true),
            is_away: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// These are owned from now on.
    pub(super) fn assigned(&self, streams: &[PartitionStream]) {
        let mut partitions = self.lock();
        for stream in streams {
            if !self.auto_store {
                stream.mark().store_by_hand();
            }
            let known = Known {
                assignment: stream.assignment(),
                mark: stream.mark().clone(),
                stored: None,
                ordered: -1,
                is_urgent: false,
            };
            partitions.insert(stream.topic_partition().clone(), known);
        }
    }

    /// These are owned no more.
    pub(super) fn given_back(&self, partitions: &[TopicPartition]) {
        let mut owned = self.lock();
        partitions.iter().for_each(|it| drop(owned.remove(it)));
    }

    /// Under which number a partition is owned.
    pub(super) fn assignment(&self, partition: &TopicPartition) -> Result<AssignmentId> {
        self.lock().get(partition).map(|known| known.assignment).ok_or_else(|| not_owned(partition))
    }

    /// Everything below an offset is finished, to be committed with what else is.
    pub(super) fn store(&self, commit: Commit) -> Result<()> {
        self.note(commit, false)
    }

    /// The same, to be committed soon.
    pub(super) fn store_soon(&self, commit: Commit) -> Result<()> {
        self.note(commit, true)?;
        self.changed.notify_one();
        Ok(())
    }

    fn note(&self, commit: Commit, is_urgent: bool) -> Result<()> {
        let mut partitions = self.lock();
        let known = partitions.get_mut(&commit.topic_partition);
        let Some(known) = known.filter(|known| known.assignment == commit.assignment) else {
            return Err(not_owned(&commit.topic_partition));
        };
        known.mark.finish(commit.offset);
        known.is_urgent |= is_urgent;
        if known.stored.as_ref().is_none_or(|stored| stored.offset <= commit.offset) {
            known.stored = Some(commit);
        }
        Ok(())
    }

    /// Commits of these are under way: what is below them is finished. Those of others are none of ours.
    pub(super) fn ordered(&self, commits: &[Commit]) {
        let mut partitions = self.lock();
        for commit in commits {
            let known = partitions.get_mut(&commit.topic_partition);
            if let Some(known) = known.filter(|known| known.assignment == commit.assignment) {
                known.mark.finish(commit.offset);
                known.ordered = known.ordered.max(commit.offset);
            }
        }
    }

    /// These were not committed: they will be due again.
    pub(super) fn refused(&self, commits: &[Commit]) {
        let mut partitions = self.lock();
        for commit in commits {
            if let Some(known) = partitions.get_mut(&commit.topic_partition) {
                known.ordered = -1;
            }
        }
    }

    /// What is finished and was not ordered to be committed.
    pub(super) fn due(&self, which: Due) -> Vec<Commit> {
        let mut partitions = self.lock();
        let due = partitions.iter_mut().filter(|(_, known)| which == Due::All || known.is_urgent);
        due.filter_map(|(partition, known)| known.due(partition)).collect()
    }

    /// What is in the user's hands: of each partition the offset below which everything is finished.
    pub(super) fn in_hand(&self) -> BTreeMap<TopicPartition, i64> {
        if !self.is_watched.load(Ordering::Relaxed) {
            return BTreeMap::new();
        }
        let partitions = self.lock();
        let held = partitions.iter().filter_map(|(name, known)| Some((name.clone(), known.mark.in_hand()?)));
        held.collect()
    }

    /// From now on nobody judges whether the user is stuck.
    pub(super) fn watch_no_more(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
    }

    /// The user was found stuck.
    pub(super) fn went_away(&self) {
        self.is_away.store(true, Ordering::Release);
    }

    /// The user asks for something: is it back?
    pub(super) fn asks(&self) {
        if self.is_away.load(Ordering::Acquire) {
            self.is_away.store(false, Ordering::Release);
            self.changed.notify_one();
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    /// Completes when something is to be committed soon, or the user is back. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Known>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn due(&mut self, partition: &TopicPartition) -> Option<Commit> {
        self.is_urgent = false;
        let (offset, leader_epoch) = self.mark.finished().filter(|(offset, _)| *offset > self.ordered)?;
        self.ordered = offset;
        let stored = self.stored.as_ref().filter(|stored| stored.offset == offset);
        Some(stored.cloned().unwrap_or_else(|| Commit {
            topic_partition: partition.clone(),
            assignment: self.assignment,
            offset,
            leader_epoch,
            metadata: String::new(),
        }))
    }
}

fn not_owned(partition: &TopicPartition) -> Error {
    let what = format!("{partition} is not assigned to this member, or not any more");
    Error::new(ErrorKind::Retired).what(what)
}
