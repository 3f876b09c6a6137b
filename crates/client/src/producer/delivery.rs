//! What came of a record: one state for a batch, and a place in it for each record.

use std::{
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
    outcome: Option<Result<Written>>,
    waiting: Vec<Waker>,
}

/// What will come of a record: a future of where it came to lie, or of why it did not. The record is on its way
/// whether this is awaited or dropped.
#[derive(Debug)]
#[must_use = "a record that failed says so nowhere else"]
pub struct Delivery {
    ticket: Arc<Ticket>,
    index: u32,
    waits: Option<usize>,
}

impl Ticket {
    pub(super) fn new(topic_partition: TopicPartition) -> Arc<Self> {
        Arc::new(Self { topic_partition, state: Mutex::default() })
    }

    /// Tells all who wait.
    pub(super) fn complete(&self, outcome: Result<Written>) {
        let waiting = {
            let mut state = self.lock();
            state.outcome = Some(outcome);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The outcome; without one, the waker is kept in the place that `waits` names, or in a new one.
    fn poll(&self, cx: &Context<'_>, waits: &mut Option<usize>) -> Poll<Result<Written>> {
        let mut state = self.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        match *waits {
            Some(place) => state.waiting[place].clone_from(cx.waker()),
            None => {
                *waits = Some(state.waiting.len());
                state.waiting.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    pub(super) fn new(ticket: Arc<Ticket>, index: u32) -> Self {
        Self { ticket, index, waits: None }
    }

    /// The partition the record goes to.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.ticket.topic_partition
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { ticket, index, waits } = &mut *self;
        ticket.poll(cx, waits).map_ok(|written| RecordMetadata {
            topic: ticket.topic_partition.topic.clone(),
            partition: ticket.topic_partition.partition,
            offset: written.base_offset.map(|base| base.saturating_add(i64::from(*index))),
            appended: written.log_append_time.map(Timestamp),
        })
    }
}
