//! The two halves a consumer splits into: events for the one who works, commits from all who are done.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Commit, Event, Notices,
    notice::Teller,
    progress::{Due, Progress},
    streams::Streams,
};
use crate::{
    context::Context as Shared,
    error::{Error, ErrorKind, Result},
    task::Task,
};

/// The changes of what this member owns, in order.
#[derive(Debug)]
pub struct Events {
    /// Told before, and handed back.
    again: Option<Event>,
    told: mpsc::Receiver<Result<Event>>,
    teller: Teller,
    progress: Arc<Progress>,
    /// Commits what is finished, and judges whether the user is stuck.
    keeper: Option<Task>,
    /// Where commits are automatic, also at the end.
    parting: Option<Committer>,
}

impl Events {
    pub(crate) fn new(told: mpsc::Receiver<Result<Event>>, teller: Teller, committer: &Committer) -> Self {
        Self { again: None, told, teller, progress: committer.progress.clone(), keeper: None, parting: None }
    }

    /// Has somebody look after what goes on beside the user, as long as there is one, and perhaps commit at its end.
    pub(super) fn keep(&mut self, keeper: Task, parting: Option<Committer>) {
        (self.keeper, self.parting) = (Some(keeper), parting);
    }

    /// From now on nobody judges whether the user is stuck.
    pub(super) fn watch_no_more(&self) {
        self.progress.watch_no_more();
    }

    pub(super) fn teller(&self) -> &Teller {
        &self.teller
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
        let mut told = self.told.poll_recv(cx);
        match &mut told {
            Poll::Ready(Some(Ok(Event::Assigned(streams)))) => self.progress.assigned(streams),
            Poll::Ready(Some(Ok(Event::Revoked(revocation)))) => revocation.owned_in(self.progress.clone()),
            Poll::Ready(Some(Ok(Event::Lost(partitions)))) => self.progress.given_back(partitions),
            Poll::Ready(Some(Err(_)) | None) | Poll::Pending => (),
        }
        told.map(Option::transpose)
    }

    /// The next change; none once the member has left its group. After an error nothing more comes. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let Some(committer) = &self.parting {
            committer.commit_on_the_way_out();
        }
    }
}

/// Commits offsets for a member. Cheap to clone.
#[derive(Clone)]
pub struct Committer {
    orders: mpsc::Sender<Order>,
    progress: Arc<Progress>,
    context: Arc<Shared>,
}

/// What is asked of the member's driver.
#[derive(Debug)]
pub(crate) enum Order {
    /// Commit these; several orders are merged into one request.
    Commit { commits: Vec<Commit>, done: oneshot::Sender<Result<()>> },
    /// Leave the group once what was ordered before is committed, at the latest after `within`.
    Leave { within: Duration, done: oneshot::Sender<Result<()>> },
    /// The user is stuck: lose what is owned, leave the group, and do not come back before the user does.
    Away,
    /// The user is back after `Away`.
    Back,
}

impl Committer {
    pub(crate) fn new(orders: mpsc::Sender<Order>, auto_store: bool, context: Arc<Shared>) -> Self {
        Self { orders, progress: Arc::new(Progress::new(auto_store)), context }
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    pub(super) fn context(&self) -> &Arc<Shared> {
        &self.context
    }

    /// Commits offsets, and waits until the group's coordinator has them. What others commit meanwhile goes along.
    /// An offset below one that was committed before in the same assignment counts as committed. Refused with
    /// [`ErrorKind::Retired`] if an assignment among them has ended; the others' offsets are committed all the same.
    /// Dropping the future does not take the commit back.
    pub async fn commit(&self, commits: Vec<Commit>) -> Result<()> {
        self.progress.ordered(&commits);
        let (counters, begun) = (&self.context.counters, self.context.now());
        let partitions = commits.clone();
        let outcome = self.order(|done| Order::Commit { commits, done }).await;
        counters.committed(outcome.is_ok(), self.context.now() - begun);
        outcome.inspect_err(|_| self.progress.refused(&partitions))
    }

    /// Takes note that everything below an offset is finished: it is committed with all else that is, by
    /// [`commit_stored`](Self::commit_stored) or by itself where commits are automatic. Refused with
    /// [`ErrorKind::Retired`] if the assignment has ended.
    pub fn store(&self, commit: impl Into<Commit>) -> Result<()> {
        self.progress.store(commit.into())
    }

    /// The same, but commits it soon, by itself. What came of that is told by [`Notices`]: `Committed`, or
    /// `CommitFailed`.
    pub fn commit_async(&self, commit: impl Into<Commit>) -> Result<()> {
        self.progress.store_soon(commit.into())
    }

    /// Commits all that is finished: what was stored, and what was handed out before more was asked for, unless that
    /// has to be stored.
    pub async fn commit_stored(&self) -> Result<()> {
        match self.progress.due(Due::All) {
            due if due.is_empty() => Ok(()),
            due => self.commit(due).await,
        }
    }

    /// Leaves the group: what was handed over before is committed first. Gives up waiting after `within`.
    pub async fn leave(&self, within: Duration) -> Result<()> {
        self.order(|done| Order::Leave { within, done }).await
    }

    /// What needs no answer. A driver that is gone need not hear it.
    pub(super) async fn say(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// Has what is finished committed by a member that nobody waits for, if there is room for that.
    pub(super) fn commit_on_the_way_out(&self) {
        let (done, _) = oneshot::channel();
        let due = self.progress.due(Due::All);
        if !due.is_empty() {
            let _ = self.orders.try_send(Order::Commit { commits: due, done });
        }
    }

    async fn order(&self, order: impl FnOnce(oneshot::Sender<Result<()>>) -> Order) -> Result<()> {
        let closed = || Error::new(ErrorKind::Closed).what("the member has left its group");
        let (done, answered) = oneshot::channel();
        self.orders.send(order(done)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("progress", &self.progress).finish_non_exhaustive()
    }
}
