//! What the journal's entries make up: the ledger, and the logs of all partitions.
//!
//! The same code takes an entry in when it is appended and when it is replayed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use vltava_core::{Timestamp, cluster::NodeId};
use vltava_wire::{
    Uuid,
    record::{BATCH_OVERHEAD_BYTES, BatchHeader},
};

use crate::{
    Error, ErrorKind, Result,
    disk::Disk,
    ledger::{
        Entry, Ledger, partitions,
        topics::{LedPartition, next_reign},
    },
};

use super::{
    PartitionId,
    entry::KIND_BATCH,
    files::Files,
    partition::{Partition, Unmoved},
    producers,
    segment::Segment,
};

/// What stands before a batch in its entry: topic id, partition, time in ms, and zeros up to a round number.
pub(super) const BATCH_PREFIX_BYTES: usize = 32;
/// Batches are written to a segment in pieces of about this size.
const MOVE_BYTES: usize = 1024 * 1024;

pub(super) struct Contents {
    pub(super) ledger: Ledger,
    pub(super) partitions: BTreeMap<Uuid, Vec<Partition>>,
    /// Of all topics.
    pub(super) partition_count: usize,
    pub(super) files: Files,
    /// A segment that is this long is followed by another, unless its topic says otherwise.
    segment_bytes: u64,
    /// Partitions with batches in memory, and how much all of them take.
    with_unmoved: BTreeSet<PartitionId>,
    pub(super) unmoved_bytes: usize,
    /// Segments that were written since the last checkpoint.
    pub(super) unsynced_segments: BTreeSet<String>,
    /// Files that went out of use since the last checkpoint.
    pub(super) unneeded_files: Vec<String>,
}

impl Contents {
    pub(super) fn new(files: Files, segment_bytes: u64) -> Self {
        Self {
            ledger: Ledger::default(),
            partitions: BTreeMap::new(),
            partition_count: 0,
            files,
            segment_bytes,
            with_unmoved: BTreeSet::new(),
            unmoved_bytes: 0,
            unsynced_segments: BTreeSet::new(),
            unneeded_files: Vec::new(),
        }
    }

    pub(super) fn partition(&mut self, at: PartitionId) -> Option<&mut Partition> {
        let index = usize::try_from(at.partition).ok()?;
        self.partitions.get_mut(&at.topic)?.get_mut(index)
    }

    pub(super) fn all_partitions(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.partitions.values_mut().flatten()
    }

    /// Takes in an entry that was read back, after which the journal is at `position`.
    pub(super) fn replay(&mut self, kind: u8, payload: Bytes, position: u64) -> Result<()> {
        if kind == KIND_BATCH {
            return self.replay_batch(payload, position);
        }
        let newer = || {
            let why = format!("entry kind {kind} is unknown; was the folder written by a newer version?");
            Error::new(ErrorKind::Damaged, why)
        };
        let broken = |error| {
            let why = format!("the entry that ends at position {position} makes no sense");
            Error::new(ErrorKind::Damaged, why).because(error)
        };
        let entry = Entry::decode(kind, payload).ok_or_else(newer)?.map_err(broken)?;
        if matches!(entry, Entry::Compacted(_)) {
            // What it speaks of were segments at the time.
            self.move_batches(position).map_err(|error| not_moved(&*self.files.disk, error))?;
        }
        self.apply(&entry);
        Ok(())
    }

    fn replay_batch(&mut self, mut payload: Bytes, position: u64) -> Result<()> {
        let broken = |why: &str| {
            let why = format!("the batch that ends at position {position} of the journal {why}");
            Error::new(ErrorKind::Damaged, why)
        };
        if payload.len() < BATCH_PREFIX_BYTES + BATCH_OVERHEAD_BYTES {
            return Err(broken("is too short"));
        }
        let at = PartitionId { topic: Uuid(payload.get_u128()), partition: payload.get_i32() };
        let appended = Timestamp(payload.get_i64());
        payload.advance(BATCH_PREFIX_BYTES - 28);
        let header = BatchHeader::parse(&payload).map_err(|error| broken("is broken").because(error))?;
        if header.length != payload.len() {
            return Err(broken("has another length than it says"));
        }
        let Some(partition) = self.partition(at) else { return Err(broken("is of an unknown partition")) };
        if header.base_offset != partition.end {
            return Err(broken("does not continue its partition"));
        }
        // A copy, so that the rest of the file that was read does not stay in memory.
        let bytes = Bytes::copy_from_slice(&payload);
        self.take_in(at, Unmoved { position, at: appended, header, bytes });
        Ok(())
    }

    /// Takes in a change to the ledger.
    pub(super) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::TopicCreated(created) => {
                let partition = |(index, leader)| {
                    Partition::new(PartitionId { topic: created.id, partition: index }, leader)
                };
                let partitions: Vec<_> = (0..).zip(created.leaders()).map(partition).collect();
                self.partition_count += partitions.len();
                self.partitions.insert(created.id, partitions);
            }
            Entry::TopicDeleted(deleted) => self.forget(deleted.id),
            Entry::PartitionStored(stored) => {
                let at = PartitionId { topic: stored.topic_id, partition: stored.partition };
                if let Some(partition) = self.partition(at) {
                    partition.restore(stored);
                }
            }
            Entry::Rolled(rolled) => {
                let at = PartitionId { topic: rolled.topic_id, partition: rolled.partition };
                if let Some(partition) = self.partition(at) {
                    partition.roll();
                }
            }
            Entry::Trimmed(trimmed) => self.trim(trimmed),
            Entry::Compacted(compacted) => {
                let at = PartitionId { topic: compacted.topic_id, partition: compacted.partition };
                let gone = self.partition(at).map(|it| it.compact(compacted));
                self.drop_segments(gone.unwrap_or_default());
            }
            // As in Kafka, a broker that comes back leads its partitions anew.
            Entry::Opened(_) => {
                self.all_partitions().for_each(|it| it.lead(next_reign(it.leader, it.leader.node)));
            }
            Entry::Led(led) => {
                for LedPartition { partition, leader } in &led.partitions {
                    let at = PartitionId { topic: led.id, partition: *partition };
                    if let Some(it) = self.partition(at) {
                        it.lead(next_reign(it.leader, NodeId(*leader)));
                    }
                }
            }
            _ => (),
        }
        self.ledger.apply(entry);
    }

    fn trim(&mut self, trimmed: &partitions::Trimmed) {
        let at = PartitionId { topic: trimmed.topic_id, partition: trimmed.partition };
        let Some(partition) = self.partition(at) else { return };
        let (segments, bytes) = partition.trim(trimmed.log_start);
        let is_moved = partition.unmoved.is_empty();
        self.unmoved_bytes -= bytes;
        if is_moved {
            self.with_unmoved.remove(&at);
        }
        self.drop_segments(segments);
    }

    /// Their files go after the next checkpoint: until then a start may need them.
    fn drop_segments(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.files.close(&segment.name());
            self.unsynced_segments.remove(&segment.name());
            self.unneeded_files.extend([segment.name(), segment.index_name()]);
        }
    }

    fn forget(&mut self, topic: Uuid) {
        for mut partition in self.partitions.remove(&topic).into_iter().flatten() {
            partition.tell();
            self.partition_count -= 1;
            self.with_unmoved.remove(&partition.id);
            self.unmoved_bytes -= partition.unmoved.iter().map(|it| it.bytes.len()).sum::<usize>();
            self.drop_segments(partition.segments);
        }
    }

    /// The partitions that are to begin further on by their topics' rules, and where. Producers that were not heard of
    /// for long are forgotten by the way.
    pub(super) fn retained(&mut self, now: Timestamp) -> Vec<(PartitionId, i64)> {
        let mut shorter = Vec::new();
        for topic in self.ledger.topics.iter() {
            for partition in self.partitions.get_mut(&topic.id).into_iter().flatten() {
                producers::forget_old(&mut partition.windows, now);
                let log_start =
                    if topic.rules.deletes { partition.retained_from(&topic.rules, now) } else { 0 };
                if log_start > partition.log_start {
                    shorter.push((partition.id, log_start));
                }
            }
        }
        shorter
    }

    /// What a segment of a partition may grow to, and how long it may be open.
    pub(super) fn roll_limits(&self, topic: Uuid) -> (u64, i64) {
        let topic = self.ledger.topics.with_id(topic);
        let rules =
            topic.map(|it| (it.rules.segment_bytes.unwrap_or(self.segment_bytes), it.rules.roll_ms()));
        rules.unwrap_or((self.segment_bytes, i64::MAX))
    }

    /// Takes in a batch that is in the journal.
    pub(super) fn take_in(&mut self, at: PartitionId, batch: Unmoved) {
        self.unmoved_bytes += batch.bytes.len();
        self.with_unmoved.insert(at);
        self.partition(at).expect("a batch is taken in for a partition there is").on_appended(batch);
    }

    /// Moves batches from memory into segments: those that end in the journal at `until` or before.
    pub(super) fn move_batches(&mut self, until: u64) -> io::Result<()> {
        for at in self.with_unmoved.clone() {
            while self.move_some(at, until)? {}
            if self.partition(at).is_none_or(|it| it.unmoved.is_empty()) {
                self.with_unmoved.remove(&at);
            }
        }
        Ok(())
    }

    /// Writes what goes into one segment at once; false if there is nothing to move.
    fn move_some(&mut self, at: PartitionId, until: u64) -> io::Result<bool> {
        let partition = self.partition(at).expect("a partition with batches exists");
        let Some(first) = partition.unmoved.front().filter(|it| it.position <= until) else {
            return Ok(false);
        };
        let base_offset = first.header.base_offset;
        let is_new = partition.begins_segment(base_offset);
        let (name, length) = match partition.segments.last() {
            Some(last) if !is_new => (last.name(), last.length),
            _ => (Segment::new(at, base_offset).name(), 0),
        };
        let next_segment = partition.next_roll(base_offset).unwrap_or(i64::MAX);
        let (count, piece) = gather(&partition.unmoved, until, next_segment);
        let file = if is_new { self.files.create(&name)? } else { self.files.open(&name)? };
        file.write_at(length, &piece)?;
        self.unsynced_segments.insert(name);
        self.unmoved_bytes -= piece.len();
        let partition = self.partition(at).expect("it was there before");
        if is_new {
            partition.on_new_segment(base_offset);
        }
        let segment = partition.segments.last_mut().expect("there is one, or was made");
        partition.unmoved.drain(..count).for_each(|it| segment.on_appended(&it.header, it.at));
        Ok(true)
    }

    /// The entries that make up all of this, if no batch is in memory.
    pub(super) fn image(&mut self, now: Timestamp) -> impl Iterator<Item = Entry> {
        let partitions = self.partitions.values_mut().flatten();
        self.ledger.image().chain(partitions.map(move |it| Entry::PartitionStored(it.stored(now))))
    }
}

pub(super) fn not_moved(disk: &dyn Disk, error: io::Error) -> Error {
    let kind = ErrorKind::of_writing(&error);
    Error::new(kind, format!("a segment in {} could not be written", disk.path())).because(error)
}

/// The bytes of the first batch and of those after it that may go along, and how many that are.
fn gather(unmoved: &std::collections::VecDeque<Unmoved>, until: u64, next_segment: i64) -> (usize, Bytes) {
    let mut length = 0;
    let fits = |it: &&Unmoved| {
        let first = length == 0;
        length += it.bytes.len();
        let fits = it.position <= until && it.header.base_offset < next_segment;
        fits && (first || length <= MOVE_BYTES)
    };
    let count = unmoved.iter().take_while(fits).count();
    if count == 1 {
        return (1, unmoved[0].bytes.clone());
    }
    let mut piece = BytesMut::new();
    unmoved.iter().take(count).for_each(|it| piece.put_slice(&it.bytes));
    (count, piece.freeze())
}
