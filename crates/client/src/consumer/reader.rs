//! Consuming by hand: batch after batch, whatever partition it is of.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use super::{Commit, Committer, Event, Events, RecordBatch, streams::Streams};
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

    /// The next batch of any partition; none once the member has left its group. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>>> {
        while let Poll::Ready(event) = self.events.poll_next(cx)? {
            match event {
                Some(Event::Assigned(streams)) => self.streams.extend(streams),
                // Nothing of them is at work here: dropping the event gives them back.
                Some(Event::Revoked(_) | Event::Lost(_)) => (),
                None => return Poll::Ready(Ok(None)),
            }
        }
        self.streams.poll_next(cx).map_ok(Some)
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
