//! The two halves a consumer splits into: events for the one who works, commits from all who are done.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{Commit, Event, Notices, notice::Teller, streams::Streams};
use crate::error::{Error, ErrorKind, Result};

/// The changes of what this member owns, in order.
#[derive(Debug)]
pub struct Events {
    /// Told before, and handed back.
    again: Option<Event>,
    told: mpsc::Receiver<Result<Event>>,
    teller: Teller,
}

impl Events {
    pub(crate) fn new(told: mpsc::Receiver<Result<Event>>, teller: Teller) -> Self {
        Self { again: None, told, teller }
    }

    /// Tells from now on which positions jumped, which ends were reached, what stands still: of all partitions that
    /// this member owns.
    pub fn notices(&self) -> Notices {
        self.teller.notices()
    }

    /// Streams that were taken and are to be had once more.
    pub(super) fn put_back(&mut self, streams: Streams) {
        let streams = streams.into_inner();
        self.again = (!streams.is_empty()).then_some(Event::Assigned(streams));
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Event>>> {
        if let Some(event) = self.again.take() {
            return Poll::Ready(Ok(Some(event)));
        }
        self.told.poll_recv(cx).map(Option::transpose)
    }

    /// The next change; none once the member has left its group. After an error nothing more comes. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// Commits offsets for a member. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Committer(mpsc::Sender<Order>);

/// What a committer asks of the member's driver.
#[derive(Debug)]
pub(crate) enum Order {
    /// Commit these; several orders are merged into one request.
    Commit { commits: Vec<Commit>, done: oneshot::Sender<Result<()>> },
    /// Leave the group once what was ordered before is committed, at the latest after `within`.
    Leave { within: Duration, done: oneshot::Sender<Result<()>> },
}

impl Committer {
    pub(crate) fn new(orders: mpsc::Sender<Order>) -> Self {
        Self(orders)
    }

    /// Commits offsets, and waits until the group's coordinator has them. What others commit meanwhile goes along.
    /// An offset below one that was committed before in the same assignment counts as committed. Refused with
    /// [`ErrorKind::Retired`] if an assignment among them has ended; the others' offsets are committed all the same.
    /// Dropping the future does not take the commit back.
    pub async fn commit(&self, commits: Vec<Commit>) -> Result<()> {
        self.order(|done| Order::Commit { commits, done }).await
    }

    /// Leaves the group: what was handed over before is committed first. Gives up waiting after `within`.
    pub async fn leave(&self, within: Duration) -> Result<()> {
        self.order(|done| Order::Leave { within, done }).await
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        let closed = || Error::new(ErrorKind::Closed).what("the member has left its group");
        let (done, answered) = oneshot::channel();
        self.0.send(order(done)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}
