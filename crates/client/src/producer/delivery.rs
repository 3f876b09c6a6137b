//! What came of a record: one state for a batch, and a place in it for each record.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use vltava_core::{Timestamp, TopicPartition, produce::Written};

use super::RecordMetadata;
use crate::error::Result;

/// What came of the records of one batch.
pub(super) struct Ticket {
    topic_partition: TopicPartition,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Nearly always it is one.
    parts: Vec<Part>,
    /// Who waits for which record.
    waiting: BTreeMap<u32, Waiter>,
}

enum Waiter {
    Task(Waker),
    Call(Box<Told>),
}

type Told = dyn FnOnce(Result<RecordMetadata>) + Send;

/// Records of the batch that fared alike.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) first: u32,
    pub(super) count: u32,
    pub(super) outcome: Result<Written>,
}

/// What will come of a record: a future of where it came to lie, or of why it did not. The record is on its way
/// whether this is awaited or dropped.
#[derive(Debug)]
#[must_use = "a record that failed says so nowhere else"]
pub struct Delivery {
    pub(super) ticket: Arc<Ticket>,
    pub(super) index: u32,
}

impl Ticket {
    pub(super) fn new(topic_partition: TopicPartition) -> Arc<Self> {
        Arc::new(Self { topic_partition, state: Mutex::default() })
    }

    /// Tells all who wait for one of `count` records, from the one in place `first` on.
    pub(super) fn complete(&self, first: u32, count: u32, outcome: Result<Written>) {
        let part = Part { first, count, outcome };
        let waiting = {
            let mut state = self.lock();
            state.parts.push(part.clone());
            let mut later = state.waiting.split_off(&first);
            let mut beyond = later.split_off(&first.saturating_add(count));
            state.waiting.append(&mut beyond);
            later
        };
        for (index, waiter) in waiting {
            match waiter {
                Waiter::Task(waker) => waker.wake(),
                Waiter::Call(told) => told(part.fate(index, &self.topic_partition)),
            }
        }
    }

    /// Has a function told what becomes of a record, at once if that is known.
    fn tell(&self, index: u32, told: Box<Told>) {
        let fate = {
            let mut state = self.lock();
            let Some(part) = state.parts.iter().find(|it| it.has(index)) else {
                state.waiting.insert(index, Waiter::Call(told));
                return;
            };
            part.fate(index, &self.topic_partition)
        };
        told(fate);
    }

    /// What became of a record and of those that fared as it did, if that is known; else it is told to the waker.
    pub(super) fn poll_part(&self, index: u32, cx: &Context<'_>) -> Poll<Part> {
        let mut state = self.lock();
        if let Some(part) = state.parts.iter().find(|it| it.has(index)) {
            return Poll::Ready(part.clone());
        }
        state.waiting.insert(index, Waiter::Task(cx.waker().clone()));
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("topic_partition", &self.topic_partition).finish_non_exhaustive()
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

    /// Calls a function with what came of the record, instead of waiting for it. It is called where batches are
    /// sent, so it has to be quick; at once, if the record is done.
    pub fn then(self, told: impl FnOnce(Result<RecordMetadata>) + Send + 'static) {
        self.ticket.tell(self.index, Box::new(told));
    }

    /// The partition the record goes to.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.ticket.topic_partition
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.ticket.poll_part(self.index, cx).map(|part| part.fate(self.index, &self.ticket.topic_partition))
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
        let (tell, heard) = std::sync::mpsc::channel();
        Delivery::new(ticket, 3).then(move |it| tell.send(it.is_ok()).expect("somebody listens"));
        assert_eq!(heard.try_recv(), Ok(true), "who asks late is told at once");
        assert_eq!(told, [Ok(Some(50)), Err(ErrorKind::TooLarge), Ok(Some(70)), Ok(Some(71))]);
    }
}
