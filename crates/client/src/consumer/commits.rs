//! Committing by hand, for one who reads by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use vltava_core::TopicPartition;

use super::{Commit, Committer, Consumer, ConsumerRecord, RecordBatch, group};
use crate::{
    CommittedOffset,
    error::{Error, ErrorKind, Result},
    net::Pool,
};

impl Consumer {
    /// Commits that this batch is done, and with it all that came before it in its partition.
    pub async fn commit(&self, batch: &RecordBatch) -> Result<()> {
        self.committer.commit(vec![batch.into()]).await
    }

    /// Commits that this record is done, and with it all that came before it in its partition.
    pub async fn commit_record(&self, record: &ConsumerRecord) -> Result<()> {
        self.committer.commit(vec![record.into()]).await
    }

    /// Commits offsets to resume from, with what is to be kept beside them. Refused with [`ErrorKind::Retired`] if a
    /// partition among them is not assigned; nothing is committed then. Without a membership, offsets are committed
    /// through [`Admin`](crate::Admin).
    pub async fn commit_offsets(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, CommittedOffset)>,
    ) -> Result<()> {
        let commit = |(topic_partition, it): (TopicPartition, CommittedOffset)| {
            let assignment = self.committer.progress().assignment(&topic_partition)?;
            let CommittedOffset { offset, leader_epoch, metadata, .. } = it;
            Ok(Commit { topic_partition, assignment, offset, leader_epoch, metadata })
        };
        let commits: Vec<_> = offsets.into_iter().map(commit).collect::<Result<_>>()?;
        self.committer.commit(commits).await
    }

    /// Commits all that was handed out so far, the last batch or record included: the caller says that it is done.
    /// With [`auto_store`](super::ConsumerBuilder::auto_store) off, only what was stored.
    pub async fn commit_all(&mut self) -> Result<()> {
        self.streams.ask();
        self.committer.commit_stored().await
    }

    /// Commits that a batch or record is done without waiting for it; what others commit meanwhile goes along, and a
    /// later one of the same partition in its place. What came of it is told by [`Notices`](super::Notices).
    pub fn commit_async(&self, done: impl Into<Commit>) -> Result<()> {
        self.committer.commit_async(done)
    }

    /// Takes note that a batch or record is done, to be committed by [`commit_all`](Self::commit_all), or by itself
    /// where commits are automatic.
    pub fn store_offset(&self, done: impl Into<Commit>) -> Result<()> {
        self.committer.store(done)
    }

    /// What others commit with, whoever works on records in tasks of their own.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }

    /// What the group has committed for these partitions, whether they are assigned or not; nothing for one of which
    /// it has committed nothing. Offsets of transactions that are open are waited for.
    pub async fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let (client, group) = (&self.membership.client, self.membership.group.clone());
        let partitions: BTreeSet<_> = partitions.into_iter().collect();
        let deadline = client.context.now() + client.context.connection.call_timeout;
        let pool = Arc::new(Pool::new(client.context.clone()));
        let asking = group::Asking::anybody(client.cluster.clone(), pool, group);
        let found = tokio::select! {
            biased;
            found = asking.committed(partitions) => found?,
            () = client.context.clock.sleep_until(deadline) => {
                let what = format!("the offsets of group {} were not told in time", self.membership.group);
                return Err(Error::new(ErrorKind::TimedOut).what(what));
            }
        };
        let offset = |it: group::Committed| CommittedOffset {
            offset: it.offset,
            leader_epoch: it.leader_epoch,
            metadata: it.metadata,
        };
        Ok(found.into_iter().map(|(partition, it)| (partition, offset(it))).collect())
    }
}
