//! Reading partitions: what the lock is needed for is planned under it, files are read without it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use vltava_wire::{
    ErrorCode,
    record::{self, Batch, BatchHeader, RecordError, batches},
};

use crate::{Error, ErrorKind};

use super::{
    Bounds, Log, PartitionId, Position, Refused,
    index::Target,
    segment::{Limits, View},
    state::State,
};

/// So many packed batches are opened in search of a time that they say they have and do not.
const MISLEADING_MAX: usize = 16;

/// So much is read at a time in search of the latest time.
const SCAN_BYTES: usize = 256 * 1024;

/// What a read brought.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    /// Whole batches; the first is the one that holds the offset.
    pub(crate) records: Bytes,
    pub(crate) bounds: Bounds,
}

/// A record that was found by its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

/// Where the batches are that a read may bring.
struct Plan {
    at: PartitionId,
    target: Target,
    limits: Limits,
    segments: Vec<View>,
    in_memory: Vec<Bytes>,
}

impl Log {
    pub(crate) fn bounds(&self, at: PartitionId) -> Result<Bounds, Refused> {
        bounds(&mut self.shared.state(), at)
    }

    /// The batches from `offset` on, as many as fit `max_bytes`, but one at least. None of them if `offset` is not
    /// below the high watermark.
    pub(crate) fn read(&self, at: PartitionId, offset: i64, max_bytes: usize) -> Result<Chunk, Refused> {
        let mut state = self.shared.state();
        let bounds = bounds(&mut state, at)?;
        if offset < bounds.log_start || offset > bounds.end {
            return Err(ErrorCode::OffsetOutOfRange.into());
        }
        if offset >= bounds.high_watermark {
            return Ok(Chunk { records: Bytes::new(), bounds });
        }
        let limits = Limits { end: bounds.high_watermark, bytes: max_bytes };
        let plan = plan(&mut state, at, Target::Offset(offset), limits);
        drop(state);
        Ok(Chunk { records: plan?.read()?, bounds })
    }

    /// The first record that is as late as `timestamp`, or later.
    pub(crate) fn find_timestamp(&self, at: PartitionId, timestamp: i64) -> Result<Option<Found>, Refused> {
        let mut from = 0;
        for _ in 0..MISLEADING_MAX {
            let (log_start, batch) = self.batch_of(at, timestamp, from)?;
            if batch.is_empty() {
                return Ok(None);
            }
            let batch = Batch::parse(batch).map_err(|error| broken(at, error))?;
            from = batch.last_offset() + 1;
            if let Some(found) = find_in(batch, timestamp, log_start) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first batch that says that it has a record as late as `timestamp`, and does not end before `from` nor
    /// before the log begins; and where that is.
    fn batch_of(&self, at: PartitionId, timestamp: i64, from: i64) -> Result<(i64, Bytes), Refused> {
        let mut state = self.shared.state();
        let bounds = bounds(&mut state, at)?;
        let limits = Limits { end: bounds.high_watermark, bytes: 0 };
        let target = Target::Timestamp { timestamp, from: from.max(bounds.log_start) };
        let plan = plan(&mut state, at, target, limits);
        drop(state);
        Ok((bounds.log_start, plan?.read()?))
    }

    /// Where an epoch ended, and which one that is told of; see `Epochs::end_of`.
    pub(crate) fn epoch_end(&self, at: PartitionId, epoch: i32) -> Result<Option<(i32, i64)>, Refused> {
        let mut state = self.shared.state();
        let partition = state.contents.partition(at).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(partition.epochs.end_of(epoch, partition.high_watermark))
    }

    /// The first record with the latest timestamp of all.
    pub(crate) fn find_latest_timestamp(&self, at: PartitionId) -> Result<Option<Found>, Refused> {
        let (log_start, _, latest) = self.latest_from(at, i64::MIN)?;
        let Some(latest) = latest else { return Ok(None) };
        let found = self.find_timestamp(at, latest)?;
        if found.is_some() {
            return Ok(found);
        }
        // A record before the beginning may have had it.
        let (_, begin, latest) = self.latest_from(at, log_start)?;
        let latest = latest.max(self.latest_within(at, log_start, begin)?);
        latest.map_or(Ok(None), |latest| self.find_timestamp(at, latest))
    }

    /// Where the log begins, and what `Partition::latest_timestamp` says.
    fn latest_from(&self, at: PartitionId, from: i64) -> Result<(i64, i64, Option<i64>), Refused> {
        let mut state = self.shared.state();
        let partition = state.contents.partition(at).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let (begin, latest) = partition.latest_timestamp(from);
        Ok((partition.log_start, begin, latest))
    }

    /// The latest timestamp of what there is from one offset to before another.
    fn latest_within(&self, at: PartitionId, from: i64, until: i64) -> Result<Option<i64>, Refused> {
        let mut latest = None;
        let mut offset = from;
        while offset < until {
            let chunk = self.read(at, offset, SCAN_BYTES)?;
            if chunk.records.is_empty() {
                break;
            }
            for batch in batches(chunk.records) {
                let batch = batch.map_err(|error| broken(at, error))?;
                offset = batch.last_offset() + 1;
                latest = latest.max(latest_in(batch, from));
            }
        }
        Ok(latest)
    }

    /// `notify` is told once, when the high watermark of any of these rises next or one is deleted. Of those that do
    /// not exist there is nothing to tell.
    pub(crate) fn notify_of(&self, partitions: impl IntoIterator<Item = PartitionId>, notify: &Arc<Notify>) {
        let mut state = self.shared.state();
        for at in partitions {
            if let Some(partition) = state.contents.partition(at) {
                partition.notify(notify);
            }
        }
    }
}

fn bounds(state: &mut State, at: PartitionId) -> Result<Bounds, Refused> {
    let partition = state.contents.partition(at).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok(Bounds {
        log_start: partition.log_start,
        log_start_epoch: partition.epochs.of(partition.log_start),
        high_watermark: partition.high_watermark,
        end: partition.end,
        leader: partition.leader,
        settled_bytes: partition.settled_bytes,
        position: Position(partition.written),
    })
}

fn plan(state: &mut State, at: PartitionId, target: Target, limits: Limits) -> Result<Plan, Refused> {
    let contents = &mut state.contents;
    let index = usize::try_from(at.partition).map_err(|_| ErrorCode::UnknownTopicOrPartition)?;
    let partition = contents.partitions.get_mut(&at.topic).and_then(|all| all.get_mut(index));
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let in_memory = partition.unmoved_from(target, limits);
    let mut segments = Vec::new();
    let mut planned = 0;
    for segment in partition.segments_from(target) {
        // The first may turn out to hold less than it promises: the target is somewhere in it.
        if segments.len() > 1 && planned >= limits.bytes as u64 {
            break;
        }
        let file = contents.files.open(&segment.name()).map_err(|error| damaged(at, error))?;
        planned += if segments.is_empty() { 0 } else { segment.length };
        segments.push(segment.view(&*contents.files.disk, file));
    }
    Ok(Plan { at, target, limits, segments, in_memory })
}

impl Plan {
    fn read(&self) -> Result<Bytes, Refused> {
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut left = self.limits.bytes;
        for segment in &self.segments {
            let limits = Limits { bytes: left, ..self.limits };
            let read = segment.read(self.target, limits).map_err(|error| damaged(self.at, error))?;
            let Some(found) = read else { continue };
            if !pieces.is_empty() && found.bytes.len() > left {
                return Ok(joined(pieces));
            }
            left = left.saturating_sub(found.bytes.len());
            pieces.push(found.bytes);
            if !found.to_the_end || left == 0 {
                return Ok(joined(pieces));
            }
        }
        for batch in &self.in_memory {
            if !pieces.is_empty() && batch.len() > left {
                break;
            }
            left = left.saturating_sub(batch.len());
            pieces.push(batch.clone());
        }
        Ok(joined(pieces))
    }
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 => Bytes::new(),
        1 => pieces.remove(0),
        _ => pieces.concat().into(),
    }
}

/// The record in this batch, from `log_start` on. If its producer packed it so that nobody can open it, the batch as
/// a whole.
fn find_in(batch: Batch, timestamp: i64, log_start: i64) -> Option<Found> {
    let BatchHeader { base_offset, max_timestamp, leader_epoch, .. } = *batch.header();
    let Ok(records) = batch.decompress(record::Limits::default()) else {
        let offset = base_offset.max(log_start);
        return Some(Found { offset, timestamp: max_timestamp, leader_epoch });
    };
    let found = records.iter().find(|it| it.timestamp() >= timestamp && it.offset() >= log_start);
    found.map(|it| Found { offset: it.offset(), timestamp: it.timestamp(), leader_epoch })
}

/// The latest timestamp of the records from `log_start` on, as far as the batch can be opened.
fn latest_in(batch: Batch, log_start: i64) -> Option<i64> {
    let BatchHeader { base_offset, max_timestamp, .. } = *batch.header();
    if base_offset >= log_start {
        return Some(max_timestamp);
    }
    let Ok(records) = batch.decompress(record::Limits::default()) else { return Some(max_timestamp) };
    records.iter().filter(|it| it.offset() >= log_start).map(|it| it.timestamp()).max()
}

fn broken(at: PartitionId, error: RecordError) -> Error {
    Error::new(ErrorKind::Damaged, format!("a batch of {at} is broken")).because(error)
}

fn damaged(at: PartitionId, error: std::io::Error) -> Refused {
    let kind =
        if error.kind() == std::io::ErrorKind::InvalidData { ErrorKind::Damaged } else { ErrorKind::Disk };
    Error::new(kind, format!("a segment of {at} could not be read")).because(error).into()
}
