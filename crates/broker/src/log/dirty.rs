//! Which partitions are to be compacted: how much of each was written since it was compacted last.

use vltava_core::Timestamp;

use crate::topic_rules::Rules;

use super::partition::Partition;

/// What there is to compact in a partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dirt {
    /// How many segments from the first on are to be looked at.
    pub(super) segments: usize,
    /// Which part of them was written since they were compacted last.
    ratio: f64,
    /// Whether a record has waited for too long.
    overdue: bool,
}

impl Dirt {
    /// Whether this is more urgent.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        (self.overdue, self.ratio) > (other.overdue, other.ratio)
    }
}

impl Partition {
    /// What is to be compacted by these rules. Of the segment that is open, and of those whose records are young,
    /// nothing is.
    pub(super) fn dirt(&self, rules: &Rules, now: Timestamp) -> Option<Dirt> {
        let closed = self.segments.len().saturating_sub(1);
        let is_clean = |index: &usize| self.end_of_segment(*index) <= self.clean_until;
        let clean = (0..closed).take_while(is_clean).count();
        let youngest = now.0.saturating_sub(rules.compaction_lag_min_ms);
        let is_old =
            |index: &usize| rules.compaction_lag_min_ms == 0 || self.segments[*index].latest() <= youngest;
        let segments = clean + (clean..closed).take_while(is_old).count();
        let bytes =
            |range: std::ops::Range<usize>| self.segments[range].iter().map(|it| it.length).sum::<u64>();
        let (clean_bytes, dirty_bytes) = (bytes(0..clean), bytes(clean..segments));
        if dirty_bytes == 0 {
            return None;
        }
        let waited = now.0.saturating_sub(self.segments[clean].first_timestamp);
        let overdue = waited > rules.compaction_lag_max_ms;
        let ratio = dirty_bytes as f64 / (clean_bytes + dirty_bytes) as f64;
        (overdue || ratio > rules.dirty_ratio_min).then_some(Dirt { segments, ratio, overdue })
    }
}
