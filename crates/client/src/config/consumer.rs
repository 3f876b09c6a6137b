//! How records are fetched and how a member behaves in its group.

use std::time::Duration;

use vltava_core::Timestamp;
pub use vltava_core::fetch::Isolation;

use crate::Offset;

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
    /// Fetched, or being fetched, and not yet taken: beyond this, every partition may still hold one batch. What was
    /// taken is the reader's: batches and records keep their memory as long as they live.
    pub prefetch_bytes: usize,
    /// Whose records are read.
    pub isolation: Isolation,
    /// Where the reader stands, in the words of the brokers' `broker.rack`: a replica there is read from, if the
    /// brokers name it (KIP-392). Empty to read from leaders.
    pub rack: String,
    /// Whether it is told when all of a partition has been handed out.
    pub end_notices: bool,
    /// A partition that does not get on for so long, though there is more of it, is told of, and asked for anew.
    pub stall_after: Duration,
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
    /// At the first record that is as late or later, or behind the last one.
    Since(Timestamp),
    /// At the first record that is no older than this by then, or behind the last one (KIP-1106).
    Within(Duration),
}

impl StartOffset {
    /// The place to start at; none if it is an error not to know one.
    pub fn offset(self) -> Option<Offset> {
        match self {
            Self::Earliest => Some(Offset::Earliest),
            Self::Latest => Some(Offset::Latest),
            Self::None => None,
            Self::Since(timestamp) => Some(Offset::Timestamp(timestamp)),
            Self::Within(age) => Some(Offset::Within(age)),
        }
    }
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
            isolation: Isolation::ReadUncommitted,
            rack: String::new(),
            end_notices: false,
            stall_after: Duration::from_secs(30),
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(60),
        }
    }
}
