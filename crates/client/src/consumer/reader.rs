//! Consuming by hand: batch after batch, whatever partition it is of.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use vltava_core::TopicPartition;

use super::{
    Commit, Committer, ConsumerRecord, Event, Events, Notices, PartitionStream, RecordBatch, RecordStream,
    Revocation, streams::Streams,
};
use crate::error::Result;

/// Reads batches. As a member of a group it gives partitions back by itself, in [`next`](Self::next): what was handed
/// out before should be committed by then. Who works on batches elsewhere uses [`split`](Self::split).
#[derive(Debug)]
pub struct Consumer {
    events: Events,
    committer: Committer,
    streams: Streams,
}

impl Consumer {
    pub(super) fn member(events: Events, committer: Committer) -> Self {
        Self { events, committer, streams: Streams::default() }
    }

    /// The next batch of any partition, or what [`recv`](Self::recv) has left of one; none once the member has left
    /// its group. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next record; otherwise as [`next`](Self::next). Cancel-safe.
    ///
    /// ```no_run
    /// # use vltava_client::{Client, Result};
    /// # async fn audit(client: &Client) -> Result<()> {
    /// let mut consumer = client.consumer().group("audit").subscribe(["orders"]).await?;
    /// while let Some(record) = consumer.recv().await? {
    ///     println!("{} @ {}: {:?}", record.topic_partition(), record.offset(), record.value());
    ///     consumer.commit_record(&record).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv(&mut self) -> Result<Option<ConsumerRecord>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The records as a [`Stream`](futures_core::Stream); the consumer itself is one of batches.
    pub fn records(&mut self) -> RecordStream<'_, Self> {
        RecordStream(self)
    }

    /// Tells from now on which positions jumped, which ends were reached, what stands still.
    pub fn notices(&self) -> Notices {
        self.events.notices()
    }

    /// The partitions that are assigned at the moment: where each stands and how far it lags.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &PartitionStream> {
        self.streams.iter()
    }

    /// A partition that is assigned at the moment, to pause it, to go on elsewhere, or to read it alone.
    pub fn partition(&mut self, partition: &TopicPartition) -> Option<&mut PartitionStream> {
        self.streams.find(partition)
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        match self.poll_events(cx)? {
            true => Poll::Ready(Ok(None)),
            false => self.streams.poll_next(cx).map_ok(Some),
        }
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ConsumerRecord>>> {
        match self.poll_events(cx)? {
            true => Poll::Ready(Ok(None)),
            false => self.streams.poll_recv(cx).map_ok(Some),
        }
    }

    /// Takes what is told; says whether the member has left.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        while let Poll::Ready(event) = self.events.poll_next(cx)? {
            match event {
                Some(Event::Assigned(streams)) => self.streams.extend(streams),
                // What was not handed out is not any more; dropping the event gives the partitions back.
                Some(Event::Revoked(Revocation { partitions, .. }) | Event::Lost(partitions)) => {
                    self.streams.retire(|stream| partitions.contains(stream.topic_partition()));
                }
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Commits that this batch is done, and with it all that came before it in its partition.
    pub async fn commit(&self, batch: &RecordBatch) -> Result<()> {
        let commit = Commit {
            topic_partition: batch.topic_partition().clone(),
            assignment: batch.assignment(),
            offset: batch.next_offset(),
            leader_epoch: batch.leader_epoch(),
            metadata: String::new(),
        };
        self.committer.commit(vec![commit]).await
    }

    /// Commits that this record is done, and with it all that came before it in its partition.
    pub async fn commit_record(&self, record: &ConsumerRecord) -> Result<()> {
        let commit = Commit {
            topic_partition: record.topic_partition().clone(),
            assignment: record.assignment(),
            offset: record.offset() + 1,
            leader_epoch: record.leader_epoch(),
            metadata: String::new(),
        };
        self.committer.commit(vec![commit]).await
    }

    /// Leaves the group, after commits that are under way; gives up waiting after `within`.
    pub async fn shutdown(self, within: Duration) -> Result<()> {
        self.committer.leave(within).await
    }

    /// The two halves, for whoever works on partitions side by side.
    pub fn split(self) -> (Events, Committer) {
        let Self { mut events, committer, streams } = self;
        events.put_back(streams);
        (events, committer)
    }
}
