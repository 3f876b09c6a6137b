//! A segment: a file of batches, one after the other, as they are sent to consumers.

use std::{io, sync::Arc};

use bytes::Bytes;
use vltava_core::Timestamp;
use vltava_wire::record::{BATCH_OVERHEAD_BYTES, BatchHeader};

use crate::{
    disk::{Disk, File},
    ledger::partitions::StoredSegment,
};

use super::{
    PartitionId,
    index::{Index, Target, invalid},
    recover::read_all,
};

const PREFIX: &str = "segment-";
const SUFFIX: &str = ".log";
/// Before the number of times that a segment was compacted, if it was.
const GENERATION: &str = ".c";
const INDEX_SUFFIX: &str = ".index";
/// No index of a segment is longer.
const INDEX_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A part of a partition's log that is in a file.
#[derive(Debug)]
pub(super) struct Segment {
    /// The file's name, without what says that it is a segment.
    stem: String,
    /// How often it was compacted.
    pub(super) generation: i32,
    pub(super) base_offset: i64,
    /// Bytes of the file that count; there may be more, of no meaning.
    pub(super) length: u64,
    pub(super) max_timestamp: i64,
    /// The timestamp of its first batch, by which it is told how long it has been open.
    pub(super) first_timestamp: i64,
    /// When its last batch was appended.
    pub(super) appended: Timestamp,
    index: Arc<Index>,
    /// Whether a stored index was looked for.
    looked_up: bool,
    /// The length that the stored index is about, if there is one.
    indexed: Option<u64>,
}

/// What is in a file of the folder that belongs to a segment.
pub(super) fn is_of_a_segment(name: &str) -> bool {
    name.starts_with(PREFIX) && (name.ends_with(SUFFIX) || name.ends_with(INDEX_SUFFIX))
}

/// Whether this is the file of a segment that was compacted.
pub(super) fn is_compacted(name: &str) -> bool {
    is_of_a_segment(name) && name.contains(GENERATION) && name.ends_with(SUFFIX)
}

impl Segment {
    pub(super) fn new(of: PartitionId, base_offset: i64) -> Self {
        let empty = StoredSegment { base_offset, max_timestamp: i64::MIN, ..Default::default() };
        Self { looked_up: true, ..Self::restored(of, &empty) }
    }

    pub(super) fn restored(of: PartitionId, stored: &StoredSegment) -> Self {
        let base_offset = stored.base_offset;
        let mut stem = format!("{PREFIX}{:032x}-{}-{base_offset:020}", of.topic.0, of.partition);
        if stored.generation > 0 {
            stem = format!("{stem}{GENERATION}{}", stored.generation);
        }
        Self {
            stem,
            generation: stored.generation,
            base_offset,
            length: stored.length as u64,
            max_timestamp: stored.max_timestamp,
            first_timestamp: stored.first_timestamp,
            appended: Timestamp(stored.appended),
            index: Arc::default(),
            looked_up: false,
            indexed: None,
        }
    }

    /// What an image says of it.
    pub(super) fn stored(&self) -> StoredSegment {
        StoredSegment {
            base_offset: self.base_offset,
            length: self.length as i64,
            max_timestamp: self.max_timestamp,
            first_timestamp: self.first_timestamp,
            appended: self.appended.0,
            generation: self.generation,
        }
    }

    /// The latest time that anything in it is of: that of its records, or if they have none that of its appends.
    pub(super) fn latest(&self) -> i64 {
        if self.max_timestamp >= 0 { self.max_timestamp } else { self.appended.0 }
    }

    pub(super) fn name(&self) -> String {
        format!("{}{SUFFIX}", self.stem)
    }

    pub(super) fn index_name(&self) -> String {
        format!("{}{INDEX_SUFFIX}", self.stem)
    }

    /// Takes in that a batch was written at the end.
    pub(super) fn on_appended(&mut self, batch: &BatchHeader, at: Timestamp) {
        if self.length == 0 {
            self.first_timestamp = time_of(batch, at);
        }
        self.appended = at;
        self.index.note(self.length, batch);
        self.length += batch.length as u64;
        self.max_timestamp = self.max_timestamp.max(batch.max_timestamp);
    }

    /// For reading without holding up the log.
    pub(super) fn view(&mut self, disk: &dyn Disk, file: Arc<dyn File>) -> View {
        if !std::mem::replace(&mut self.looked_up, true) {
            self.load_index(disk);
        }
        View { file, index: self.index.clone(), base_offset: self.base_offset, length: self.length }
    }

    /// Takes the stored index, if there is a good one; without it, it is made from the batches.
    fn load_index(&mut self, disk: &dyn Disk) {
        let stored = disk.open(&self.index_name()).and_then(|file| read_all(&file, INDEX_BYTES_MAX));
        self.indexed = stored.ok().and_then(|stored| self.index.restore(&stored, self.length));
    }

    /// The index to store, if all of the segment is in an image and its index is not stored yet. What is stored
    /// speaks of bytes that will never change, so it need not be synced nor checked against the segment.
    pub(super) fn index_to_store(&mut self) -> Option<(String, Vec<u8>)> {
        if self.indexed == Some(self.length) {
            return None;
        }
        let bytes = self.index.encode(self.length)?;
        self.indexed = Some(self.length);
        Some((self.index_name(), bytes))
    }
}

/// The time that a batch is of: that of its records, or if they have none that of its append.
pub(super) fn time_of(batch: &BatchHeader, appended: Timestamp) -> i64 {
    if batch.max_timestamp >= 0 { batch.max_timestamp } else { appended.0 }
}

/// A segment as far as it had got.
pub(super) struct View {
    file: Arc<dyn File>,
    index: Arc<Index>,
    base_offset: i64,
    length: u64,
}

/// What a read may bring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Batches from this offset on are not to be seen.
    pub(super) end: i64,
    /// The first batch may be longer.
    pub(super) bytes: usize,
}

/// Batches of one segment.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// Whether there is nothing after them in the segment.
    pub(super) to_the_end: bool,
}

impl View {
    /// Whole batches, from the first that is not wholly before the target. None if there is none.
    pub(super) fn read(&self, target: Target, limits: Limits) -> io::Result<Option<Piece>> {
        let mut position = self.index.seek(&*self.file, self.length, target)?;
        while position < self.length {
            let header = self.header(position)?;
            if header.base_offset >= limits.end {
                return Ok(None);
            }
            if !target.is_after(&header) {
                return self.batches(position, &header, limits).map(Some);
            }
            position += header.length as u64;
        }
        Ok(None)
    }

    fn header(&self, position: u64) -> io::Result<BatchHeader> {
        let mut bytes = [0; BATCH_OVERHEAD_BYTES];
        let read = self.file.read_at(position, &mut bytes)?;
        let header = BatchHeader::parse(&bytes[..read]).map_err(|error| invalid(position, &error))?;
        if header.length as u64 > self.length - position {
            return Err(invalid(position, &"it is longer than what is left of the segment"));
        }
        if header.base_offset < self.base_offset {
            return Err(invalid(position, &"its offsets are before those of the segment"));
        }
        Ok(header)
    }

    fn batches(&self, position: u64, header: &BatchHeader, limits: Limits) -> io::Result<Piece> {
        let left = (self.length - position) as usize;
        let mut bytes = vec![0; limits.bytes.max(header.length).min(left)];
        let read = self.file.read_at(position, &mut bytes)?;
        if read < header.length {
            return Err(invalid(position, &"the file ends within it"));
        }
        bytes.truncate(whole_batches(&bytes[..read], header, limits.end));
        let to_the_end = position + bytes.len() as u64 == self.length;
        Ok(Piece { bytes: bytes.into(), to_the_end })
    }
}

/// How many bytes of whole batches there are that may be seen. The first one is there and may.
fn whole_batches(bytes: &[u8], first: &BatchHeader, end: i64) -> usize {
    let (mut taken, mut next) = (first.length, first.last_offset() + 1);
    while let Ok(header) = BatchHeader::parse(&bytes[taken..]) {
        // One whose offset is before is damaged, of which its own reader is told.
        if taken + header.length > bytes.len() || !(next..end).contains(&header.base_offset) {
            break;
        }
        next = header.last_offset() + 1;
        taken += header.length;
    }
    taken
}
