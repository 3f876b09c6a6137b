//! The batches of one partition, for as long as it is assigned.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{self, Poll, ready},
};

use vltava_core::TopicPartition;
use vltava_wire::record::{Batch, Limits};

use super::{
    AssignmentId, RecordBatch,
    batch::Origin,
    lane::{Item, Lane},
};
use crate::{
    context::Context,
    error::{Error, ErrorKind, Result},
};

/// The batches of one partition, in order. Ends with its assignment; dropping it stops the fetching.
///
/// Checking and decompressing is done by whoever polls it.
pub struct PartitionStream {
    topic_partition: TopicPartition,
    assignment: AssignmentId,
    committed: Option<(i64, String)>,
    position: Option<i64>,
    failure: Option<Error>,
    lane: Arc<Lane>,
    context: Arc<Context>,
}

/// What a stream is of.
pub(super) struct Identity {
    pub(super) topic_partition: TopicPartition,
    pub(super) assignment: AssignmentId,
    pub(super) committed: Option<(i64, String)>,
}

impl PartitionStream {
    pub(super) fn new(identity: Identity, lane: Arc<Lane>, context: Arc<Context>) -> Self {
        let Identity { topic_partition, assignment, committed } = identity;
        Self { topic_partition, assignment, committed, position: None, failure: None, lane, context }
    }

    /// The partition it reads.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The number of the assignment it lasts for.
    pub fn assignment(&self) -> AssignmentId {
        self.assignment
    }

    /// The offset and metadata that the group had committed when the partition was assigned.
    pub fn committed(&self) -> Option<(i64, &str)> {
        self.committed.as_ref().map(|(offset, metadata)| (*offset, metadata.as_str()))
    }

    /// The offset after everything that was handed out or skipped: control records and holes count. None until it
    /// is known where the partition starts, and moved only by polling.
    pub fn position(&self) -> Option<i64> {
        self.position
    }

    /// The end of what can be read, as the latest answer told it. A change of it wakes whoever polls.
    pub fn high_watermark(&self) -> Option<i64> {
        self.lane.high_watermark()
    }

    /// The next batch; none once the assignment has ended. After an error the stream stands still: every further
    /// call gives the same one. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for whoever polls many.
    pub fn poll_next(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            if let Some(failure) = &self.failure
                && !self.lane.has_ended()
            {
                return Poll::Ready(Some(Err(failure.clone())));
            }
            let Some(item) = ready!(self.lane.poll_take(cx)) else { return Poll::Ready(None) };
            match self.open(item) {
                Ok(Some(batch)) => return Poll::Ready(Some(Ok(batch))),
                Ok(None) => (),
                Err(failure) => self.failure = Some(failure),
            }
        }
    }

    /// What is in it for the user, if anything.
    fn open(&mut self, item: Item) -> Result<Option<RecordBatch>> {
        match item {
            Item::Position(position) => self.position = Some(position),
            Item::Failed(failure) => return Err(failure),
            Item::Batch { batch, high_watermark } => return self.unpack(batch, high_watermark),
        }
        Ok(None)
    }

    fn unpack(&mut self, batch: Batch, high_watermark: i64) -> Result<Option<RecordBatch>> {
        let position = self.position.unwrap_or(batch.base_offset);
        let next_offset = batch.last_offset().saturating_add(1);
        if next_offset <= position {
            return Ok(None);
        }
        let corrupt = |error| {
            let at = batch.base_offset;
            Error::new(ErrorKind::Corrupt)
                .doing(format!("reading {} at offset {at}", self.topic_partition))
                .what(format!("the batch is damaged: {error}"))
                .fix(
                    "have the broker's disk and the network in between checked; other replicas may be intact",
                )
                .because(error)
        };
        batch.check_crc().map_err(&corrupt)?;
        if batch.is_control() {
            self.position = Some(next_offset);
            return Ok(None);
        }
        let leader_epoch = batch.leader_epoch;
        let opened =
            self.context.decompressors.lend(|it| batch.clone().decompress_with(it, Limits::default()));
        let records = opened.map_err(&corrupt)?;
        self.position = Some(next_offset);
        let topic_partition = self.topic_partition.clone();
        let assignment = self.assignment;
        let origin = Origin {
            topic_partition,
            assignment,
            first: position,
            next_offset,
            high_watermark,
            leader_epoch,
        };
        let batch = RecordBatch::new(records, origin);
        self.context.counters.records_consumed.add(batch.len() as u64);
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        self.lane.end();
    }
}

impl fmt::Debug for PartitionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic_partition, assignment, position, .. } = self;
        write!(f, "stream of {topic_partition}, assignment {}, at {position:?}", assignment.0)
    }
}
