//! The batches of one partition, for as long as it is assigned.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{self, Poll, ready},
};

use vltava_core::{
    TopicPartition,
    fetch::{Ends, Isolation, Visible},
    planted::{Plant, planted},
};
use vltava_wire::record::{Batch, ControlMarker, Limits, RecordError};

use super::{
    AssignmentId, ConsumerRecord, Notice, Offset, RecordBatch, RecordStream,
    batch::Origin,
    cursor::Cursor,
    lane::{Item, Lane},
    mark::Mark,
    notice::Teller,
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
    /// A batch that is handed out record by record.
    cursor: Option<Cursor>,
    paused: bool,
    failure: Option<Error>,
    visible: Visible,
    /// The end that was told of last.
    told_end: Option<i64>,
    mark: Arc<Mark>,
    way: Way,
}

/// What a stream is of.
pub(super) struct Identity {
    pub(super) topic_partition: TopicPartition,
    pub(super) assignment: AssignmentId,
    pub(super) committed: Option<(i64, String)>,
}

/// How batches come to a stream, and what is made of them.
pub(super) struct Way {
    pub(super) lane: Arc<Lane>,
    pub(super) teller: Teller,
    pub(super) context: Arc<Context>,
    pub(super) isolation: Isolation,
    pub(super) end_notices: bool,
}

impl PartitionStream {
    pub(super) fn new(identity: Identity, way: Way) -> Self {
        let Identity { topic_partition, assignment, committed } = identity;
        Self {
            topic_partition,
            assignment,
            committed,
            position: None,
            cursor: None,
            paused: false,
            failure: None,
            visible: Visible::default(),
            told_end: None,
            mark: Arc::default(),
            way,
        }
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
        self.cursor.as_ref().map(Cursor::position).or(self.position)
    }

    /// The end of the log, as the latest answer told it. A change of it wakes whoever polls.
    pub fn high_watermark(&self) -> Option<i64> {
        self.ends().map(|ends| ends.high_watermark)
    }

    /// How far the log went by the latest answer.
    pub fn ends(&self) -> Option<Ends> {
        self.way.lane.ends()
    }

    /// How many offsets there are from the position to the end of what can be read, as the latest answer told it:
    /// where only what was committed is read, up to the first transaction that is open.
    pub fn lag(&self) -> Option<u64> {
        let end = self.ends()?.readable(self.way.isolation);
        Some(u64::try_from(end - self.position()?).unwrap_or(0))
    }

    /// Hands out no more, and has nothing more fetched, until [`resume`](Self::resume). What was fetched is kept.
    pub fn pause(&mut self) {
        self.paused = true;
        self.way.lane.pause(true);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&mut self) {
        self.paused = false;
        self.way.lane.pause(false);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Goes on elsewhere: at an offset, at an end of the log, or at a time. What was fetched and not handed out is
    /// dropped; a stream that stood still by an error goes on too.
    pub fn seek(&mut self, offset: impl Into<Offset>) {
        let offset = offset.into();
        (self.cursor, self.failure, self.told_end) = (None, None, None);
        self.position = offset.place().err();
        self.mark.seek();
        self.way.lane.seek(offset);
    }

    /// The next batch, or what [`recv`](Self::recv) has left of one; none once the assignment has ended. After an
    /// error the stream stands still: every further call gives the same one. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next record; otherwise as [`next`](Self::next). Cancel-safe.
    pub async fn recv(&mut self) -> Option<Result<ConsumerRecord>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The records as a [`Stream`](futures_core::Stream).
    pub fn records(&mut self) -> RecordStream<'_, Self> {
        RecordStream(self)
    }

    /// As [`recv`](Self::recv), for whoever polls many.
    pub fn poll_recv(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        self.ask();
        self.poll_record(cx)
    }

    /// As [`next`](Self::next), for whoever polls many.
    pub fn poll_next(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        self.ask();
        self.poll_batch(cx)
    }

    /// The next record, whatever has become of those before.
    pub(super) fn poll_record(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<ConsumerRecord>>> {
        loop {
            if let Some(cursor) = self.cursor.as_mut().filter(|_| !self.paused)
                && let Some(record) = cursor.next()
            {
                self.mark.hand_out(record.offset(), cursor.position());
                return Poll::Ready(Some(Ok(record)));
            }
            match ready!(self.poll_fetched(cx)) {
                Some(Ok(batch)) => self.cursor = Some(Cursor::new(batch)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// The next batch, whatever has become of those before.
    pub(super) fn poll_batch(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let polled = self.poll_fetched(cx);
        if let Poll::Ready(Some(Ok(batch))) = &polled {
            self.mark.hand_out(batch.first(), batch.next_offset());
        }
        polled
    }

    /// What was handed out is finished, as more is asked for; unless that has to be said.
    pub(super) fn ask(&self) {
        self.mark.ask(self.position());
    }

    /// What of it is in the user's hands.
    pub(super) fn mark(&self) -> &Arc<Mark> {
        &self.mark
    }

    /// Whether no batch is handed out record by record at the moment.
    pub(super) fn is_between_batches(&self) -> bool {
        self.cursor.as_ref().is_none_or(Cursor::is_done)
    }

    fn poll_fetched(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        if let Some(rest) = self.cursor.take_if(|_| !self.paused).and_then(Cursor::rest)
            && !self.way.lane.has_ended()
        {
            return Poll::Ready(Some(Ok(rest)));
        }
        loop {
            if let Some(failure) = &self.failure
                && !self.way.lane.has_ended()
            {
                return Poll::Ready(Some(Err(failure.clone())));
            }
            let Poll::Ready(item) = self.way.lane.poll_take(cx) else {
                self.look_for_end();
                return Poll::Pending;
            };
            let Some(item) = item else { return Poll::Ready(None) };
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
            Item::Jumped(jump) => {
                (self.position, self.told_end) = (Some(jump.to), None);
                self.way.teller.tell(Notice::Jumped(jump));
            }
            Item::Visible(visible) => self.visible = visible,
            Item::Failed(failure) => return Err(failure),
            Item::Batch { batch, high_watermark } => return self.unpack(batch, high_watermark),
        }
        Ok(None)
    }

    fn unpack(&mut self, batch: Batch, high_watermark: i64) -> Result<Option<RecordBatch>> {
        let position = self.position.unwrap_or(batch.base_offset);
        let next_offset = batch.last_offset().saturating_add(1);
        let at = batch.base_offset;
        let is_seen = self.sees(&batch).map_err(|error| self.corrupt(at, error))?;
        if next_offset <= position {
            return Ok(None);
        }
        if !is_seen {
            self.position = Some(next_offset);
            return Ok(None);
        }
        let mut first = position;
        if planted(Plant::BelowPositionHanded) {
            first = at;
        }
        let leader_epoch = batch.leader_epoch;
        let opened = self.way.context.decompressors.lend(|it| batch.decompress_with(it, Limits::default()));
        let records = opened.map_err(|error| self.corrupt(at, error))?;
        self.position = Some(next_offset);
        let origin = Origin {
            topic_partition: self.topic_partition.clone(),
            assignment: self.assignment,
            first,
            next_offset,
            high_watermark,
            leader_epoch,
        };
        let batch = RecordBatch::new(records, origin);
        self.mark.on_batch(first, leader_epoch);
        self.way.context.counters.records_consumed.add(batch.len() as u64);
        Ok((!batch.is_empty()).then_some(batch))
    }

    /// Whether a batch has records for the user. It is checked first, as nothing may be made of damaged bytes.
    fn sees(&mut self, batch: &Batch) -> Result<bool, RecordError> {
        batch.check_crc()?;
        if !batch.is_control() {
            return Ok(self.visible.sees(batch));
        }
        if self.way.isolation == Isolation::ReadCommitted {
            let records = batch.clone().decompress(Limits::default())?;
            for record in &records {
                self.visible.on_marker(batch, ControlMarker::of(record)?);
            }
        }
        Ok(false)
    }

    fn corrupt(&self, offset: i64, error: RecordError) -> Error {
        Error::new(ErrorKind::Corrupt)
            .doing(format!("reading {} at offset {offset}", self.topic_partition))
            .what(format!("the batch is damaged: {error}"))
            .fix("have the broker's disk and the network in between checked; other replicas may be intact")
            .because(error)
    }

    /// Tells, where that is wanted, that nothing more is to be had at the moment.
    fn look_for_end(&mut self) {
        if !self.way.end_notices || self.paused {
            return;
        }
        let end = self.ends().map(|ends| ends.readable(self.way.isolation));
        let Some(offset) = self.position.filter(|at| end.is_some_and(|end| *at >= end)) else { return };
        if self.told_end.replace(offset) != Some(offset) {
            let topic_partition = self.topic_partition.clone();
            self.way.teller.tell(Notice::EndReached { topic_partition, offset });
        }
    }
}

impl Drop for PartitionStream {
    fn drop(&mut self) {
        self.way.lane.end();
    }
}

impl fmt::Debug for PartitionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic_partition, assignment, position, .. } = self;
        write!(f, "stream of {topic_partition}, assignment {}, at {position:?}", assignment.0)
    }
}
