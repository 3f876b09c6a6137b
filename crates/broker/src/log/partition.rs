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
    produce::{Numbered, Windows},
};
use vltava_wire::record::BatchHeader;

use super::{
    PartitionId,
    checkpoint::Indexes,
    index::Target,
    producers,
    segment::{Limits, Segment},
};

pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) leader_epoch: i32,
    pub(super) log_start: i64,
    /// The offset of the next batch.
    pub(super) end: i64,
    /// Below it all is settled, and may be read.
    pub(super) high_watermark: i64,
    /// Where the journal was after the last batch.
    pub(super) written: u64,
    pub(super) segments: Vec<Segment>,
    pub(super) unmoved: VecDeque<Unmoved>,
    pub(super) windows: Windows,
    waiting: Vec<Weak<Notify>>,
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
    pub(super) fn new(id: PartitionId, leader_epoch: i32) -> Self {
        Self {
            id,
            leader_epoch,
            log_start: 0,
            end: 0,
            high_watermark: 0,
            written: 0,
            segments: Vec::new(),
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
        if let Ok(Some(numbered)) = Numbered::of(&batch.header) {
            producers::remember(&mut self.windows, &numbered, batch.header.base_offset, batch.at);
        }
        self.unmoved.push_back(batch);
    }

    /// All below `offset` is settled.
    pub(super) fn on_settled(&mut self, offset: i64) {
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

    /// The latest timestamp of any batch that may be read.
    pub(super) fn latest_timestamp(&self) -> Option<i64> {
        let stored = self.segments.iter().map(|it| it.max_timestamp);
        let settled = self.unmoved.iter().filter(|it| it.header.base_offset < self.high_watermark);
        stored.chain(settled.map(|it| it.header.max_timestamp)).max()
    }

    /// The indexes that are not stored yet, with their names.
    pub(super) fn indexes_to_store(&mut self, which: Indexes) -> Vec<(String, Vec<u8>)> {
        let open = usize::from(which == Indexes::Closed);
        let count = self.segments.len().saturating_sub(open);
        self.segments[..count].iter_mut().filter_map(Segment::index_to_store).collect()
    }

    /// The segments that may hold the target, from the first that does.
    pub(super) fn segments_from(&mut self, target: Target) -> &mut [Segment] {
        let first = match target {
            Target::Offset(offset) => {
                self.segments.partition_point(|it| it.base_offset <= offset).saturating_sub(1)
            }
            Target::Timestamp(timestamp) => {
                let holds = |it: &Segment| it.max_timestamp >= timestamp;
                self.segments.iter().position(holds).unwrap_or(self.segments.len())
            }
        };
        &mut self.segments[first..]
    }

    /// The batches in memory that a read may bring, from the first that is not wholly before the target.
    pub(super) fn unmoved_from(&self, target: Target, limits: Limits) -> Vec<Bytes> {
        let first = match target {
            Target::Offset(offset) => self.unmoved.partition_point(|it| it.header.last_offset() < offset),
            Target::Timestamp(_) => {
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
