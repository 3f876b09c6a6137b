//! What lies between the fetcher and one partition's stream: bytes that were fetched and not yet taken.
//!
//! The fetcher puts one answer's batches in and asks for more once they are gone; that is the back-pressure.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;
use vltava_wire::record::Batch;

use crate::error::Error;

/// Both ends share it.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// Wakes the fetcher: there is room, or nobody listens any more.
    room: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    high_watermark: Option<i64>,
    waker: Option<Waker>,
    ended: bool,
}

/// What the fetcher tells the stream, in order.
#[derive(Debug)]
pub(super) enum Item {
    /// Reading goes on here: the start, or the end of a hole.
    Position(i64),
    /// A batch as it was fetched, with the end of the log at that time.
    Batch { batch: Batch, high_watermark: i64 },
    /// Nothing more can be read.
    Failed(Error),
}

impl Lane {
    pub(super) fn new(room: Arc<Notify>) -> Self {
        Self { state: Mutex::default(), room }
    }

    /// Puts in what one answer brought, `bytes` of it.
    pub(super) fn put(&self, items: impl IntoIterator<Item = Item>, bytes: usize) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        state.items.extend(items);
        state.bytes += bytes;
        wake(&mut state);
    }

    /// Tells the end of what can be read.
    pub(super) fn set_high_watermark(&self, high_watermark: i64) {
        let mut state = self.lock();
        if state.high_watermark.replace(high_watermark) != Some(high_watermark) {
            wake(&mut state);
        }
    }

    pub(super) fn high_watermark(&self) -> Option<i64> {
        self.lock().high_watermark
    }

    /// Bytes put in and not yet all taken.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Ends the lane from either side; what was not taken is dropped.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.items.clear();
        state.bytes = 0;
        wake(&mut state);
        drop(state);
        self.room.notify_one();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// The next item; none once the lane has ended.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let mut state = self.lock();
        if state.ended {
            return Poll::Ready(None);
        }
        let Some(item) = state.items.pop_front() else {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        if state.items.is_empty() {
            state.bytes = 0;
            drop(state);
            self.room.notify_one();
        }
        Poll::Ready(Some(item))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(state: &mut State) {
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}
