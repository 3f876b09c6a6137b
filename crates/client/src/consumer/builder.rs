//! Setting up a consumer.

use std::{sync::Arc, time::Duration};

use vltava_core::{TopicPartition, fetch::Isolation, group::assign::Assignor};

use super::{
    AssignedConsumer, Offset,
    hooks::{Assigned, Hooks, Revoked, hook},
};
use crate::{
    Client, GroupProtocol, StartOffset, config,
    error::{Error, ErrorKind, Result},
};

/// Sets up a consumer.
#[derive(Debug, Clone)]
#[must_use]
pub struct ConsumerBuilder {
    pub(crate) client: Client,
    pub(crate) config: config::Consumer,
    pub(super) group: Option<String>,
    pub(super) hooks: Hooks,
}

impl Client {
    /// Sets up a consumer.
    pub fn consumer(&self) -> ConsumerBuilder {
        let (config, hooks) = (config::Consumer::default(), Hooks::default());
        ConsumerBuilder { client: self.clone(), config, group: None, hooks }
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

    /// Which of Kafka's two protocols for groups is spoken.
    pub fn group_protocol(mut self, protocol: GroupProtocol) -> Self {
        self.config.group_protocol = protocol;
        self
    }

    /// A name that the member keeps over restarts: it comes back to its partitions. It stays in the group when it is
    /// shut down or dropped, until its session ends, unless [`leave_group`](Self::leave_group) says otherwise. Two
    /// members of the same name are one too many: the earlier one fails.
    pub fn instance_id(mut self, instance_id: impl Into<String>) -> Self {
        self.config.instance_id = Some(instance_id.into());
        self
    }

    /// Whether it leaves the group when it is shut down or dropped; by default, if it has no
    /// [`instance_id`](Self::instance_id).
    pub fn leave_group(mut self, leave: bool) -> Self {
        self.config.leave_group = Some(leave);
        self
    }

    /// How it offers to share partitions out in the classic protocol, the way it likes best first. Own ones are known
    /// to the group by their names.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use vltava_client::{Client, ConsumerBuilder};
    /// use vltava_client::assign::{Assignor, CooperativeSticky, Range};
    ///
    /// # fn set_up(client: &Client) -> ConsumerBuilder {
    /// // From eager to cooperative while the group runs: offer both, and Range no more once all members do.
    /// let both: [Arc<dyn Assignor>; 2] = [Arc::new(CooperativeSticky), Arc::new(Range)];
    /// client.consumer().group("audit").assignors(both)
    /// # }
    /// ```
    pub fn assignors(mut self, assignors: impl IntoIterator<Item = Arc<dyn Assignor>>) -> Self {
        self.config.assignors = assignors.into_iter().collect();
        self
    }

    /// Sets what Kafka's other clients know by this name, as `enable.auto.commit`; see
    /// [`config::Consumer::PROPERTIES`].
    pub fn property(mut self, name: &str, value: &str) -> Result<Self> {
        self.config.set(name, value)?;
        Ok(self)
    }

    /// How the coordinator shares partitions out where it does so: `uniform`, `range`, or what else brokers offer.
    pub fn server_assignor(mut self, name: impl Into<String>) -> Self {
        self.config.server_assignor = Some(name.into());
        self
    }

    /// Subscribes to topics that are not there yet too, and reads them once they are.
    pub fn await_topics(mut self, wanted: bool) -> Self {
        self.config.await_topics = wanted;
        self
    }

    /// Commits what is finished by itself: now and then, before partitions are given back, and at the end.
    pub fn auto_commit(mut self, wanted: bool) -> Self {
        self.config.auto_commit = wanted;
        self
    }

    /// How often what is finished is committed, where that is done by itself.
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.config.auto_commit_interval = interval;
        self
    }

    /// Whether a record counts as finished once the next one is asked for. Otherwise only what is stored or
    /// committed explicitly does.
    pub fn auto_store(mut self, wanted: bool) -> Self {
        self.config.auto_store = wanted;
        self
    }

    /// A member whose oldest unfinished record was handed out longer ago than this gives its partitions to others,
    /// and joins again when its user comes back.
    pub fn unfinished_max(mut self, time: Duration) -> Self {
        self.config.unfinished_max = time;
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

    /// What is to be done when partitions have come, before anything of them is handed out. Like all hooks, it is
    /// called by [`Consumer::next`](super::Consumer::next) and its like, between two records, and nothing is handed
    /// out before it has ended. It has as long as a record may be unfinished; then it is dropped, and `next` fails.
    ///
    /// ```no_run
    /// # use vltava_client::{Assigned, Client, Offset, Result};
    /// # async fn replay(client: &Client) -> Result<()> {
    /// let replay = async |mut assigned: Assigned| {
    ///     for stream in assigned.streams() {
    ///         stream.seek(Offset::Earliest);
    ///     }
    /// };
    /// let mut consumer =
    ///     client.consumer().group("audit").on_assigned(replay).subscribe(["orders"]).await?;
    /// # let _ = consumer.recv().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_assigned<F: Future<Output = ()> + Send + 'static>(
        mut self,
        call: impl Fn(Assigned) -> F + Send + Sync + 'static,
    ) -> Self {
        self.hooks.assigned = hook(call);
        self
    }

    /// What is to be done before partitions are given back, which waits for it until a deadline; then it is dropped.
    /// Nothing more of these partitions is handed out, but their offsets can still be committed.
    pub fn on_revoked<F: Future<Output = ()> + Send + 'static>(
        mut self,
        call: impl Fn(Revoked) -> F + Send + Sync + 'static,
    ) -> Self {
        self.hooks.revoked = hook(call);
        self
    }

    /// What is to be done when partitions were lost: they may be another's already, and cannot be committed.
    pub fn on_lost<F: Future<Output = ()> + Send + 'static>(
        mut self,
        call: impl Fn(Vec<TopicPartition>) -> F + Send + Sync + 'static,
    ) -> Self {
        self.hooks.lost = hook(call);
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
                .fix("leave the group out, and commit through admin(); or subscribe to the topics"));
        }
        Ok(AssignedConsumer::new(&self.client, self.config, partitions))
    }
}
