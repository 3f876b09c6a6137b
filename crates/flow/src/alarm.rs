//! One wake at a moment that may change.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use vltava_client::{Clock, Moment};

use crate::sink::BoxFuture;

/// Wakes a task at a moment.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    set: Option<(Moment, BoxFuture<'static, ()>)>,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, set: None }
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Ready once `at` has come; until then, `context` is woken at it and at no earlier setting.
    pub(crate) fn poll(&mut self, at: Moment, context: &mut Context<'_>) -> Poll<()> {
        if self.set.as_ref().is_none_or(|(set, _)| *set != at) {
            self.set = Some((at, self.clock.sleep_until(at)));
        }
        let (_, sleep) = self.set.as_mut().expect("it was just set");
        let slept = sleep.as_mut().poll(context);
        if slept.is_ready() {
            self.set = None;
        }
        slept
    }
}
