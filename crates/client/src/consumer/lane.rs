//! What lies between the fetcher and one partition's stream: bytes that were fetched and not yet taken, and what the
//! reader wishes.
//!
//! The fetcher puts one answer's batches in and asks for more once the reader has begun with them, so that the next
//! answer comes while this one is read; that is the back-pressure.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::sync::Notify;
use vltava_core::{
    fetch::{Ends, Visible},
    planted::{Plant, planted},
};
use vltava_wire::record::Batch;

use super::{Jump, Offset, kept::Answer};
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
    /// Of all items.
    bytes: usize,
    /// How many items lie before those of the last answer; none once the reader has begun with that.
    ahead: Option<usize>,
    /// What the items are parts of, unless they were copied out of it.
    answer: Option<Answer>,
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
    /// How many bytes are left, once the reader has begun with the last answer.
    pub(super) begun: Option<usize>,
    pub(super) is_paused: bool,
    pub(super) seek: Option<Offset>,
}

impl Lane {
    pub(super) fn new(room: Arc<Notify>) -> Self {
        Self { state: Mutex::default(), room }
    }

    // For the fetcher

    /// Puts in what the reader has to know. What is about a place that it has left is dropped.
    pub(super) fn put(&self, items: impl IntoIterator<Item = Item>) {
        let mut state = self.lock();
        if state.is_listened_to() {
            state.items.extend(items);
            wake(&mut state);
        }
    }

    /// Puts in what one answer brought, and the answer if that is kept by them.
    pub(super) fn put_part(&self, items: Vec<Item>, answer: Option<Answer>) {
        let mut state = self.lock();
        if !state.is_listened_to() || (state.paused && planted(Plant::FetchedDropped)) {
            return;
        }
        if !items.is_empty() {
            state.ahead = Some(state.items.len());
        }
        state.bytes += items.iter().map(Item::bytes).sum::<usize>();
        state.items.extend(items);
        state.answer = answer.or(state.answer.take());
        wake(&mut state);
    }

    /// What is not taken yet, in bytes, and the answer that it is part of.
    pub(super) fn part(&self) -> Option<(Answer, usize)> {
        let state = self.lock();
        state.answer.clone().map(|answer| (answer, state.bytes))
    }

    /// Copies what is there out of its answer, if that is one of these.
    pub(super) fn copy_out(&self, of: &[Answer]) {
        let mut state = self.lock();
        if state.answer.take_if(|it| of.iter().any(|wasteful| wasteful.is(it))).is_some() {
            state.items.iter_mut().for_each(Item::copy_out);
        }
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
            begun: state.ahead.is_none().then_some(state.bytes),
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
        if !planted(Plant::SeekKeepsFetched) {
            state.clear();
        }
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
        state.bytes -= item.bytes();
        let is_begun = state.ahead == Some(0);
        state.ahead = state.ahead.and_then(|it| it.checked_sub(1));
        if state.items.is_empty() {
            state.clear();
        }
        drop(state);
        if is_begun {
            self.room.notify_one();
        }
        Poll::Ready(Some(item))
    }

    // For either

    /// Ends the lane; what was not taken is dropped.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.clear();
        wake(&mut state);
        drop(state);
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether what comes is of the place where the reader is.
    fn is_listened_to(&self) -> bool {
        !self.ended && self.seek.is_none()
    }

    fn clear(&mut self) {
        self.items.clear();
        (self.bytes, self.ahead, self.answer) = (0, None, None);
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Batch { batch, .. } => batch.bytes().len(),
            _ => 0,
        }
    }

    fn copy_out(&mut self) {
        if let Self::Batch { batch, .. } = self {
            let own = Bytes::copy_from_slice(batch.bytes());
            *batch = Batch::parse(own).expect("it was parsed before");
        }
    }
}

fn wake(state: &mut State) {
    if let Some(waker) = state.waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt;
    use vltava_wire::{
        Compression,
        record::{BatchBuilder, RecordSlices, Stamp, batches},
    };

    use super::*;
    use crate::consumer::kept::Kept;

    /// An answer with one batch for each of four partitions.
    fn answer() -> (Bytes, usize) {
        let mut builder = BatchBuilder::new();
        builder.append(RecordSlices::new(1, None, Some(&[7; 1_000]))).expect("it fits");
        let one = builder.finish(Stamp::NONE, Compression::None).expect("it has a record");
        (Bytes::from(one.repeat(4)), one.len())
    }

    #[tokio::test]
    async fn more_is_asked_for_once_the_reader_has_begun_with_the_last_answer() {
        let (bytes, one) = answer();
        let lane = Lane::new(Arc::new(Notify::new()));
        let part = |count: usize| {
            let all = batches(bytes.slice(..count * one)).map(|it| it.expect("it is sound"));
            all.map(|batch| Item::Batch { batch, high_watermark: 9 }).collect()
        };
        let look = || (lane.look().begun, lane.room.notified().now_or_never().is_some());
        let take = async || drop(poll_fn(|cx| lane.poll_take(cx)).await);
        assert_eq!(look(), (Some(0), false));
        lane.put_part(part(2), None);
        assert_eq!(look(), (None, false), "it waits");
        take().await;
        assert_eq!(look(), (Some(one), true), "begun, and told so");
        lane.put_part(part(3), None);
        take().await;
        assert_eq!(look(), (None, false), "that was the rest of the first");
        take().await;
        assert_eq!(look(), (Some(2 * one), true));
        lane.put_part(Vec::new(), None);
        assert_eq!(look(), (Some(2 * one), false), "nothing came");
    }

    #[tokio::test]
    async fn what_is_left_of_an_answer_is_copied_when_answers_take_too_much() {
        let (bytes, part) = answer();
        let mut kept = Kept::new(6 * part);
        let room = Arc::new(Notify::new());
        let lanes: Vec<_> = (0..4).map(|_| Lane::new(room.clone())).collect();
        let mut fill = |lanes: &[Lane]| {
            let answer = kept.begin(bytes.len());
            for (lane, batch) in lanes.iter().zip(batches(bytes.clone())) {
                let batch = batch.expect("it is sound");
                let items = [Item::Batch { batch, high_watermark: 9 }];
                lane.put_part(items.into(), Some(answer.clone()));
            }
            (kept.is_too_much(), answer)
        };
        let taken = async |lane: &Lane| match poll_fn(|cx| lane.poll_take(cx)).await {
            Some(Item::Batch { batch, .. }) => batch.bytes().clone(),
            other => panic!("{other:?} is no batch"),
        };
        let lies_in = |batch: &Bytes| bytes.as_ptr_range().contains(&batch.as_ptr());

        assert!(!fill(&lanes).0, "one answer fits");
        for lane in &lanes[1..] {
            assert!(lies_in(&taken(lane).await), "what is read in time is not copied");
        }
        let (too_much, latest) = fill(&lanes[1..]);
        assert!(too_much, "one part of the first is left, and so all of it");
        let wasteful = kept.wasteful(lanes.iter().filter_map(Lane::part));
        lanes.iter().for_each(|lane| lane.copy_out(&wasteful));
        let copied = taken(&lanes[0]).await;
        assert!(!lies_in(&copied) && copied == bytes[..part]);
        assert!(lies_in(&taken(&lanes[1]).await), "the latest answer is not copied");
        drop((latest, wasteful));
        assert!(!kept.is_too_much(), "nothing of the first answer is left");
    }
}
