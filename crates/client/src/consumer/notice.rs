//! What a consumer tells of besides records: positions that jumped, ends that were reached, partitions that stand
//! still, commits that nobody waits for, users that do not get on.

use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use vltava_core::{TopicPartition, fetch::Cause};

pub use vltava_core::fetch::Stall;

use super::Commit;
use crate::error::ErrorKind;

/// So many are kept for a reader that is busy elsewhere; then the oldest go.
const KEPT_MAX: usize = 128;

/// What a consumer tells of besides records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A position moved other than by reading on. It is told when the reader passes there: batches that were handed
    /// out before are from before the jump, those after are from behind it.
    Jumped(Jump),
    /// All that could be read of a partition was handed out, for the time being. Told only if asked for, by
    /// [`ConsumerBuilder::end_notices`](super::ConsumerBuilder::end_notices).
    EndReached {
        /// Of which partition.
        topic_partition: TopicPartition,
        /// Where the next record will be.
        offset: i64,
    },
    /// A partition does not get on, though there is more of it. Metadata, session and connection are made anew, and
    /// reading goes on by itself if that helps; if not, it is told again.
    Stalled {
        /// Which partition.
        topic_partition: TopicPartition,
        /// For how long.
        since: Duration,
        /// What it waits for.
        stall: Stall,
    },
    /// What nobody waits for was committed: by itself, or by
    /// [`commit_async`](super::Consumer::commit_async).
    Committed {
        /// What was committed.
        commits: Vec<Commit>,
    },
    /// What nobody waits for was not committed, or perhaps not. What is finished is committed with the next one.
    CommitFailed {
        /// What was to be committed.
        commits: Vec<Commit>,
        /// Why it was not.
        error: ErrorKind,
    },
    /// A record has been in the user's hands for half of the time that it may be.
    Slow {
        /// Its partition.
        topic_partition: TopicPartition,
        /// The offset below which everything is finished.
        offset: i64,
        /// For how long.
        age: Duration,
    },
    /// A record has been in the user's hands for longer than
    /// [`unfinished_max`](super::ConsumerBuilder::unfinished_max): the member's partitions go to others until the
    /// user asks for more.
    Stuck {
        /// Its partition.
        topic_partition: TopicPartition,
        /// The offset below which everything is finished.
        offset: i64,
        /// For how long.
        age: Duration,
    },
}

/// A position that moved other than by reading on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Whose.
    pub topic_partition: TopicPartition,
    /// Where it stood; none if it stood nowhere yet.
    pub from: Option<i64>,
    /// Where it stands. The same as before if only what was read already has changed.
    pub to: i64,
    /// Why.
    pub cause: JumpCause,
}

/// Why a position moved other than by reading on. Nothing that passes is among it: while brokers cannot be reached or
/// refuse for a while, positions stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JumpCause {
    /// The log does not have the offset, or not any more; reading goes on where the consumer's start says.
    OutOfRange,
    /// The end of the log was lost after it was read: a leader was elected that did not have it. Reading goes on at
    /// the first offset that is another's.
    Truncated,
    /// The topic was deleted and made anew; reading goes on at its beginning.
    Recreated,
}

impl JumpCause {
    /// Why a position that already stood somewhere moved; none if it was only found where to start.
    pub(super) fn of(cause: Cause) -> Option<Self> {
        match cause {
            Cause::Started => None,
            Cause::OutOfRange => Some(Self::OutOfRange),
            Cause::Truncated => Some(Self::Truncated),
            Cause::Recreated => Some(Self::Recreated),
        }
    }
}

/// The notices of one consumer, from when this was asked for. Nobody has to read them.
#[derive(Debug)]
pub struct Notices {
    told: broadcast::Receiver<Notice>,
    missed: u64,
}

impl Notices {
    /// The next notice; none once the consumer is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            match self.told.recv().await {
                Ok(notice) => return Some(notice),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many were dropped because they were not read in time.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

/// Where notices are told.
#[derive(Debug, Clone)]
pub(crate) struct Teller(broadcast::Sender<Notice>);

impl Teller {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(KEPT_MAX))
    }

    /// Tells whoever listens, if anybody does.
    pub(super) fn tell(&self, notice: Notice) {
        let _ = self.0.send(notice);
    }

    pub(super) fn notices(&self) -> Notices {
        Notices { told: self.0.subscribe(), missed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(offset: i64) -> Notice {
        Notice::EndReached { topic_partition: TopicPartition::new("orders", 0), offset }
    }

    #[tokio::test]
    async fn who_does_not_read_misses_the_oldest_and_is_told_so() {
        let teller = Teller::new();
        teller.tell(end(-1));
        let mut notices = teller.notices();
        (0..KEPT_MAX as i64 + 3).for_each(|offset| teller.tell(end(offset)));
        drop(teller);
        assert_eq!(notices.next().await, Some(end(3)));
        assert_eq!(notices.missed(), 3);
        for _ in 1..KEPT_MAX {
            notices.next().await.expect("they were kept");
        }
        assert_eq!(notices.next().await, None);
    }
}
