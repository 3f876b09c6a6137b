//! One partition's log: segments, then batches that are still in memory.
//!
//! It says where batches are; reading segments, moving batches into them and syncing them is done by others.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use tokio::sync::Notify;
use vltava_core::{
    Timestamp,
    cluster::Leader,
    produce::{Numbered, Windows},
};
use vltava_wire::record::BatchHeader;

use crate::{
    ledger::partitions::{Compacted, Stored, StoredEpoch},
    topic_rules::Rules,
};

use super::{
    PartitionId,
    checkpoint::Indexes,
    epochs::{Epochs, Reign},
    index::Target,
    producers,
    segment::{Limits, Segment, time_of},
};

pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) leader: Leader,
    pub(super) log_start: i64,
    /// The offset of the next batch.
    pub(super) end: i64,
    /// Below it all is settled, and may be read.
    pub(super) high_watermark: i64,
    /// How many bytes were settled since the log was opened.
    pub(super) settled_bytes: u64,
    /// Where the journal was after the last batch.
    pub(super) written: u64,
    pub(super) segments: Vec<Segment>,
    /// Where segments begin that have no file yet, in order.
    rolls: VecDeque<i64>,
    /// What goes into the segment that is open.
    active: Active,
    pub(super) epochs: Epochs,
    /// What is before this offset was compacted.
    pub(super) clean_until: i64,
    pub(super) unmoved: VecDeque<Unmoved>,
    pub(super) windows: Windows,
    waiting: Vec<Weak<Notify>>,
}

/// What a segment holds and will hold of the batches there are.
#[derive(Debug, Clone, Copy, Default)]
struct Active {
    bytes: u64,
    /// The time of the first batch.
    first: Option<i64>,
}

/// A batch that is in the journal and in memory, and in no segment yet.
pub(super) struct Unmoved {
    /// Where the journal was after it.
    pub(super) position: u64,
    /// When it was appended.
    pub(super) at: Timestamp,
    pub(super) header: BatchHeader,
    pub(super) bytes: Bytes,
}

impl Partition {
    pub(super) fn new(id: PartitionId, leader: Leader) -> Self {
        Self {
            id,
            leader,
            log_start: 0,
            end: 0,
            high_watermark: 0,
            settled_bytes: 0,
            written: 0,
            segments: Vec::new(),
            rolls: VecDeque::new(),
            active: Active::default(),
            epochs: Epochs::new(leader.epoch),
            clean_until: 0,
            unmoved: VecDeque::new(),
            windows: Windows::default(),
            waiting: Vec::new(),
        }
    }

    /// Takes in a batch that was appended to the journal.
    pub(super) fn on_appended(&mut self, batch: Unmoved) {
        assert_eq!(batch.header.base_offset, self.end, "a batch continues the log of {}", self.id);
        self.end = batch.header.last_offset() + 1;
        self.written = batch.position;
        self.active.bytes += batch.bytes.len() as u64;
        self.active.first.get_or_insert(time_of(&batch.header, batch.at));
        if let Ok(Some(numbered)) = Numbered::of(&batch.header) {
            producers::remember(&mut self.windows, &numbered, batch.header.base_offset, batch.at);
        }
        self.unmoved.push_back(batch);
    }

    /// Takes back what an image says. It speaks of no batch that is in no segment.
    pub(super) fn restore(&mut self, stored: &Stored) {
        self.log_start = stored.log_start;
        self.end = stored.end;
        self.windows = producers::restored(&stored.producers);
        self.segments = stored.segments.iter().map(|it| Segment::restored(self.id, it)).collect();
        self.rolls = if stored.rolled { VecDeque::from([stored.end]) } else { VecDeque::new() };
        let reigns = stored.epochs.iter().map(|it| Reign { epoch: it.epoch, start: it.start });
        self.epochs = Epochs::restored(reigns).unwrap_or_else(|| self.epochs.clone());
        self.clean_until = stored.clean_until;
        self.count_active();
    }

    /// What an image says.
    ///
    /// # Panics
    /// If there are batches that are in no segment.
    pub(super) fn stored(&mut self, now: Timestamp) -> Stored {
        assert!(self.unmoved.is_empty(), "an image is made when all batches of {} were moved", self.id);
        Stored {
            topic_id: self.id.topic,
            partition: self.id.partition,
            log_start: self.log_start,
            end: self.end,
            segments: self.segments.iter().map(Segment::stored).collect(),
            producers: producers::image(&mut self.windows, now),
            rolled: !self.rolls.is_empty(),
            epochs: self.epochs.iter().map(|it| StoredEpoch { epoch: it.epoch, start: it.start }).collect(),
            clean_until: self.clean_until,
        }
    }

    /// A new reign begins.
    pub(super) fn lead(&mut self, leader: Leader) {
        self.leader = leader;
        self.epochs.begin(leader.epoch, self.end);
        // Who waits for more may have to be told that the leader is another.
        self.tell();
    }

    /// Whether the next batch goes into another segment.
    pub(super) fn is_due_to_roll(
        &self,
        next: &BatchHeader,
        now: Timestamp,
        bytes_max: u64,
        open_ms: i64,
    ) -> bool {
        let Active { bytes, first: Some(first) } = self.active else { return false };
        let open = time_of(next, now).saturating_sub(first);
        bytes.saturating_add(next.length as u64) > bytes_max || open > open_ms
    }

    /// The next batch goes into another segment.
    pub(super) fn roll(&mut self) {
        self.rolls.push_back(self.end);
        self.active = Active::default();
    }

    /// Whether the batch at this offset begins a segment.
    pub(super) fn begins_segment(&self, base_offset: i64) -> bool {
        self.segments.is_empty() || self.rolls.front().is_some_and(|it| *it <= base_offset)
    }

    /// Where the segment ends that the batch at this offset is in, if another follows.
    pub(super) fn next_roll(&self, base_offset: i64) -> Option<i64> {
        self.rolls.iter().copied().find(|it| *it > base_offset)
    }

    /// A segment was begun for the batch at this offset.
    pub(super) fn on_new_segment(&mut self, base_offset: i64) {
        self.rolls.retain(|it| *it > base_offset);
        self.segments.push(Segment::new(self.id, base_offset));
    }

    /// The offset behind a segment.
    pub(super) fn end_of_segment(&self, index: usize) -> i64 {
        let next = self.segments.get(index + 1).map(|it| it.base_offset);
        next.or_else(|| self.unmoved.front().map(|it| it.header.base_offset)).unwrap_or(self.end)
    }

    /// The log begins at this offset from here on. Says what is not needed any more: segments, and bytes in memory.
    pub(super) fn trim(&mut self, log_start: i64) -> (Vec<Segment>, usize) {
        self.log_start = self.log_start.max(log_start);
        self.epochs.trim(self.log_start);
        let gone =
            (0..self.segments.len()).take_while(|it| self.end_of_segment(*it) <= self.log_start).count();
        let segments = self.segments.drain(..gone).collect();
        let gone = self.unmoved.partition_point(|it| it.header.last_offset() < self.log_start);
        let bytes = self.unmoved.drain(..gone).map(|it| it.bytes.len()).sum();
        self.rolls.retain(|it| *it >= self.log_start);
        self.count_active();
        self.tell();
        (segments, bytes)
    }

    /// Other segments take the place of some. Says which are not needed any more.
    pub(super) fn compact(&mut self, compacted: &Compacted) -> Vec<Segment> {
        let mut gone = Vec::new();
        for range in &compacted.ranges {
            let from = self.segments.partition_point(|it| it.base_offset < range.from);
            let until = self.segments.partition_point(|it| it.base_offset < range.until).max(from);
            let new = range.segments.iter().map(|it| Segment::restored(self.id, it));
            gone.extend(self.segments.splice(from..until, new));
        }
        self.clean_until = self.clean_until.max(compacted.clean_until);
        self.count_active();
        gone
    }

    /// Where the log is to begin by its topic's rules: old segments go as a whole.
    pub(super) fn retained_from(&self, rules: &Rules, now: Timestamp) -> i64 {
        let in_memory: u64 = self.unmoved.iter().map(|it| it.bytes.len() as u64).sum();
        let all = self.segments.iter().map(|it| it.length).sum::<u64>() + in_memory;
        let mut excess = rules.retention_bytes.map_or(0, |most| all.saturating_sub(most.unsigned_abs()));
        let mut start = self.log_start;
        for (index, segment) in self.segments.iter().enumerate() {
            let too_old =
                rules.retention_ms.is_some_and(|most| now.0.saturating_sub(segment.latest()) > most);
            let too_much = rules.retention_bytes.is_some() && excess >= segment.length;
            if !(too_old || too_much) {
                break;
            }
            excess = excess.saturating_sub(segment.length);
            start = self.end_of_segment(index);
        }
        start.min(self.high_watermark)
    }

    fn count_active(&mut self) {
        let from = self.rolls.back().copied().unwrap_or_default();
        let open = self.segments.last().filter(|_| self.rolls.is_empty());
        let mut active =
            Active { bytes: open.map_or(0, |it| it.length), first: open.map(|it| it.first_timestamp) };
        for batch in self.unmoved.iter().filter(|it| it.header.base_offset >= from) {
            active.bytes = active.bytes.saturating_add(batch.bytes.len() as u64);
            active.first.get_or_insert(time_of(&batch.header, batch.at));
        }
        self.active = active;
    }

    /// All below `offset` is settled, which is so many bytes more.
    pub(super) fn on_settled(&mut self, offset: i64, bytes: usize) {
        self.settled_bytes += bytes as u64;
        if offset > self.high_watermark {
            self.high_watermark = offset;
            self.tell();
        }
    }

    /// Wakes those who wait: there is more to read, or never will be.
    pub(super) fn tell(&mut self) {
        self.waiting.drain(..).filter_map(|it| it.upgrade()).for_each(|it| it.notify_one());
    }

    /// `notify` is told once, when the high watermark rises next or the partition is deleted.
    pub(super) fn notify(&mut self, notify: &Arc<Notify>) {
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|it| it.strong_count() > 0);
        }
        self.waiting.push(Arc::downgrade(notify));
    }

    /// Where the first segment or batch in memory begins that begins at `from` or later, and the latest timestamp of
    /// all that may be read from there on.
    pub(super) fn latest_timestamp(&self, from: i64) -> (i64, Option<i64>) {
        let stored = self.segments.iter().map(|it| (it.base_offset, it.max_timestamp));
        let in_memory = self.unmoved.iter().map(|it| (it.header.base_offset, it.header.max_timestamp));
        let all = stored.chain(in_memory).filter(|it| (from..self.high_watermark).contains(&it.0));
        let begin = all.clone().map(|it| it.0).next().unwrap_or(self.high_watermark);
        (begin, all.map(|it| it.1).max())
    }

    /// The indexes that are not stored yet, with their names.
    pub(super) fn indexes_to_store(&mut self, which: Indexes) -> Vec<(String, Vec<u8>)> {
        let open = usize::from(which == Indexes::Closed);
        let count = self.segments.len().saturating_sub(open);
        self.segments[..count].iter_mut().filter_map(Segment::index_to_store).collect()
    }

    /// The segments that may hold the target or what comes after it, from the first on. For a time that is each that
    /// is as late; only the first of them may have it where it does not count.
    pub(super) fn segments_from(&mut self, target: Target) -> impl Iterator<Item = &mut Segment> {
        let first = match target {
            Target::Offset(offset) => {
                self.segments.partition_point(|it| it.base_offset <= offset).saturating_sub(1)
            }
            Target::Timestamp { timestamp, from } => {
                let holds = |it: &usize| {
                    self.segments[*it].max_timestamp >= timestamp && self.end_of_segment(*it) > from
                };
                (0..self.segments.len()).find(holds).unwrap_or(self.segments.len())
            }
        };
        let earliest = match target {
            Target::Offset(_) => i64::MIN,
            Target::Timestamp { timestamp, .. } => timestamp,
        };
        self.segments[first..].iter_mut().filter(move |it| it.max_timestamp >= earliest)
    }

    /// The batches in memory that a read may bring, from the first that is not wholly before the target.
    pub(super) fn unmoved_from(&self, target: Target, limits: Limits) -> Vec<Bytes> {
        let first = match target {
            Target::Offset(offset) => self.unmoved.partition_point(|it| it.header.last_offset() < offset),
            Target::Timestamp { .. } => {
                let holds = |it: &Unmoved| !target.is_after(&it.header);
                self.unmoved.iter().position(holds).unwrap_or(self.unmoved.len())
            }
        };
        let mut taken = 0;
        let fits = |it: &&Unmoved| {
            let first = taken == 0;
            taken += it.bytes.len();
            it.header.base_offset < limits.end && (first || taken <= limits.bytes)
        };
        self.unmoved.range(first..).take_while(fits).map(|it| it.bytes.clone()).collect()
    }
}
