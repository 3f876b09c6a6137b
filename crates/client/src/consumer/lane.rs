//! What lies between the fetcher and one partition's stream: bytes that were fetched and not yet taken, and what the
//! reader wishes.
//!
//! The fetcher puts one answer's batches in and asks for more once they are gone; that is the back-pressure.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;
use vltava_core::fetch::{Ends, Visible};
use vltava_wire::record::Batch;

use super::{Jump, Offset};
use crate::error::Error;

/// Both ends share it.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// Wakes the fetcher: there is room, the reader wishes something, or nobody listens any more.
    room: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    ends: Option<Ends>,
    waker: Option<Waker>,
    paused: bool,
    /// Where the reader wants to go on, until the fetcher has heard of it.
    seek: Option<Offset>,
    ended: bool,
}

/// What the fetcher tells the stream, in order.
#[derive(Debug)]
pub(super) enum Item {
    /// Reading goes on here, as was wished.
    Position(i64),
    /// Reading goes on elsewhere than was expected.
    Jumped(Jump),
    /// Which of the next answer's batches are seen, where not all are.
    Visible(Visible),
    /// A batch as it was fetched, with the end of the log at that time.
    Batch { batch: Batch, high_watermark: i64 },
    /// Nothing more can be read.
    Failed(Error),
}

/// What the fetcher sees of a lane.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) has_ended: bool,
    pub(super) is_taken: bool,
    pub(super) is_paused: bool,
    pub(super) seek: Option<Offset>,
}

impl Lane {
    pub(super) fn new(room: Arc<Notify>) -> Self {
        Self { state: Mutex::default(), room }
    }

    // For the fetcher

    /// Puts in what one answer brought, `bytes` of it. What comes from a place that the reader has left is dropped.
    pub(super) fn put(&self, items: impl IntoIterator<Item = Item>, bytes: usize) {
        let mut state = self.lock();
        if state.ended || state.seek.is_some() {
            return;
        }
        state.items.extend(items);
        state.bytes += bytes;
        wake(&mut state);
    }

    /// Tells how far the log goes.
    pub(super) fn set_ends(&self, ends: Ends) {
        let mut state = self.lock();
        if state.ends.replace(ends) != Some(ends) {
            wake(&mut state);
        }
    }

    /// What has become of it. What the reader wished is heard once.
    pub(super) fn look(&self) -> Look {
        let mut state = self.lock();
        Look {
            has_ended: state.ended,
            is_taken: state.bytes == 0,
            is_paused: state.paused,
            seek: state.seek.take(),
        }
    }

    // For the stream

    /// How far the log goes, as the latest answer told.
    pub(super) fn ends(&self) -> Option<Ends> {
        self.lock().ends
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Keeps what is there and has nothing more asked for; or goes on.
    pub(super) fn pause(&self, paused: bool) {
        let mut state = self.lock();
        state.paused = paused;
        wake(&mut state);
        drop(state);
        self.room.notify_one();
    }

    /// Leaves the place at hand, and with it what was fetched there, to go on elsewhere.
    pub(super) fn seek(&self, offset: Offset) {
        let mut state = self.lock();
        state.items.clear();
        state.bytes = 0;
        state.seek = Some(offset);
        drop(state);
        self.room.notify_one();
    }

    /// The next item; none once the lane has ended. While it is paused, there is none either.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let mut state = self.lock();
        if state.ended {
            return Poll::Ready(None);
        }
        let item = if state.paused { None } else { state.items.pop_front() };
        let Some(item) = item else {
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

    // For either

    /// Ends the lane; what was not taken is dropped.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.items.clear();
        state.bytes = 0;
        wake(&mut state);
        drop(state);
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(state: &mut State) {
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}
