//! All that the log knows, under its one lock: the journal, what its entries make up, and how far that is settled.

use std::{collections::VecDeque, io};

use bytes::{BufMut, Bytes, BytesMut};
use vltava_core::{
    Rng, Timestamp,
    cluster::NodeId,
    planted::{Plant, planted},
    produce::{Check, Numbered, Remembered},
};
use vltava_wire::{
    Encoder, ErrorCode, Uuid,
    record::{BatchHeader, patch_base_offset, patch_leader_epoch},
};

use crate::{
    Error, ErrorKind,
    ledger::{
        Entry,
        partitions::{Compacted, Rolled, Trimmed},
    },
};

use super::{
    Appended, PartitionId, Position, Refused,
    compaction::Job,
    contents::{BATCH_PREFIX_BYTES, Contents},
    entry::{HEADER_BYTES, KIND_BATCH},
    journal::Journal,
    partition::Unmoved,
};

pub(super) struct State {
    pub(super) journal: Journal,
    pub(super) contents: Contents,
    pub(super) chance: Rng,
    /// All before this position is settled.
    pub(super) settled: u64,
    /// Batches that are not settled.
    unsettled: VecDeque<Unsettled>,
    /// Where the journal was after the last change to the ledger.
    pub(super) ledger_position: u64,
    /// Where the last checkpoint was.
    pub(super) checkpoint: u64,
    /// Why batches stay in memory for now, if segments or images could not be written.
    pub(super) stuck: Option<Unwritten>,
    /// Why nothing is written any more.
    pub(super) closed: Option<Closed>,
}

/// A batch in the journal: where that was after it, and what it settles.
struct Unsettled {
    position: u64,
    of: PartitionId,
    /// The offset behind the batch.
    offset: i64,
    bytes: usize,
}

/// Why nothing is written any more.
#[derive(Debug, Clone)]
pub(super) enum Closed {
    Stopped,
    Failed(String),
}

impl Closed {
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Stopped => Error::new(ErrorKind::Stopped, "the broker was stopped"),
            Self::Failed(why) => {
                let advice =
                    "what was acknowledged can still be read; once the disk is well, restart the broker";
                Error::new(ErrorKind::Disk, format!("{why}, so nothing is written any more: {advice}"))
            }
        }
    }
}

/// Why something could not be written at one time.
#[derive(Debug, Clone)]
pub(super) struct Unwritten {
    kind: ErrorKind,
    message: String,
}

impl Unwritten {
    pub(super) fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl State {
    /// What recovery found, all of it settled.
    pub(super) fn new(journal: Journal, contents: Contents, chance: Rng, checkpoint: u64) -> Self {
        let position = journal.end().position;
        Self {
            journal,
            contents,
            chance,
            settled: position,
            unsettled: VecDeque::new(),
            ledger_position: position,
            checkpoint,
            stuck: None,
            closed: None,
        }
    }

    /// Appends a batch to its partition, which this node must lead.
    pub(super) fn append(
        &mut self,
        to: PartitionId,
        by: NodeId,
        batch: &[u8],
        now: Timestamp,
    ) -> Result<Appended, Refused> {
        self.check_open()?;
        let mut header = BatchHeader::parse(batch).map_err(|_| ErrorCode::CorruptMessage)?;
        if header.length != batch.len() {
            return Err(ErrorCode::CorruptMessage.into());
        }
        let numbered = Numbered::of(&header).map_err(|_| ErrorCode::InvalidRecord)?;
        let partition = self.contents.partition(to).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.leader.node != by {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        match numbered.map_or(Check::Append, |it| partition.windows.check(&it)) {
            Check::Append => (),
            Check::Refused(code) => return Err(code.into()),
            Check::Duplicate(Remembered { mut base_offset, .. }) => {
                if planted(Plant::DuplicateMisplaced) {
                    base_offset = partition.end;
                }
                // Its own position is no later than that of the last batch there.
                return Ok(Appended { base_offset, position: Position(partition.written), duplicate: true });
            }
        }
        header.base_offset = partition.end;
        header.leader_epoch = partition.leader.epoch;
        if batch.len() > self.journal.payload_bytes_max() - BATCH_PREFIX_BYTES {
            return Err(ErrorCode::MessageTooLarge.into());
        }
        self.roll_if_due(to, &header, now)?;
        let (position, bytes) = self.write_batch(to, &header, batch, now)?;
        self.contents.take_in(to, Unmoved { position, at: now, header, bytes });
        let (offset, bytes) = (header.last_offset() + 1, header.length);
        self.unsettled.push_back(Unsettled { position, of: to, offset, bytes });
        if planted(Plant::UnsyncedServed)
            && let Some(partition) = self.contents.partition(to)
        {
            partition.on_settled(offset, 0);
        }
        Ok(Appended { base_offset: header.base_offset, position: Position(position), duplicate: false })
    }

    /// Where segments begin is an entry, so that they are the same however often the journal is replayed.
    fn roll_if_due(&mut self, of: PartitionId, next: &BatchHeader, now: Timestamp) -> Result<(), Refused> {
        let (bytes_max, open_ms) = self.contents.roll_limits(of.topic);
        let partition = self.contents.partition(of).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if partition.is_due_to_roll(next, now, bytes_max, open_ms) {
            let PartitionId { topic: topic_id, partition } = of;
            self.record(&Entry::Rolled(Rolled { topic_id, partition, base_offset: next.base_offset }))?;
        }
        Ok(())
    }

    /// Has a partition begin at this offset, or at its high watermark. Says where it begins then.
    pub(super) fn trim(&mut self, of: PartitionId, log_start: Option<i64>) -> Result<i64, Refused> {
        let partition = self.contents.partition(of).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let (current, high_watermark) = (partition.log_start, partition.high_watermark);
        let log_start = log_start.unwrap_or(high_watermark);
        if !(0..=high_watermark).contains(&log_start) {
            return Err(ErrorCode::OffsetOutOfRange.into());
        }
        if log_start > current {
            let PartitionId { topic: topic_id, partition } = of;
            self.record(&Entry::Trimmed(Trimmed { topic_id, partition, log_start }))?;
        }
        Ok(log_start.max(current))
    }

    /// Has old segments go where their topic's rules say so, and forgets producers that were not heard of for long.
    /// What is in no segment yet stays.
    pub(super) fn retain(&mut self, now: Timestamp) -> Result<(), Refused> {
        for (of, log_start) in self.contents.retained(now) {
            self.trim(of, Some(log_start))?;
        }
        Ok(())
    }

    /// Has a compaction take effect; false if the log has become another meanwhile.
    pub(super) fn compact(&mut self, job: &Job, compacted: Compacted) -> Result<bool, Refused> {
        let is_as_planned = self.contents.is_as_planned(job);
        if is_as_planned {
            self.record(&Entry::Compacted(compacted))?;
        }
        Ok(is_as_planned)
    }

    fn write_batch(
        &mut self,
        to: PartitionId,
        header: &BatchHeader,
        batch: &[u8],
        now: Timestamp,
    ) -> Result<(u64, Bytes), Refused> {
        const START: usize = HEADER_BYTES + BATCH_PREFIX_BYTES;
        let mut entry = BytesMut::with_capacity(START + batch.len());
        entry.put_bytes(0, HEADER_BYTES);
        entry.put_u128(to.topic.0);
        entry.put_i32(to.partition);
        entry.put_i64(now.0);
        entry.put_bytes(0, START - entry.len());
        entry.put_slice(batch);
        patch_base_offset(&mut entry[START..], header.base_offset);
        patch_leader_epoch(&mut entry[START..], header.leader_epoch);
        let position = self.write(KIND_BATCH, &mut entry)?;
        Ok((position, entry.freeze().slice(START..)))
    }

    /// Appends a change to the ledger and makes it.
    pub(super) fn record(&mut self, entry: &Entry) -> Result<Position, Refused> {
        self.check_open()?;
        let mut out = Encoder::default();
        out.put(&[0; HEADER_BYTES]);
        entry.encode(&mut out).map_err(|_| ErrorCode::InvalidRequest)?;
        let mut bytes = Vec::from(out.into_bytes());
        if bytes.len() > self.journal.payload_bytes_max() {
            return Err(ErrorCode::InvalidRequest.into());
        }
        let position = self.write(entry.kind(), &mut bytes)?;
        self.contents.apply(entry);
        self.ledger_position = position;
        Ok(Position(position))
    }

    fn write(&mut self, kind: u8, entry: &mut [u8]) -> Result<u64, Refused> {
        let written = self.journal.append(kind, entry);
        written.map_err(|error| self.unwritten("the journal", &error).error().into())
    }

    /// What to say of a write that failed. It changed nothing, and may be tried again.
    pub(super) fn unwritten(&self, what: &str, error: &io::Error) -> Unwritten {
        let place = self.contents.files.disk.path();
        let message = format!("{what} in {place} could not be written: {error}");
        match ErrorKind::of_writing(error) {
            kind @ ErrorKind::Full => Unwritten { kind, message: format!("{message}; make room there") },
            kind => Unwritten { kind, message },
        }
    }

    /// The end of writing. Why it came first is what is said of it.
    pub(super) fn fail(&mut self, why: String) -> Error {
        match &self.closed {
            Some(first @ Closed::Failed(_)) => first.error(),
            _ => self.closed.insert(Closed::Failed(why)).error(),
        }
    }

    fn check_open(&self) -> Result<(), Refused> {
        match &self.closed {
            Some(closed) => Err(closed.error().into()),
            None => Ok(()),
        }
    }

    /// All before `position` is settled: high watermarks rise.
    pub(super) fn settle(&mut self, position: u64) {
        self.settled = self.settled.max(position);
        while self.unsettled.front().is_some_and(|it| it.position <= self.settled) {
            let Some(Unsettled { of, offset, bytes, .. }) = self.unsettled.pop_front() else { break };
            if let Some(partition) = self.contents.partition(of) {
                partition.on_settled(offset, bytes);
            }
        }
    }

    /// An id that no topic has.
    pub(super) fn new_topic_id(&mut self) -> Uuid {
        loop {
            let id = self.chance.uuid();
            // Kafka reserves the ids whose first 64 bits are zero.
            if id.0 >> 64 != 0 && self.contents.ledger.topics.with_id(id).is_none() {
                return id;
            }
        }
    }
}
