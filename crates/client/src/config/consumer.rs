//! How records are fetched and how a member behaves in its group.

use std::time::Duration;

/// How records are fetched and how a member behaves in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Where a partition starts that has no committed offset, or one that the log no longer has.
    pub start: StartOffset,
    /// How long a broker may hold a fetch back while there is nothing new.
    pub max_wait: Duration,
    /// A broker answers as soon as it has this much.
    pub min_bytes: usize,
    /// A broker answers a fetch with no more than this, save that one batch is always let through.
    pub max_bytes: usize,
    /// Of one partition a broker sends no more than this, save that one batch is always let through.
    pub partition_max_bytes: usize,
    /// Fetched and not yet taken: beyond this, every partition may still hold one batch.
    pub prefetch_bytes: usize,
    /// A member that is not heard of for this long is taken for dead.
    pub session_timeout: Duration,
    /// How often a member says that it lives.
    pub heartbeat_interval: Duration,
    /// How long members have to give up partitions and join again.
    pub rebalance_timeout: Duration,
}

/// Where a partition starts that has no offset of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StartOffset {
    /// At the first record there is.
    #[default]
    Earliest,
    /// Behind the last record there is, found once, when the partition is assigned.
    Latest,
    /// Nowhere: it is an error.
    None,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            start: StartOffset::Earliest,
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            prefetch_bytes: 64 << 20,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(60),
        }
    }
}
