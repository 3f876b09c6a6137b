//! Handlers at work: nothing is allocated or spawned for a record, a slot's box and waker are used again.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use crate::wakes::Wakes;

/// What a handler left behind by panicking.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Running futures, each with what is known about it.
pub(crate) struct Slots<M, F: Future> {
    slots: Vec<Slot<M, F>>,
    free: Vec<u32>,
    wakes: Wakes,
}

struct Slot<M, F> {
    future: Pin<Box<Option<F>>>,
    meta: Option<M>,
}

/// One that ended.
pub(crate) struct Ended<M, T> {
    pub(crate) meta: M,
    pub(crate) result: Result<T, Panic>,
}

impl<M, F: Future> Slots<M, F> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), wakes: Wakes::default() }
    }

    /// How many are at work.
    pub(crate) fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Starts a future and polls it at once: one that need not wait costs neither a wake nor a turn.
    pub(crate) fn start(&mut self, meta: M, future: F) -> Option<Ended<M, F::Output>> {
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { future: Box::pin(None), meta: None });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[number as usize];
        slot.future.set(Some(future));
        slot.meta = Some(meta);
        self.poll_slot(number)
    }

    /// The next that was woken and has ended. Without one, `context` is woken by the next wake of any; but once
    /// `polls` are used up, the caller has to come back by itself.
    pub(crate) fn poll_ended(
        &mut self,
        polls: &mut usize,
        context: &mut Context<'_>,
    ) -> Option<Ended<M, F::Output>> {
        while *polls > 0 {
            let number = self.wakes.take(context)?;
            *polls -= 1;
            if let Some(ended) = self.poll_slot(number) {
                return Some(ended);
            }
        }
        None
    }

    /// Drops the futures of those that `chosen` says, and gives back what was known about them.
    pub(crate) fn cancel(&mut self, mut chosen: impl FnMut(&M) -> bool) -> Vec<M> {
        let mut cancelled = Vec::new();
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if let Some(meta) = slot.meta.take_if(|meta| chosen(meta)) {
                slot.future.set(None);
                self.free.push(number as u32);
                cancelled.push(meta);
            }
        }
        cancelled
    }

    fn poll_slot(&mut self, number: u32) -> Option<Ended<M, F::Output>> {
        let Slot { future, meta } = &mut self.slots[number as usize];
        // A late wake of a slot that is free again finds nothing to poll.
        let running = future.as_mut().as_pin_mut()?;
        let context = &mut Context::from_waker(self.wakes.waker(number));
        // A future that panicked is dropped and never polled again.
        let result = match catch_unwind(AssertUnwindSafe(|| running.poll(context))) {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        future.set(None);
        let meta = meta.take().expect("a running slot has its meta");
        self.free.push(number);
        Some(Ended { meta, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future, task::Waker};
    use tokio::sync::oneshot;

    type Boxed = Pin<Box<dyn Future<Output = u32>>>;

    fn answered(slots: &mut Slots<&'static str, Boxed>) -> Vec<(&'static str, Option<u32>)> {
        let context = &mut Context::from_waker(Waker::noop());
        std::iter::from_fn(|| slots.poll_ended(&mut 10, context))
            .map(|it| (it.meta, it.result.ok()))
            .collect()
    }

    fn waits(answer: oneshot::Receiver<u32>) -> Boxed {
        Box::pin(async { answer.await.unwrap_or(0) })
    }

    #[test]
    fn what_need_not_wait_ends_where_it_starts() {
        let mut slots: Slots<_, Boxed> = Slots::new();
        let ended = slots.start("it", Box::pin(async { 7 })).expect("it need not wait");
        assert_eq!((ended.meta, ended.result.ok(), slots.in_use()), ("it", Some(7), 0));
    }

    #[test]
    fn what_waits_ends_when_it_is_woken_in_any_order() {
        let mut slots = Slots::new();
        let (one, first) = oneshot::channel();
        let (two, second) = oneshot::channel();
        assert!(
            slots.start("first", waits(first)).is_none() && slots.start("second", waits(second)).is_none()
        );
        assert_eq!(answered(&mut slots), []);
        two.send(2).unwrap();
        assert_eq!(answered(&mut slots), [("second", Some(2))]);
        one.send(1).unwrap();
        assert_eq!(answered(&mut slots), [("first", Some(1))]);
        assert_eq!((slots.in_use(), slots.slots.len()), (0, 2));
    }

    #[test]
    fn a_panic_ends_its_own_future_and_no_other() {
        let mut slots: Slots<_, Boxed> = Slots::new();
        let (answer, waiting) = oneshot::channel();
        assert!(slots.start("waits", waits(waiting)).is_none());
        let ended = slots.start("panics", Box::pin(async { panic!("on purpose") })).expect("it ended");
        assert!(ended.result.is_err());
        answer.send(3).unwrap();
        assert_eq!(answered(&mut slots), [("waits", Some(3))]);
    }

    #[test]
    fn what_wakes_itself_is_polled_no_more_often_than_agreed() {
        let (mut slots, mut polled) = (Slots::new(), 0);
        let restless = future::poll_fn(move |context| {
            polled += 1;
            context.waker().wake_by_ref();
            if polled > 20 { Poll::Ready(polled) } else { Poll::Pending }
        });
        assert!(slots.start("restless", restless).is_none());
        let context = &mut Context::from_waker(Waker::noop());
        let mut polls = 10;
        assert!(slots.poll_ended(&mut polls, context).is_none());
        assert_eq!(polls, 0);
        assert_eq!(slots.poll_ended(&mut 10, context).and_then(|it| it.result.ok()), Some(21));
    }

    #[test]
    fn what_is_cancelled_is_dropped_and_its_slot_used_again() {
        let mut slots = Slots::new();
        let (answer, waiting) = oneshot::channel();
        assert!(slots.start("old", waits(waiting)).is_none());
        assert_eq!(slots.cancel(|meta| *meta == "old"), ["old"]);
        assert!(answer.is_closed(), "the future is dropped");
        let (answer, waiting) = oneshot::channel();
        assert!(slots.start("new", waits(waiting)).is_none());
        answer.send(5).unwrap();
        assert_eq!(answered(&mut slots), [("new", Some(5))]);
    }
}
