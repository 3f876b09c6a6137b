//! What a flow may be told, with what holds where nothing is said.

use std::time::Duration;

/// How many records are worked on at once where a flow does not say.
pub(crate) const WORKERS: u32 = 10;

/// Each worker has a slot of its own from the start; more of them would only cost memory.
pub const WORKERS_MAX: u32 = 100_000;

/// How far ahead records are read, so that workers need not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefetch {
    /// Records of a partition that wait or are worked on, at most: 500.
    pub records: usize,
    /// And the bytes of their keys, values and headers, at most: 8 MiB. One record is always let in.
    pub bytes: usize,
    /// And in all partitions together, at most: 256 MiB. Every partition may have one record beyond it.
    pub total_bytes: usize,
}

impl Default for Prefetch {
    fn default() -> Self {
        Self { records: 500, bytes: 8 << 20, total_bytes: 256 << 20 }
    }
}

/// When a flow commits what is done, besides on every revoke and at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// After that many records: 500.
    pub min_count: u64,
    /// Or after that long, whichever is sooner: one second.
    pub interval: Duration,
}

impl Default for Commit {
    fn default() -> Self {
        Self { min_count: 500, interval: Duration::from_secs(1) }
    }
}
