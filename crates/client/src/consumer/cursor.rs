//! Record after record: a cursor over the batch at hand, so that who reads records pays for no more than reading
//! batches costs.

use std::ops::Deref;

use vltava_core::TopicPartition;
use vltava_wire::record::{self, Record};

use super::{AssignmentId, RecordBatch};

/// A record, and where it is from. It keeps its batch in memory as long as it lives.
#[derive(Debug, Clone)]
pub struct ConsumerRecord {
    topic_partition: TopicPartition,
    assignment: AssignmentId,
    leader_epoch: i32,
    record: Record,
}

impl ConsumerRecord {
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

    /// The epoch of the leader that wrote it; below zero if the log does not say.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The record alone.
    pub fn into_record(self) -> Record {
        self.record
    }
}

impl Deref for ConsumerRecord {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// A batch of which some records were handed out.
#[derive(Debug)]
pub(super) struct Cursor {
    batch: RecordBatch,
    records: record::Owned,
    /// Where the records begin that were not handed out.
    next: i64,
}

impl Cursor {
    pub(super) fn new(batch: RecordBatch) -> Self {
        Self { records: batch.owned(), next: batch.first(), batch }
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Option<ConsumerRecord> {
        let record = self.records.next()?;
        self.next = match self.records.len() {
            0 => self.batch.next_offset(),
            _ => record.offset() + 1,
        };
        Some(ConsumerRecord {
            topic_partition: self.batch.topic_partition().clone(),
            assignment: self.batch.assignment(),
            leader_epoch: self.batch.leader_epoch(),
            record,
        })
    }

    /// Where the records begin that were not handed out.
    pub(super) fn position(&self) -> i64 {
        self.next
    }

    pub(super) fn is_done(&self) -> bool {
        self.records.len() == 0
    }

    /// What was not handed out, as a batch; none if that is nothing.
    pub(super) fn rest(self) -> Option<RecordBatch> {
        let left = self.records.len();
        (left > 0).then(|| self.batch.since(self.next, left))
    }
}
