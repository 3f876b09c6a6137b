//! What an image says of a partition's log, the segments that hold it and who wrote to it last; and what becomes of
//! the segments.

use vltava_wire::{Uuid, messages};

messages! {
    /// A partition has its batches in these segments, cut to these lengths.
    pub struct Stored {
        topic_id: Uuid => 0..;
        partition: i32 => 0..;
        log_start: i64 => 0..;
        end: i64 => 0..;
        segments: Vec<StoredSegment> => 0..;
        producers: Vec<StoredProducer> => 0..;
    } tagged {
        0 => rolled: bool => 0..;
        1 => epochs: Vec<StoredEpoch> => 0..;
        2 => clean_until: i64 => 0..;
    }

    /// From where on batches are of a leader epoch.
    pub struct StoredEpoch {
        epoch: i32 => 0..;
        start: i64 => 0..;
    }

    /// A file of batches.
    pub struct StoredSegment {
        base_offset: i64 => 0..;
        length: i64 => 0..;
        max_timestamp: i64 = -1 => 0..;
    } tagged {
        0 => first_timestamp: i64 = -1 => 0..;
        1 => appended: i64 = -1 => 0..;
        2 => generation: i32 => 0..;
    }

    /// The last batches of an idempotent producer.
    pub struct StoredProducer {
        producer_id: i64 => 0..;
        producer_epoch: i16 => 0..;
        last_used: i64 => 0..;
        batches: Vec<StoredBatch> => 0..;
    }

    /// A batch that may come again.
    pub struct StoredBatch {
        base_sequence: i32 => 0..;
        count: u32 => 0..;
        base_offset: i64 => 0..;
    }

    /// A partition begins at another offset from here on.
    pub struct Trimmed {
        topic_id: Uuid => 0..;
        partition: i32 => 0..;
        log_start: i64 => 0..;
    }

    /// Compaction has put other segments in the place of some, and knows all keys up to an offset.
    pub struct Compacted {
        topic_id: Uuid => 0..;
        partition: i32 => 0..;
        clean_until: i64 => 0..;
        ranges: Vec<CompactedRange> => 0..;
    }

    /// What takes the place of the segments that begin within these offsets.
    pub struct CompactedRange {
        from: i64 => 0..;
        until: i64 => 0..;
        segments: Vec<StoredSegment> => 0..;
    }

    /// The batch at this offset, which is the next one, begins a segment.
    pub struct Rolled {
        topic_id: Uuid => 0..;
        partition: i32 => 0..;
        base_offset: i64 => 0..;
    }
}
