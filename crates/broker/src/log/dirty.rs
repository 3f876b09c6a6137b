//! Which partitions are to be compacted: how much of each was written since it was compacted last.

use std::io;

use vltava_core::Timestamp;

use crate::topic_rules::Rules;

use super::{
    PartitionId,
    compaction::{Job, Source},
    contents::Contents,
    partition::Partition,
    segment::Segment,
};

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

impl Contents {
    /// Whether any topic is compacted.
    pub(super) fn compacts(&self) -> bool {
        self.ledger.topics.iter().any(|it| it.rules.compacts)
    }

    /// The partition that needs it most to be compacted, of those that may be, and how; or the one whose files cannot
    /// be opened. What is settled is in segments.
    pub(super) fn next_to_compact(
        &mut self,
        now: Timestamp,
        keys_max: usize,
        secret: u64,
        may: impl Fn(PartitionId) -> bool,
    ) -> Result<Option<Job>, (PartitionId, io::Error)> {
        let Some((at, dirt)) = self.dirtiest(now, may) else { return Ok(None) };
        let (segment_bytes, _) = self.roll_limits(at.topic);
        let topic = self.ledger.topics.with_id(at.topic).expect("it has a partition");
        let delete_retention_ms = topic.rules.delete_retention_ms;
        let partition = self.partition(at).expect("it was just looked at");
        let clean_until = partition.clean_until;
        let found = (0..dirt.segments).map(|index| {
            let segment = &partition.segments[index];
            (segment.name(), segment.stored(), partition.end_of_segment(index))
        });
        let mut sources = Vec::new();
        for (name, stored, end) in found.collect::<Vec<_>>() {
            sources.push(Source { stored, end, file: self.files.open(&name).map_err(|error| (at, error))? });
        }
        Ok(Some(Job { at, sources, clean_until, segment_bytes, delete_retention_ms, now, keys_max, secret }))
    }

    fn dirtiest(&self, now: Timestamp, may: impl Fn(PartitionId) -> bool) -> Option<(PartitionId, Dirt)> {
        let mut most: Option<(PartitionId, Dirt)> = None;
        for topic in self.ledger.topics.iter().filter(|it| it.rules.compacts) {
            let partitions = self.partitions.get(&topic.id).into_iter().flatten();
            for partition in partitions.filter(|it| may(it.id)) {
                let dirt = partition.dirt(&topic.rules, now);
                let more = dirt.filter(|dirt| most.as_ref().is_none_or(|(_, most)| dirt.is_before(most)));
                most = more.map(|dirt| (partition.id, dirt)).or(most);
            }
        }
        most
    }

    /// Whether the log of a partition begins with the segments that were compacted, still.
    pub(super) fn is_as_planned(&mut self, job: &Job) -> bool {
        let Some(partition) = self.partition(job.at) else { return false };
        let same = |(now, then): (&Segment, &Source)| {
            (now.base_offset, now.generation) == (then.stored.base_offset, then.stored.generation)
        };
        partition.segments.len() >= job.sources.len() && partition.segments.iter().zip(&job.sources).all(same)
    }
}
