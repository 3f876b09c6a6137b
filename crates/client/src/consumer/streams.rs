//! Several partitions read as one: each has its turn.

use std::task::{Context, Poll};

use vltava_core::TopicPartition;

use super::{ConsumerRecord, PartitionStream, RecordBatch};
use crate::error::Result;

/// Partition streams that are polled in turn, so that a busy one does not starve the others.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: Vec<PartitionStream>,
    turn: usize,
    /// Of which the latest was handed out.
    last: usize,
    /// Whether something may have been handed out of others too since more was asked for.
    has_many: bool,
}

impl Streams {
    /// Adds streams. Those whose assignment has ended leave by themselves.
    pub(crate) fn extend(&mut self, streams: impl IntoIterator<Item = PartitionStream>) {
        self.streams.extend(streams);
    }

    pub(crate) fn into_inner(self) -> Vec<PartitionStream> {
        self.streams
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &PartitionStream> {
        self.streams.iter()
    }

    /// The stream of a partition.
    pub(crate) fn find(&mut self, partition: &TopicPartition) -> Option<&mut PartitionStream> {
        self.has_many = true;
        self.streams.iter_mut().find(|stream| stream.topic_partition() == partition)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Lets go of the streams that are done, and tells where each stood.
    pub(crate) fn retire(&mut self, done: impl Fn(&PartitionStream) -> bool) -> Vec<(TopicPartition, i64)> {
        let retired = self.streams.extract_if(.., |stream| done(stream));
        retired.filter_map(|stream| Some((stream.topic_partition().clone(), stream.position()?))).collect()
    }

    /// What was handed out is finished, as more is asked for; unless that has to be said.
    pub(crate) fn ask(&mut self) {
        if std::mem::take(&mut self.has_many) {
            return self.streams.iter().for_each(PartitionStream::ask);
        }
        if let Some(stream) = self.streams.get(self.last) {
            stream.ask();
        }
    }

    /// The next batch of any partition. Pending also while there are no partitions.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<RecordBatch>> {
        self.poll_turns(|stream| (stream.poll_batch(cx), true))
    }

    /// The next record of any partition, whose turn lasts for a batch.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<ConsumerRecord>> {
        self.poll_turns(|stream| (stream.poll_record(cx), stream.is_between_batches()))
    }

    /// Records that are there, `max` at most; pending while there are none. An error comes alone, after those before.
    pub(crate) fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Vec<ConsumerRecord>>> {
        let mut records = Vec::new();
        self.has_many = true;
        while records.len() < max.max(1) {
            match self.poll_recv(cx) {
                Poll::Ready(Ok(record)) => records.push(record),
                Poll::Ready(Err(error)) if records.is_empty() => return Poll::Ready(Err(error)),
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        if records.is_empty() { Poll::Pending } else { Poll::Ready(Ok(records)) }
    }

    /// Polls each once, until one has something. Its turn is over if it says so.
    fn poll_turns<T>(
        &mut self,
        mut poll: impl FnMut(&mut PartitionStream) -> (Poll<Option<Result<T>>>, bool),
    ) -> Poll<Result<T>> {
        let mut polled = 0;
        while polled < self.streams.len() {
            self.turn = if self.turn < self.streams.len() { self.turn } else { 0 };
            match poll(&mut self.streams[self.turn]) {
                (Poll::Ready(Some(it)), is_over) => {
                    self.last = self.turn;
                    self.turn += usize::from(is_over);
                    return Poll::Ready(it);
                }
                (Poll::Ready(None), _) => drop(self.streams.remove(self.turn)),
                (Poll::Pending, _) => {
                    self.turn += 1;
                    polled += 1;
                }
            }
        }
        Poll::Pending
    }
}
