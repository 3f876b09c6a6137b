//! Several partitions read as one: each has its turn.

use std::task::{Context, Poll};

use vltava_core::TopicPartition;

use super::{PartitionStream, RecordBatch};
use crate::error::Result;

/// Partition streams that are polled in turn, so that a busy one does not starve the others.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: Vec<PartitionStream>,
    turn: usize,
}

impl Streams {
    /// Adds streams. Those whose assignment has ended leave by themselves.
    pub(crate) fn extend(&mut self, streams: impl IntoIterator<Item = PartitionStream>) {
        self.streams.extend(streams);
    }

    pub(crate) fn into_inner(self) -> Vec<PartitionStream> {
        self.streams
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PartitionStream> {
        self.streams.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Lets go of the streams that are done, and tells where each stood.
    pub(crate) fn retire(&mut self, done: impl Fn(&PartitionStream) -> bool) -> Vec<(TopicPartition, i64)> {
        let retired = self.streams.extract_if(.., |stream| done(stream));
        retired.filter_map(|stream| Some((stream.topic_partition().clone(), stream.position()?))).collect()
    }

    /// The next batch of any partition. Pending also while there are no partitions.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<RecordBatch>> {
        let mut polled = 0;
        while polled < self.streams.len() {
            self.turn = if self.turn < self.streams.len() { self.turn } else { 0 };
            match self.streams[self.turn].poll_next(cx) {
                Poll::Ready(Some(batch)) => {
                    self.turn += 1;
                    return Poll::Ready(batch);
                }
                Poll::Ready(None) => drop(self.streams.remove(self.turn)),
                Poll::Pending => {
                    self.turn += 1;
                    polled += 1;
                }
            }
        }
        Poll::Pending
    }
}
