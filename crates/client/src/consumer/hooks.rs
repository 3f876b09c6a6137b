//! What a user has done when partitions come and go: called in order with the records, between two of them.

use std::{fmt, sync::Arc};

use tokio::sync::oneshot;
use vltava_core::{Moment, TopicPartition};

use super::{Committer, PartitionStream};
use crate::{error::Result, net::BoxFuture};

pub(super) type Hook<T> = Arc<dyn Fn(T) -> BoxFuture<()> + Send + Sync>;

/// What is called when partitions come and go.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) assigned: Option<Hook<Assigned>>,
    pub(super) revoked: Option<Hook<Revoked>>,
    pub(super) lost: Option<Hook<Vec<TopicPartition>>>,
}

/// A function as a hook.
pub(super) fn hook<T, F: Future<Output = ()> + Send + 'static>(
    call: impl Fn(T) -> F + Send + Sync + 'static,
) -> Option<Hook<T>> {
    Some(Arc::new(move |it| Box::pin(call(it))))
}

/// Partitions that have come, for whoever wants to prepare for them: to go on elsewhere than at what is committed,
/// or to pause them. Nothing of any partition is handed out until this is dropped.
pub struct Assigned {
    streams: Vec<PartitionStream>,
    home: Option<oneshot::Sender<Vec<PartitionStream>>>,
    committer: Committer,
}

impl Assigned {
    /// The streams, and where they come back to.
    pub(super) fn new(
        streams: Vec<PartitionStream>,
        committer: Committer,
    ) -> (Self, oneshot::Receiver<Vec<PartitionStream>>) {
        let (home, back) = oneshot::channel();
        (Self { streams, home: Some(home), committer }, back)
    }

    /// The partitions, to see where each begins and to change that.
    pub fn streams(&mut self) -> &mut [PartitionStream] {
        &mut self.streams
    }

    /// Commits for this member.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            // Whoever read them may be gone.
            let _ = home.send(std::mem::take(&mut self.streams));
        }
    }
}

impl fmt::Debug for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Assigned").field(&self.streams).finish()
    }
}

/// Partitions that have to be given back, and are until the hook ends or its time is over. Nothing more of them is
/// handed out.
#[derive(Debug)]
pub struct Revoked {
    /// What has to be given back.
    pub partitions: Vec<TopicPartition>,
    /// They are taken at this moment, whatever is still at work, and the hook is dropped.
    pub deadline: Moment,
    pub(super) committer: Committer,
}

impl Revoked {
    /// Commits all that is finished of what this member owns, as [`Consumer::commit_all`](super::Consumer) does. It
    /// is done by itself behind the hook where commits are automatic.
    pub async fn commit_all(&self) -> Result<()> {
        self.committer.commit_stored().await
    }

    /// Commits for this member, also offsets of what has to be given back.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { assigned, revoked, lost } = self;
        let mut names = f.debug_list();
        let there =
            [("assigned", assigned.is_some()), ("revoked", revoked.is_some()), ("lost", lost.is_some())];
        names.entries(there.iter().filter(|it| it.1).map(|it| it.0)).finish()
    }
}
