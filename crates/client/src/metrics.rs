//! What a client counts.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::net::Usage;

/// What a client has counted since it was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Records that brokers have acknowledged.
    pub records_produced: u64,
    /// Records that were given up.
    pub records_failed: u64,
    /// Batches that brokers have not taken, to be sent again or in parts.
    pub batches_refused: u64,
    /// Bytes of the batches that were sent, compressed; what is sent again counts again.
    pub bytes_produced: u64,
    /// Records handed to the user.
    pub records_consumed: u64,
    /// Bytes of the batches that were fetched, compressed.
    pub bytes_fetched: u64,
    /// How often members have joined a group, or had their shares changed by its coordinator.
    pub rebalances: u64,
    /// Signs of life that members have sent to their coordinators.
    pub heartbeats: u64,
    /// Those of them that were not answered.
    pub heartbeats_failed: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests that had no answer, or one that refuses them.
    pub errors: u64,
    /// Connections opened.
    pub connections: u64,
    /// Commits of members that their coordinators took; several may have gone in one request.
    pub commits: u64,
    /// Commits that failed, or may have.
    pub commits_failed: u64,
    /// How long commits took in all, whatever came of them.
    pub commit_time: Duration,
    /// Bytes held for answers that nobody has taken yet.
    pub answer_bytes: u64,
    /// The most that were ever held at once.
    pub answer_bytes_peak: u64,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Where the counting is done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records_produced: Counter,
    pub(crate) records_failed: Counter,
    pub(crate) batches_refused: Counter,
    pub(crate) bytes_produced: Counter,
    pub(crate) records_consumed: Counter,
    pub(crate) bytes_fetched: Counter,
    pub(crate) rebalances: Counter,
    pub(crate) heartbeats: Counter,
    pub(crate) heartbeats_failed: Counter,
    pub(crate) requests: Counter,
    pub(crate) errors: Counter,
    pub(crate) connections: Counter,
    pub(crate) commits: Counter,
    pub(crate) commits_failed: Counter,
    pub(crate) commit_micros: Counter,
}

impl Counters {
    /// A commit has come to an end.
    pub(crate) fn committed(&self, is_ok: bool, took: Duration) {
        if is_ok { &self.commits } else { &self.commits_failed }.add(1);
        self.commit_micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn read(&self, answers: Usage) -> Metrics {
        Metrics {
            records_produced: self.records_produced.read(),
            records_failed: self.records_failed.read(),
            batches_refused: self.batches_refused.read(),
            bytes_produced: self.bytes_produced.read(),
            records_consumed: self.records_consumed.read(),
            bytes_fetched: self.bytes_fetched.read(),
            rebalances: self.rebalances.read(),
            heartbeats: self.heartbeats.read(),
            heartbeats_failed: self.heartbeats_failed.read(),
            requests: self.requests.read(),
            errors: self.errors.read(),
            connections: self.connections.read(),
            commits: self.commits.read(),
            commits_failed: self.commits_failed.read(),
            commit_time: Duration::from_micros(self.commit_micros.read()),
            answer_bytes: answers.used as u64,
            answer_bytes_peak: answers.peak as u64,
        }
    }
}
