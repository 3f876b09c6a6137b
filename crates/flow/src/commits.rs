//! When a shard commits, and the one commit it has under way.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use vltava_client::{Committer, Moment};

use crate::{Error, Failure, config, error::Result, sink::BoxFuture};

/// Makes all that was handled safe before a commit counts on it.
pub(crate) type Flush = Arc<dyn Fn() -> BoxFuture<'static, std::result::Result<(), Failure>> + Send + Sync>;

/// The commits of a shard: one after another, so that none overtakes an earlier one.
pub(crate) struct Commits {
    policy: config::Commit,
    committer: Committer,
    flush: Flush,
    /// Records done since the last commit began.
    fresh: u64,
    next: Moment,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    commits: Vec<vltava_client::Commit>,
    future: BoxFuture<'static, Result<()>>,
}

impl Commits {
    pub(crate) fn new(policy: config::Commit, committer: Committer, flush: Flush, now: Moment) -> Self {
        Self { policy, committer, flush, fresh: 0, next: now + policy.interval, under_way: None }
    }

    /// A record more is done.
    pub(crate) fn count(&mut self) {
        self.fresh += 1;
    }

    /// Whether it is time for a commit, and none is under way.
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.under_way.is_none() && (self.policy.min_count <= self.fresh || self.next <= now)
    }

    /// When it will be time at the latest.
    pub(crate) fn next(&self) -> Moment {
        self.next
    }

    /// Whether a commit is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins a commit of offsets that were taken before this call: what the flush covers, the commit may count on.
    pub(crate) fn begin(&mut self, now: Moment, commits: Vec<vltava_client::Commit>) {
        self.fresh = 0;
        self.next = now + self.policy.interval;
        if commits.is_empty() {
            return;
        }
        let (flushed, committer, sent) = ((self.flush)(), self.committer.clone(), commits.clone());
        let future = Box::pin(async move {
            flushed.await.map_err(|failure| Error::sink("flushing before a commit failed", failure))?;
            let committed = committer.commit(sent).await;
            committed.map_err(|error| Error::client("committing failed", error))
        });
        self.under_way = Some(UnderWay { commits, future });
    }

    /// The commit that ended, and how.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Option<(Vec<vltava_client::Commit>, Result<()>)> {
        let under_way = self.under_way.as_mut()?;
        let Poll::Ready(result) = under_way.future.as_mut().poll(context) else { return None };
        let UnderWay { commits, .. } = self.under_way.take()?;
        Some((commits, result))
    }

    /// Waits no longer for the commit under way.
    pub(crate) fn abandon(&mut self) {
        self.under_way = None;
    }
}
