//! How records are fetched and how a member behaves in its group.

use std::time::Duration;

use vltava_core::Timestamp;
pub use vltava_core::fetch::Isolation;

use super::Assignors;
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
    /// Which of Kafka's two protocols for groups is spoken (`group.protocol`).
    pub group_protocol: GroupProtocol,
    /// A name that a member keeps over restarts: it comes back to its partitions, and nobody shares them out
    /// meanwhile (`group.instance.id`). Such a member stays in the group when it is shut down or dropped, until its
    /// session ends, unless `leave_group` says otherwise. None for a member that is another one each time.
    pub instance_id: Option<String>,
    /// Whether a member leaves its group when it is shut down or dropped. By default, if it has no `instance_id`.
    pub leave_group: Option<bool>,
    /// How the members share partitions out, where they do so (`partition.assignment.strategy`). Whoever names some
    /// asks for the classic protocol, unless told otherwise.
    pub assignors: Assignors,
    /// How the coordinator shares partitions out, where it does so (`group.remote.assignor`): `uniform` or `range`,
    /// or what else brokers offer. None to leave it to them.
    pub server_assignor: Option<String>,
    /// Whether topics that are subscribed to by name may be missing: they are read once they are there. Otherwise a
    /// subscription to one is refused.
    pub await_topics: bool,
    /// Whether what is finished is committed by itself: every `auto_commit_interval`, before partitions are given
    /// back, and at the end (`enable.auto.commit`). What counts as finished is said at
    /// [`Consumer`](crate::Consumer#commits).
    pub auto_commit: bool,
    /// How often what is finished is committed, where that is done by itself (`auto.commit.interval.ms`).
    pub auto_commit_interval: Duration,
    /// Whether a record counts as finished once the next one is asked for (`enable.auto.offset.store`). Otherwise
    /// only what is stored or committed explicitly does.
    pub auto_store: bool,
    /// A member whose oldest unfinished record has been handed out for longer gives its partitions to others, as
    /// its user seems to be stuck (what `max.poll.interval.ms` is for). It joins again when the user comes back.
    pub unfinished_max: Duration,
    /// A member that is not heard of for this long is taken for dead.
    pub session_timeout: Duration,
    /// How often a member says that it lives.
    pub heartbeat_interval: Duration,
    /// How long members have to give up partitions and join again.
    pub rebalance_timeout: Duration,
}

/// Which of Kafka's two protocols for groups is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The coordinator's (KIP-848) if it offers that, else the classic one.
    Auto,
    /// The classic one, in which a member shares partitions out. The default, as in Java.
    #[default]
    Classic,
    /// That of KIP-848, in which the coordinator does. It is an error if brokers are too old for it.
    Consumer,
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
            group_protocol: GroupProtocol::default(),
            instance_id: None,
            leave_group: None,
            assignors: Assignors::default(),
            server_assignor: None,
            await_topics: false,
            auto_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            auto_store: true,
            unfinished_max: Duration::from_secs(10 * 60),
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(60),
        }
    }
}
