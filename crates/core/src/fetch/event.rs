//! What positions are told, and what they say: settings in, questions and events out.

use std::{fmt, time::Duration};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, fetch::AbortedTransaction},
};

use super::reset::{Cause, Place, Reset};
use crate::cluster::{NodeId, TopicPartition};

/// What to ask for, and what to do when an offset is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long a broker may hold a fetch while there is less than `bytes_min`.
    pub wait_max: Duration,
    /// How much a broker waits for.
    pub bytes_min: i32,
    /// How much an answer has at most, save that one batch always comes.
    pub bytes_max: i32,
    /// How much an answer has at most of each partition, and so how much waits for its reader.
    pub partition_bytes_max: i32,
    /// How much waits for readers and is under way to them, all partitions together; beyond this, every partition
    /// may still have one batch.
    pub queue_bytes_max: usize,
    /// What to do when an offset is not there.
    pub reset: Reset,
    /// Whose records are read.
    pub isolation: Isolation,
    /// Where the reader stands, so that a replica nearby may be named to it; empty if it does not say.
    pub rack: String,
    /// A replica that the leader named is read from for so long, then the leader is asked again.
    pub replica_age_max: Duration,
    /// A partition that does not get on for so long, though there is more of it, is told of.
    pub stall_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_millis(500),
            bytes_min: 1,
            bytes_max: 50 << 20,
            partition_bytes_max: 1 << 20,
            queue_bytes_max: 64 << 20,
            reset: Reset::To(Place::Latest),
            isolation: Isolation::ReadUncommitted,
            rack: String::new(),
            replica_age_max: Duration::from_secs(300),
            stall_after: Duration::from_secs(30),
        }
    }
}

/// Whose records are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// All, those of transactions that are open or were rolled back included.
    #[default]
    ReadUncommitted,
    /// Those that belong to no transaction, or to one that was committed; none behind the first that is still open.
    ReadCommitted,
}

impl Isolation {
    /// How Fetch and ListOffsets name it.
    pub fn level(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// What to ask of a broker.
#[derive(Debug)]
pub enum Todo {
    /// Records; the answer is for [`super::Positions::on_fetched`].
    Fetch {
        /// The question, for [`in_version`] to fit.
        request: FetchRequest,
        /// The version to ask it in at most, since not every topic has an id.
        version_max: i16,
    },
    /// Places in logs; the answer is for [`super::Positions::on_offsets`].
    Lookup(ListOffsetsRequest),
    /// Where epochs end; the answer is for [`super::Positions::on_epochs`].
    Validate(OffsetForLeaderEpochRequest),
}

/// From this version on a fetch says which leader wrote what was read last.
const LAST_EPOCH_SINCE: i16 = 12;

/// A fetch as a version can say it.
pub fn in_version(mut request: FetchRequest, version: i16) -> FetchRequest {
    if version < LAST_EPOCH_SINCE {
        let partitions = request.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.for_each(|it| it.last_fetched_epoch = -1);
    }
    request
}

/// What the owner has to know.
#[derive(Debug)]
pub enum Event {
    /// Batches have come.
    Fetched(Fetched),
    /// A position moved other than by reading on; or it stays where it is, and what was read before it has changed.
    Jumped {
        /// Whose.
        partition: TopicPartition,
        /// Where it stood, if it stood anywhere.
        from: Option<i64>,
        /// Where it stands.
        to: i64,
        /// Why.
        cause: Cause,
    },
    /// Reading has stopped, until the partition is assigned again or set to another offset.
    Failed {
        /// Where.
        partition: TopicPartition,
        /// What should have been read next.
        offset: Option<i64>,
        /// Why.
        failure: Failure,
    },
    /// A partition does not get on though there is more of it. Everything about it is asked anew.
    Stalled {
        /// Which.
        partition: TopicPartition,
        /// For how long.
        since: Duration,
        /// What it waits for.
        stall: Stall,
    },
}

/// Why reading has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A broker said so.
    Refused(ErrorCode),
    /// The log is not the one that was read: a leader was elected that did not have all of it (KIP-320).
    Truncated {
        /// What was read from this offset on is gone; none if nobody knows from where on.
        safe: Option<i64>,
    },
}

/// What a partition waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stall {
    /// Nobody leads it, as far as is known.
    NoLeader,
    /// A broker was asked and has not answered yet.
    NoAnswer(NodeId),
    /// A broker keeps refusing.
    Refused(NodeId, ErrorCode),
    /// A broker could not be asked: the connection breaks.
    Cut(NodeId),
    /// A broker answers, but has nothing of what it said it has.
    Nothing(NodeId),
}

impl Stall {
    /// The broker it waits for, if there is one.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::NoLeader => None,
            Self::NoAnswer(node) | Self::Refused(node, _) | Self::Cut(node) | Self::Nothing(node) => {
                Some(*node)
            }
        }
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader => f.write_str("nobody leads it"),
            Self::NoAnswer(node) => write!(f, "broker {node} does not answer"),
            Self::Refused(node, error) => write!(f, "broker {node} answers {error}"),
            Self::Cut(node) => write!(f, "broker {node} cannot be reached"),
            Self::Nothing(node) => write!(f, "broker {node} does not send what it says it has"),
        }
    }
}

/// Batches of one partition, for its reader.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where they are from.
    pub partition: TopicPartition,
    /// Whole batches, and perhaps a part of another at the end. Not checked yet.
    pub records: Bytes,
    /// The first offset of interest: earlier records of the first batch were not asked for.
    pub from: i64,
    /// The offset behind the last whole batch, where the next fetch goes on.
    pub next: i64,
    /// How far the log went by then.
    pub ends: Ends,
    /// Transactions that were rolled back and have records among these; for [`super::Visible`].
    pub aborted: Vec<AbortedTransaction>,
}

/// How far a log goes, as an answer told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The oldest offset that is there; below zero if the broker does not say.
    pub log_start: i64,
    /// The offset behind the last record that every replica has.
    pub high_watermark: i64,
    /// The offset of the first record whose transaction is still open, or else the high watermark; below zero if
    /// the broker does not say.
    pub last_stable_offset: i64,
}

impl Ends {
    /// The offset behind the last record that may be read.
    pub fn readable(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadCommitted if self.last_stable_offset >= 0 => self.last_stable_offset,
            _ => self.high_watermark,
        }
    }
}

impl Event {
    /// Whose event it is.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::Fetched(it) => &it.partition,
            Self::Jumped { partition, .. }
            | Self::Failed { partition, .. }
            | Self::Stalled { partition, .. } => partition,
        }
    }
}
