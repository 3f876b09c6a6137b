//! Setting up a consumer.

use std::time::Duration;

use vltava_core::{TopicPartition, fetch::Isolation};

use super::{AssignedConsumer, Offset};
use crate::{
    Client, StartOffset, config,
    error::{Error, ErrorKind, Result},
};

/// Sets up a consumer.
#[derive(Debug, Clone)]
#[must_use]
pub struct ConsumerBuilder {
    pub(crate) client: Client,
    pub(crate) config: config::Consumer,
    pub(super) group: Option<String>,
}

impl Client {
    /// Sets up a consumer.
    pub fn consumer(&self) -> ConsumerBuilder {
        ConsumerBuilder { client: self.clone(), config: config::Consumer::default(), group: None }
    }
}

impl ConsumerBuilder {
    /// The group to be a member of.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// All settings at once.
    pub fn config(mut self, config: config::Consumer) -> Self {
        self.config = config;
        self
    }

    /// Where a partition starts that has no committed offset, or one that the log no longer has.
    pub fn start(mut self, start: StartOffset) -> Self {
        self.config.start = start;
        self
    }

    /// A member that is not heard of for this long is taken for dead.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.config.session_timeout = timeout;
        self
    }

    /// How often a member says that it lives.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// How long members have to give up partitions and join again.
    pub fn rebalance_timeout(mut self, timeout: Duration) -> Self {
        self.config.rebalance_timeout = timeout;
        self
    }

    /// How long a broker may hold a fetch back while there is nothing new.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.config.max_wait = wait;
        self
    }

    /// A broker answers a fetch as soon as it has this much.
    pub fn min_bytes(mut self, bytes: usize) -> Self {
        self.config.min_bytes = bytes;
        self
    }

    /// A broker answers a fetch with no more than this.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.config.max_bytes = bytes;
        self
    }

    /// Of one partition a broker sends no more than this at a time.
    pub fn partition_max_bytes(mut self, bytes: usize) -> Self {
        self.config.partition_max_bytes = bytes;
        self
    }

    /// Fetched, or being fetched, and not yet taken: beyond this, every partition may still hold one batch.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.config.prefetch_bytes = bytes;
        self
    }

    /// Whose records are read: all, or those of transactions that were committed.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.config.isolation = isolation;
        self
    }

    /// Where the reader stands, in the words of the brokers' `broker.rack`: a replica there is read from (KIP-392).
    pub fn rack(mut self, rack: impl Into<String>) -> Self {
        self.config.rack = rack.into();
        self
    }

    /// Has it told when all of a partition has been handed out, as [`Notice::EndReached`](super::Notice).
    pub fn end_notices(mut self, wanted: bool) -> Self {
        self.config.end_notices = wanted;
        self
    }

    /// A partition that does not get on for so long, though there is more of it, is told of, and asked for anew.
    pub fn stall_after(mut self, time: Duration) -> Self {
        self.config.stall_after = time;
        self
    }

    /// Reads these partitions, without a group. Nothing is committed.
    pub async fn assign(
        self,
        partitions: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Result<AssignedConsumer> {
        if self.group.is_some() {
            return Err(Error::new(ErrorKind::Config)
                .what("a member of a group cannot choose its partitions")
                .fix("leave the group out, or subscribe to the topics"));
        }
        Ok(AssignedConsumer::new(&self.client, self.config, partitions))
    }
}
