//! Reading partitions that the user names, without a group.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use vltava_core::{Moment, TopicPartition};

use super::{
    AssignmentId, ConsumerRecord, Notices, Offset, PartitionStream, RecordBatch, RecordStream, Within,
    fetcher::{Assignment, Fetcher},
    notice::Teller,
    streams::Streams,
    within,
};
use crate::{Client, config, error::Result, task::Task};

/// A consumer of partitions that were named outright. It belongs to no group and commits nothing; fetching stops
/// when it is dropped.
#[derive(Debug)]
pub struct AssignedConsumer {
    streams: Streams,
    positions: BTreeMap<TopicPartition, i64>,
    ends: Option<BTreeMap<TopicPartition, i64>>,
    client: Client,
    teller: Teller,
    _driver: Task,
}

impl AssignedConsumer {
    pub(super) fn new(
        client: &Client,
        config: config::Consumer,
        partitions: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Self {
        let mut fetcher = Fetcher::new(client, config);
        let partitions: BTreeMap<_, _> = partitions.into_iter().collect();
        let assignment = |(topic_partition, start)| Assignment {
            topic_partition,
            start,
            leader_epoch: -1,
            committed: None,
        };
        let mut streams = Streams::default();
        streams.extend(fetcher.assign(AssignmentId(0), partitions.into_iter().map(assignment)));
        let teller = fetcher.teller().clone();
        let driver = Task::spawn(async move {
            loop {
                fetcher.drive().await;
            }
        });
        let client = client.clone();
        Self { streams, positions: BTreeMap::new(), ends: None, client, teller, _driver: driver }
    }

    /// Makes [`next`](Self::next) end once every partition has been read up to its offset here. Partitions that are
    /// not named are not read any further.
    pub fn stop_at(&mut self, ends: impl IntoIterator<Item = (TopicPartition, i64)>) {
        self.ends = Some(ends.into_iter().collect());
    }

    /// The next batch of any partition, each having its turn, or what [`recv`](Self::recv) has left of one; none once
    /// all have been read up to where they are to stop. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The next record; otherwise as [`next`](Self::next). Cancel-safe.
    pub async fn recv(&mut self) -> Result<Option<ConsumerRecord>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next batch if one comes within a time. Cancel-safe.
    pub async fn next_within(&mut self, time: Duration) -> Result<Within<RecordBatch>> {
        let (client, deadline) = self.until(time);
        within::by(&**client.clock(), deadline, self.next()).await
    }

    /// The next record if one comes within a time. Cancel-safe.
    pub async fn recv_within(&mut self, time: Duration) -> Result<Within<ConsumerRecord>> {
        let (client, deadline) = self.until(time);
        within::by(&**client.clock(), deadline, self.recv()).await
    }

    /// Waits for a record no longer than a time, and takes what is there of others without waiting, `max` in all.
    /// What came has one record at least. Cancel-safe.
    pub async fn recv_many(&mut self, max: usize, time: Duration) -> Result<Within<Vec<ConsumerRecord>>> {
        let (client, deadline) = self.until(time);
        let many = poll_fn(|cx| self.poll_until_ends(|streams| streams.poll_recv_many(cx, max)));
        within::by(&**client.clock(), deadline, many).await
    }

    /// The records as a [`Stream`](futures_core::Stream); the consumer itself is one of batches.
    pub fn records(&mut self) -> RecordStream<'_, Self> {
        RecordStream(self)
    }

    /// Tells from now on which positions jumped, which ends were reached, what stands still.
    pub fn notices(&self) -> Notices {
        self.teller.notices()
    }

    /// The partitions that are read: where each stands and how far it lags.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &PartitionStream> {
        self.streams.iter()
    }

    /// A partition that is read, to pause it, to go on elsewhere, or to read it alone.
    pub fn partition(&mut self, partition: &TopicPartition) -> Option<&mut PartitionStream> {
        self.streams.find(partition)
    }

    /// The offset after everything that was handed out or skipped, for every partition of which it is known.
    pub fn positions(&self) -> BTreeMap<TopicPartition, i64> {
        let current = self.streams.iter();
        let current = current.filter_map(|it| Some((it.topic_partition().clone(), it.position()?)));
        self.positions.clone().into_iter().chain(current).collect()
    }

    fn until(&self, time: Duration) -> (Client, Moment) {
        (self.client.clone(), self.client.clock().now() + time)
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        self.poll_until_ends(|streams| streams.poll_next(cx))
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ConsumerRecord>>> {
        self.poll_until_ends(|streams| streams.poll_recv(cx))
    }

    fn poll_until_ends<T>(
        &mut self,
        poll: impl FnOnce(&mut Streams) -> Poll<Result<T>>,
    ) -> Poll<Result<Option<T>>> {
        self.retire();
        match poll(&mut self.streams) {
            Poll::Ready(it) => Poll::Ready(it.map(Some)),
            Poll::Pending => {
                self.retire();
                if self.ends.is_some() && self.streams.is_empty() {
                    Poll::Ready(Ok(None))
                } else {
                    Poll::Pending
                }
            }
        }
    }

    /// Lets go of the partitions that have been read far enough.
    fn retire(&mut self) {
        let Some(ends) = &self.ends else { return };
        self.positions.extend(self.streams.retire(|stream| {
            let end = ends.get(stream.topic_partition()).copied().unwrap_or(0);
            stream.position().is_some_and(|position| position >= end)
        }));
    }
}
