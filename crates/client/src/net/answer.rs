//! The answer to one request, for whoever waits for it: decoded in the memory that there is, and what it says of the
//! connection is passed on to that.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};
use tracing::debug;
use vltava_core::{Moment, session};
use vltava_wire::{DecodeErrorKind, Request, Struct, frame};

use super::{frames::Frame, link::Order};
use crate::{
    context::Context,
    error::{Broker, Error, ErrorKind, Result},
};

/// The answer to a request that is under way. Dropping it takes the request back only if it was not yet written.
pub(crate) struct Answer<R> {
    pub(super) reply: oneshot::Receiver<Result<Frame>>,
    /// To tell the task what the answer says of it, if it is still there.
    pub(super) orders: mpsc::WeakUnboundedSender<Order>,
    pub(super) rest: Arc<Rest>,
    pub(super) version: i16,
    pub(super) broker: Arc<Broker>,
    pub(super) context: Arc<Context>,
    pub(super) request: PhantomData<fn() -> R>,
}

/// Until when the broker wants to be left alone, for those who rather wait themselves than have requests wait.
#[derive(Default)]
pub(super) struct Rest(AtomicU64);

impl Rest {
    pub(super) fn until(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    fn lengthen(&self, until: Moment) {
        self.0.fetch_max(until.0, Ordering::Relaxed);
    }
}

impl<R: Request> Answer<R> {
    /// The version of request and answer.
    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    pub(crate) async fn wait(mut self) -> Result<R::Response> {
        let frame = match (&mut self.reply).await {
            Ok(frame) => frame,
            Err(_) => Err(Error::new(ErrorKind::Disconnected)),
        };
        let decoded = match frame {
            Ok(frame) => self.decoded(frame).await,
            Err(error) => Err(error),
        };
        decoded.inspect(|answer| self.obey(answer.throttle_time_ms())).map_err(|error| {
            self.context.counters.errors.add(1);
            error.with(&self.broker)
        })
    }

    /// Has the connection left alone for as long as the broker wants. Brokers that answer only after that time, as
    /// they did before Kafka 2.0, are older than any that is promised to work.
    fn obey(&self, throttle_time_ms: i32) {
        if throttle_time_ms > 0
            && let Some(orders) = self.orders.upgrade()
        {
            debug!(broker = %self.broker, throttle_time_ms, "throttled");
            self.rest.lengthen(self.context.now() + session::rest(throttle_time_ms));
            let _ = orders.send(Order::Rest(throttle_time_ms));
        }
    }

    /// Decodes an answer in the memory that is there, or if others have too much of it, when they are done.
    async fn decoded(&self, frame: Frame) -> Result<R::Response> {
        let Frame { bytes, room: _room } = frame;
        let memory = &self.context.memory;
        let decode = |permit| frame::response_body::<R>(bytes.clone(), self.version, permit);
        let decoded = match decode(memory.answer()) {
            Err(error) if matches!(error.kind(), DecodeErrorKind::OverBudget(_)) => {
                decode(memory.any_answer().await)
            }
            decoded => decoded,
        };
        decoded.map_err(|error| {
            let what = format!("the answer to {:?} version {} makes no sense", R::API, self.version);
            Error::new(ErrorKind::Malformed).what(what).because(error).written_perhaps(true)
        })
    }
}
