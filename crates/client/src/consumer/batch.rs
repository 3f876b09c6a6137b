//! A fetched batch, the unit of consuming: its records are borrowed from it, or owned by handles that share it.

use std::fmt;

use vltava_core::TopicPartition;
use vltava_wire::record::{self, Record, RecordRef, Records};

use super::AssignmentId;

/// Records of one partition, checked and decompressed.
#[derive(Clone)]
pub struct RecordBatch {
    topic_partition: TopicPartition,
    assignment: AssignmentId,
    records: Records,
    first: i64,
    count: usize,
    next_offset: i64,
    high_watermark: i64,
    leader_epoch: i32,
}

/// What a batch is made of besides its records.
pub(crate) struct Origin {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) assignment: AssignmentId,
    /// Records below this offset were not asked for: a fetch gives whole batches.
    pub(crate) first: i64,
    pub(crate) next_offset: i64,
    pub(crate) high_watermark: i64,
    pub(crate) leader_epoch: i32,
}

impl RecordBatch {
    pub(crate) fn new(records: Records, origin: Origin) -> Self {
        let Origin { topic_partition, assignment, first, next_offset, high_watermark, leader_epoch } = origin;
        let count = records.since(first).len();
        Self { topic_partition, assignment, records, first, count, next_offset, high_watermark, leader_epoch }
    }

    /// The topic it was read from.
    pub fn topic(&self) -> &str {
        &self.topic_partition.topic
    }

    /// The partition it was read from.
    pub fn partition(&self) -> i32 {
        self.topic_partition.partition
    }

    /// Topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The assignment under which it was read, and may be committed.
    pub fn assignment(&self) -> AssignmentId {
        self.assignment
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has no records: compaction may leave none of a batch.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records in order, borrowed.
    pub fn iter(&self) -> Iter<'_> {
        Iter { records: self.records.since(self.first) }
    }

    /// The records in order as handles that keep the batch alive, for whoever passes them on.
    pub fn records(&self) -> impl Iterator<Item = Record> + use<'_> {
        self.owned()
    }

    /// The same, on its own.
    pub(super) fn owned(&self) -> record::Owned {
        self.records.owned_since(self.first)
    }

    /// Records below this offset are none of the batch's.
    pub(super) fn first(&self) -> i64 {
        self.first
    }

    /// The batch without what is below `first`, which leaves `count` records.
    pub(super) fn since(self, first: i64, count: usize) -> Self {
        Self { first, count, ..self }
    }

    /// The offset to go on from after this batch; the one to commit once all of it is done.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// The end of what could be read of the partition when this batch was fetched.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// The epoch of the leader that wrote the batch; below zero if the log does not say.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records of {} up to {}", self.count, self.topic_partition, self.next_offset)
    }
}

impl<'a> IntoIterator for &'a RecordBatch {
    type Item = RecordRef<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The records of a batch, borrowed.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    records: record::Iter<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        self.records.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}
