//! Compaction: closed segments are written anew with no more than the last record of each key.
//!
//! What is to be done is planned under the log's lock, done without it, and takes effect by an entry of the journal,
//! once the new files are on the disk. A record without a value goes some time after it was met first. Batches keep
//! their offsets, and those that are left without records go: who wrote them last is kept in the image.

use std::{collections::BTreeMap, hash::Hasher, io, sync::Arc};

use bytes::Bytes;
use vltava_core::Timestamp;
use vltava_wire::record::{Batch, BatchHeader, Limits, RecordRef, Records, batches};

use crate::{
    disk::{Disk, File},
    ledger::partitions::{Compacted, CompactedRange, StoredSegment},
};

use super::{PartitionId, checkpoint::remove, image::Failure, index::invalid, segment::Segment};

/// Segments are read and written in pieces of about this size, between which others get their turn: who waits for a
/// sync waits no longer than for one of them.
const PIECE_BYTES: u64 = 256 * 1024;

/// A partition whose log is to be compacted.
pub(super) struct Job {
    pub(super) at: PartitionId,
    /// All segments from the beginning of the log to the last that is to be compacted.
    pub(super) sources: Vec<Source>,
    /// What is before this offset was compacted before.
    pub(super) clean_until: i64,
    /// Small segments are joined up to this size.
    pub(super) segment_bytes: u64,
    pub(super) delete_retention_ms: i64,
    pub(super) now: Timestamp,
    /// So many keys are known at a time.
    pub(super) keys_max: usize,
    /// Makes it impossible to prepare keys that are taken for one another.
    pub(super) secret: u64,
}

/// A segment as it was found.
pub(super) struct Source {
    pub(super) stored: StoredSegment,
    /// The offset behind it.
    pub(super) end: i64,
    pub(super) file: Arc<dyn File>,
}

/// The last offset of each key, as far as it is known. Keys are known by 128 bits of a keyed hash, and not compared.
struct Newest {
    offsets: BTreeMap<[u64; 2], i64>,
    /// Of what is from this offset on nothing is known.
    until: i64,
    secret: u64,
}

impl Job {
    /// Writes the new files and syncs them. The entry says what they replace; the names are those of the files, also
    /// if something failed.
    pub(super) async fn run(self, disk: Arc<dyn Disk>) -> (Self, Vec<String>, Result<Compacted, Failure>) {
        let mut names = Vec::new();
        let done = self.write_all(&*disk, &mut names).await;
        (self, names, done)
    }

    async fn write_all(&self, disk: &dyn Disk, names: &mut Vec<String>) -> Result<Compacted, Failure> {
        let mut newest = Newest { offsets: BTreeMap::new(), until: 0, secret: self.secret };
        let last = self.learn(&mut newest).await.map_err(self.failed())?;
        let mut ranges = Vec::new();
        let mut from = 0;
        for group in self.groups(last) {
            let until = group.last().expect("a group has a source").end;
            if let Some(segments) = self.rewrite(disk, group, &newest, names).await? {
                ranges.push(CompactedRange { from, until, segments });
            }
            from = until;
        }
        disk.sync().await.map_err(Failure::syncing("the folder"))?;
        let PartitionId { topic: topic_id, partition } = self.at;
        Ok(Compacted { topic_id, partition, clean_until: newest.until, ranges })
    }

    fn failed(&self) -> impl Fn(io::Error) -> Failure + Copy {
        let at = self.at;
        move |error| Failure { what: format!("the compaction of {at}"), in_sync: false, error }
    }

    /// Learns the keys of what was not compacted yet, as many as may be known. Says how many sources that covers; of
    /// the last perhaps a part alone.
    async fn learn(&self, newest: &mut Newest) -> io::Result<usize> {
        for (index, source) in self.sources.iter().enumerate() {
            if source.end <= self.clean_until {
                continue;
            }
            let mut position = 0;
            while position < source.stored.length as u64 {
                for batch in source.piece(&mut position)? {
                    if newest.offsets.len() >= self.keys_max {
                        newest.until = batch.base_offset;
                        return Ok(index + 1);
                    }
                    newest.learn(batch, self.clean_until);
                }
                tokio::task::yield_now().await;
            }
        }
        newest.until = self.sources.last().map_or(0, |it| it.end);
        Ok(self.sources.len())
    }

    /// The first sources, those that become one segment together.
    fn groups(&self, count: usize) -> Vec<&[Source]> {
        let mut groups = Vec::new();
        let (mut start, mut bytes) = (0, 0);
        for (index, source) in self.sources[..count].iter().enumerate() {
            let length = source.stored.length as u64;
            if index > start && bytes + length > self.segment_bytes {
                groups.push(&self.sources[start..index]);
                (start, bytes) = (index, 0);
            }
            bytes += length;
        }
        groups.push(&self.sources[start..count]);
        groups
    }

    /// Writes what stays of a group into a new file. None if that is all of its only segment.
    async fn rewrite(
        &self,
        disk: &dyn Disk,
        group: &[Source],
        newest: &Newest,
        names: &mut Vec<String>,
    ) -> Result<Option<Vec<StoredSegment>>, Failure> {
        let (first, last) = (&group[0].stored, &group.last().expect("a group has a source").stored);
        let generation = group.iter().map(|it| it.stored.generation).max().unwrap_or(0) + 1;
        let mut new = StoredSegment { length: 0, max_timestamp: i64::MIN, generation, ..first.clone() };
        new.appended = last.appended;
        let name = Segment::restored(self.at, &new).name();
        let failed = self.failed();
        let file = disk.create(&name).map_err(failed)?;
        names.push(name.clone());
        let mut changed = group.len() > 1;
        for source in group {
            let mut position = 0;
            while position < source.stored.length as u64 {
                let mut out = Vec::new();
                for batch in source.piece(&mut position).map_err(failed)? {
                    let Kept { bytes, is_whole } = self.filter(batch, newest);
                    changed |= !is_whole;
                    if let Ok(header) = BatchHeader::parse(&bytes) {
                        new.max_timestamp = new.max_timestamp.max(header.max_timestamp);
                    }
                    out.extend_from_slice(&bytes);
                }
                file.write_at(new.length as u64, &out).map_err(failed)?;
                new.length += out.len() as i64;
                tokio::task::yield_now().await;
            }
        }
        if !changed || new.length == 0 {
            remove(disk, &name);
            names.pop();
            return Ok(changed.then(Vec::new));
        }
        file.sync().await.map_err(Failure::syncing(&name))?;
        Ok(Some(vec![new]))
    }
}

/// What stays of a batch.
struct Kept {
    /// Nothing, if no record stays.
    bytes: Bytes,
    /// Whether it is as it was.
    is_whole: bool,
}

impl Job {
    /// The records that are their keys' last. A batch that nobody can open stays, as it is not for us to judge; and one
    /// whose keys are not known: the time of its tombstones begins once what they delete is gone.
    fn filter(&self, batch: Batch, newest: &Newest) -> Kept {
        let (header, bytes) = (*batch.header(), batch.bytes().clone());
        let whole = Kept { bytes, is_whole: true };
        if header.is_control() || header.base_offset >= newest.until {
            return whole;
        }
        let Ok(records) = batch.decompress(Limits::default()) else { return whole };
        let expired = header.delete_horizon().is_some_and(|horizon| self.now.0 > horizon);
        let stays = |it: RecordRef<'_>| newest.keeps(it) && (it.value().is_some() || !expired);
        let horizon = self.horizon(&header, &records, &stays);
        if horizon.is_none() && records.iter().all(stays) {
            return whole;
        }
        match records.retain(stays, horizon) {
            Ok(kept) => Kept { bytes: kept.unwrap_or_default(), is_whole: false },
            Err(_) => whole,
        }
    }

    /// From when on the tombstones of a batch may go, if it has some and does not say so yet.
    fn horizon(
        &self,
        header: &BatchHeader,
        records: &Records,
        stays: &impl Fn(RecordRef<'_>) -> bool,
    ) -> Option<i64> {
        let has_tombstones = || records.iter().any(|it| it.value().is_none() && stays(it));
        let is_due = header.delete_horizon().is_none() && has_tombstones();
        is_due.then(|| self.now.0.saturating_add(self.delete_retention_ms))
    }
}

impl Source {
    /// The next batches, up to some size, but one at least.
    fn piece(&self, position: &mut u64) -> io::Result<Vec<Batch>> {
        let left = self.stored.length as u64 - *position;
        let mut bytes = self.read(*position, PIECE_BYTES.min(left))?;
        let first = BatchHeader::parse(&bytes).map_err(|error| invalid(*position, &error))?.length as u64;
        if first > left {
            return Err(invalid(*position, &"it is longer than what is left of the segment"));
        }
        if first > bytes.len() as u64 {
            bytes = self.read(*position, first)?;
        }
        let mut piece = Vec::new();
        for batch in batches(bytes) {
            let batch = batch.map_err(|error| invalid(*position, &error))?;
            *position += batch.length as u64;
            piece.push(batch);
        }
        if piece.is_empty() {
            return Err(invalid(*position, &"the file ends within it"));
        }
        Ok(piece)
    }

    fn read(&self, position: u64, length: u64) -> io::Result<Bytes> {
        let mut bytes = vec![0; length as usize];
        let read = self.file.read_at(position, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }
}

impl Newest {
    fn learn(&mut self, batch: Batch, from: i64) {
        if batch.is_control() {
            return;
        }
        let Ok(records) = batch.decompress(Limits::default()) else { return };
        for record in records.iter().filter(|it| it.offset() >= from) {
            if let Some(key) = record.key() {
                self.offsets.insert(self.hash(key), record.offset());
            }
        }
    }

    /// Whether no later record of the key is known. One without a key has no place in a log that is compacted.
    fn keeps(&self, record: RecordRef<'_>) -> bool {
        let newest = record.key().map(|key| self.offsets.get(&self.hash(key)).copied());
        newest.is_some_and(|newest| newest.is_none_or(|newest| record.offset() >= newest))
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [0, 1].map(|half| {
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write_u64(self.secret);
            hasher.write_u64(half);
            hasher.write(key);
            hasher.finish()
        })
    }
}
