//! What came of a record: one state for a batch, and a place in it for each record.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use vltava_core::{Timestamp, TopicPartition, produce::Written};

use super::RecordMetadata;
use crate::error::Result;

/// What came of the records of one batch.
#[derive(Debug)]
pub(super) struct Ticket {
    topic_partition: TopicPartition,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nearly always it is one.
    parts: Vec<Part>,
    /// Who waits for which record.
    waiting: BTreeMap<u32, Waker>,
}

/// Records of the batch that fared alike.
#[derive(Debug)]
struct Part {
    first: u32,
    count: u32,
    outcome: Result<Written>,
}

/// What will come of a record: a future of where it came to lie, or of why it did not. The record is on its way
/// whether this is awaited or dropped.
#[derive(Debug)]
#[must_use = "a record that failed says so nowhere else"]
pub struct Delivery {
    ticket: Arc<Ticket>,
    index: u32,
}

impl Ticket {
    pub(super) fn new(topic_partition: TopicPartition) -> Arc<Self> {
        Arc::new(Self { topic_partition, state: Mutex::default() })
    }

    /// Tells all who wait for one of `count` records, from the one in place `first` on.
    pub(super) fn complete(&self, first: u32, count: u32, outcome: Result<Written>) {
        let waiting = {
            let mut state = self.lock();
            state.parts.push(Part { first, count, outcome });
            let mut later = state.waiting.split_off(&first);
            let mut beyond = later.split_off(&first.saturating_add(count));
            state.waiting.append(&mut beyond);
            later
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// What became of a record, if that is known; else it is told to the waker.
    fn poll(&self, index: u32, cx: &Context<'_>) -> Poll<Result<RecordMetadata>> {
        let mut state = self.lock();
        if let Some(part) = state.parts.iter().find(|it| it.has(index)) {
            return Poll::Ready(part.fate(index, &self.topic_partition));
        }
        let waker = state.waiting.entry(index).or_insert_with(|| cx.waker().clone());
        waker.clone_from(cx.waker());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn has(&self, index: u32) -> bool {
        index.checked_sub(self.first).is_some_and(|it| it < self.count)
    }

    fn fate(&self, index: u32, at: &TopicPartition) -> Result<RecordMetadata> {
        let written = self.outcome.as_ref().map_err(Clone::clone)?;
        Ok(RecordMetadata {
            topic: at.topic.clone(),
            partition: at.partition,
            offset: written.base_offset.map(|base| base.saturating_add(i64::from(index - self.first))),
            appended: written.log_append_time.map(Timestamp),
        })
    }
}

impl Delivery {
    pub(super) fn new(ticket: Arc<Ticket>, index: u32) -> Self {
        Self { ticket, index }
    }

    /// The partition the record goes to.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.ticket.topic_partition
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.ticket.poll(self.index, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[tokio::test]
    async fn each_record_is_told_of_its_part_of_a_batch() {
        let ticket = Ticket::new(TopicPartition::new("orders", 3));
        let waiting: Vec<_> =
            (0..4).map(|index| tokio::spawn(Delivery::new(ticket.clone(), index))).collect();
        tokio::task::yield_now().await;
        let written = |base| Ok(Written { base_offset: Some(base), log_append_time: None });
        ticket.complete(2, 2, written(70));
        tokio::task::yield_now().await;
        ticket.complete(1, 1, Err(Error::new(ErrorKind::TooLarge)));
        ticket.complete(0, 1, written(50));
        let mut told = Vec::new();
        for it in waiting {
            told.push(it.await.expect("it is told").map(|it| it.offset).map_err(|it| it.kind()));
        }
        assert_eq!(told, [Ok(Some(50)), Err(ErrorKind::TooLarge), Ok(Some(70)), Ok(Some(71))]);
    }
}
