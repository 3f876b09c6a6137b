//! Offsets that groups committed. Whether a member may commit is its coordinator's question, not ours.

use std::{collections::BTreeMap, sync::Arc};

use vltava_core::{Timestamp, cluster::TopicPartition};
use vltava_wire::messages;

messages! {
    /// A group committed offsets.
    pub struct Committed {
        group: String => 0..;
        topics: Vec<CommittedTopic> => 0..;
    }

    /// What was committed in one topic.
    pub struct CommittedTopic {
        name: String => 0..;
        partitions: Vec<CommittedPartition> => 0..;
    }

    /// What was committed in one partition, and when.
    pub struct CommittedPartition {
        partition: i32 => 0..;
        offset: i64 => 0..;
        leader_epoch: i32 = -1 => 0..;
        metadata: String => 0..;
        timestamp: i64 => 0..;
    }

    /// What a group committed for some partitions is gone.
    pub struct Forgotten {
        group: String => 0..;
        topics: Vec<ForgottenTopic> => 0..;
    }

    /// The partitions of a topic.
    pub struct ForgottenTopic {
        name: String => 0..;
        partitions: Vec<i32> => 0..;
    }
}

/// Where a group goes on in a partition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    /// The leader epoch of the last record that was read, or -1.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    /// When it was committed.
    pub(crate) timestamp: Timestamp,
}

/// The committed offsets of all groups.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    groups: BTreeMap<String, BTreeMap<TopicPartition, Commit>>,
}

impl Offsets {
    /// The groups that have committed something, in order of name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    pub(crate) fn of(&self, group: &str, at: &TopicPartition) -> Option<&Commit> {
        self.groups.get(group)?.get(at)
    }

    pub(crate) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// In order of topic and partition.
    pub(crate) fn all_of(&self, group: &str) -> impl Iterator<Item = (&TopicPartition, &Commit)> {
        self.groups.get(group).into_iter().flatten()
    }

    pub(super) fn commit(&mut self, committed: &Committed) {
        let group = self.groups.entry(committed.group.clone()).or_default();
        for topic in &committed.topics {
            let name: Arc<str> = topic.name.as_str().into();
            for it in &topic.partitions {
                let commit = Commit {
                    offset: it.offset,
                    leader_epoch: it.leader_epoch,
                    metadata: it.metadata.clone(),
                    timestamp: Timestamp(it.timestamp),
                };
                group.insert(TopicPartition::new(name.clone(), it.partition), commit);
            }
        }
    }

    pub(super) fn forget(&mut self, forgotten: &Forgotten) {
        let Some(commits) = self.groups.get_mut(&forgotten.group) else { return };
        for topic in &forgotten.topics {
            commits.retain(|at, _| *at.topic != *topic.name || !topic.partitions.contains(&at.partition));
        }
        if commits.is_empty() {
            self.groups.remove(&forgotten.group);
        }
    }

    pub(super) fn forget_group(&mut self, group: &str) {
        self.groups.remove(group);
    }

    pub(super) fn forget_topic(&mut self, name: &str) {
        for commits in self.groups.values_mut() {
            commits.retain(|at, _| &*at.topic != name);
        }
        self.groups.retain(|_, commits| !commits.is_empty());
    }

    pub(super) fn image(&self) -> impl Iterator<Item = Committed> {
        self.groups.iter().map(|(group, commits)| committed(group, commits))
    }
}

/// The entry that says that these are gone.
pub(crate) fn forgotten<'a>(group: &str, gone: impl IntoIterator<Item = &'a TopicPartition>) -> Forgotten {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for at in gone {
        topics.entry(&at.topic).or_default().push(at.partition);
    }
    let topic = |(name, partitions): (&str, _)| ForgottenTopic { name: name.to_owned(), partitions };
    Forgotten { group: group.to_owned(), topics: topics.into_iter().map(topic).collect() }
}

/// The entry that says so.
pub(crate) fn committed<'a>(
    group: &str,
    commits: impl IntoIterator<Item = (&'a TopicPartition, &'a Commit)>,
) -> Committed {
    let mut topics: BTreeMap<&str, Vec<CommittedPartition>> = BTreeMap::new();
    for (at, commit) in commits {
        topics.entry(&at.topic).or_default().push(CommittedPartition {
            partition: at.partition,
            offset: commit.offset,
            leader_epoch: commit.leader_epoch,
            metadata: commit.metadata.clone(),
            timestamp: commit.timestamp.0,
        });
    }
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| CommittedTopic { name: name.to_owned(), partitions })
        .collect();
    Committed { group: group.to_owned(), topics }
}
