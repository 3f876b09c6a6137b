//! What goes on between two records when partitions come and go: the user's hook, an automatic commit, and the word
//! that partitions are given back.

use std::sync::Arc;

use tracing::warn;
use vltava_core::{Clock, Moment, TopicPartition};

use super::{
    Committer, PartitionStream, Revocation,
    hooks::{Assigned, Hook, Revoked},
};
use crate::error::{Error, ErrorKind, Result};

/// What came of it.
pub(super) struct Outcome {
    /// To be read from now on.
    pub(super) streams: Vec<PartitionStream>,
    pub(super) result: Result<()>,
}

impl Outcome {
    const DONE: Self = Self { streams: Vec::new(), result: Ok(()) };
}

/// Partitions have come: they are read once the hook has dropped them.
pub(super) async fn assigned(
    hook: Hook<Assigned>,
    streams: Vec<PartitionStream>,
    committer: Committer,
    clock: Arc<dyn Clock>,
    deadline: Moment,
) -> Outcome {
    let (assigned, mut back) = Assigned::new(streams, committer);
    let prepared = async {
        hook(assigned).await;
        // It may have passed them on to another task.
        (&mut back).await.unwrap_or_default()
    };
    tokio::select! {
        biased;
        streams = prepared => return Outcome { streams, result: Ok(()) },
        () = clock.sleep_until(deadline) => (),
    }
    // The hook is gone, and has dropped what it did not pass on.
    Outcome { streams: back.try_recv().unwrap_or_default(), result: Err(overdue("on_assigned")) }
}

/// Partitions are to be given back, at the deadline whatever is under way.
pub(super) async fn revoked(
    hook: Option<Hook<Revoked>>,
    revocation: Revocation,
    committer: Committer,
    clock: Arc<dyn Clock>,
    auto_commit: bool,
) -> Outcome {
    let (partitions, deadline) = (revocation.partitions.clone(), revocation.deadline);
    if let Some(hook) = hook {
        call_revoked(&hook, partitions, deadline, committer.clone(), clock.clone()).await;
    }
    if auto_commit {
        tokio::select! {
            biased;
            committed = committer.commit_stored() => {
                if let Err(error) = committed {
                    warn!(%error, "what is finished was not committed before partitions are given back");
                }
            }
            () = clock.sleep_until(deadline) => (),
        }
    }
    revocation.done();
    Outcome::DONE
}

/// Calls a hook for partitions that are to be given back.
pub(super) async fn call_revoked(
    hook: &Hook<Revoked>,
    partitions: Vec<TopicPartition>,
    deadline: Moment,
    committer: Committer,
    clock: Arc<dyn Clock>,
) {
    tokio::select! {
        biased;
        () = hook(Revoked { partitions, deadline, committer }) => (),
        () = clock.sleep_until(deadline) => warn!("on_revoked is dropped: the time to give partitions back is over"),
    }
}

/// Partitions were lost.
pub(super) async fn lost(
    hook: Hook<Vec<TopicPartition>>,
    partitions: Vec<TopicPartition>,
    clock: Arc<dyn Clock>,
    deadline: Moment,
) -> Outcome {
    tokio::select! {
        biased;
        () = hook(partitions) => Outcome::DONE,
        () = clock.sleep_until(deadline) => Outcome { streams: Vec::new(), result: Err(overdue("on_lost")) },
    }
}

fn overdue(hook: &str) -> Error {
    Error::new(ErrorKind::TimedOut)
        .what(format!("{hook} did not end in time, and is dropped"))
        .fix("have it do less, or allow for more by `unfinished_max`")
}
