//! Assignments on their way: where their partitions begin is being asked for. What is taken back meanwhile is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt};
use vltava_core::TopicPartition;

use super::committed::Committed;
use crate::{consumer::AssignmentId, error::Result, net::BoxFuture};

/// What a group has committed, and noted.
pub(super) type Offsets = BTreeMap<TopicPartition, Committed>;

#[derive(Default)]
pub(super) struct Assignings {
    partitions: BTreeMap<AssignmentId, BTreeSet<TopicPartition>>,
    asked: FuturesUnordered<BoxFuture<(AssignmentId, Result<Offsets>)>>,
}

impl Assignings {
    /// One more, and what asks for its offsets.
    pub(super) fn push(
        &mut self,
        assignment: AssignmentId,
        partitions: BTreeSet<TopicPartition>,
        committed: BoxFuture<Result<Offsets>>,
    ) {
        self.partitions.insert(assignment, partitions);
        self.asked.push(Box::pin(async move { (assignment, committed.await) }));
    }

    /// Completes with the offsets that an assignment waits for; never without one. Cancel-safe.
    pub(super) async fn next(&mut self) -> (AssignmentId, Result<Offsets>) {
        match self.asked.next().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }

    /// What is left of an assignment whose offsets have come; none if all of it was taken back.
    pub(super) fn take(&mut self, assignment: AssignmentId) -> Option<BTreeSet<TopicPartition>> {
        self.partitions.remove(&assignment)
    }

    /// Forgets a partition; false if it is in no assignment here.
    pub(super) fn withdraw(&mut self, partition: &TopicPartition) -> bool {
        let holds = |it: &(&AssignmentId, &mut BTreeSet<TopicPartition>)| it.1.contains(partition);
        let Some((&assignment, partitions)) = self.partitions.iter_mut().find(holds) else { return false };
        partitions.remove(partition);
        if partitions.is_empty() {
            self.partitions.remove(&assignment);
        }
        true
    }
}
