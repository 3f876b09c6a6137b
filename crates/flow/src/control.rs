//! Watching a flow that runs, and stopping it.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use crate::sources::Progress;

/// Watches and stops a flow. A clone controls the same flow.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) task: AbortHandle,
}

/// What is asked of a driver.
#[derive(Debug)]
pub(crate) enum Request {
    Stop { within: Duration },
    Stats(oneshot::Sender<Stats>),
}

/// How far a flow is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records done since the flow started.
    pub done: u64,
    /// Records at work.
    pub in_flight: usize,
    /// Records that wait for a worker or for their key.
    pub waiting: usize,
    /// Handlers cut short because their partition had to be given back.
    pub cut_short: u64,
    /// The partitions it has, in order.
    pub partitions: Vec<Progress>,
}

/// What a flow did, once it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records done.
    pub done: u64,
}

impl Control {
    /// Asks the flow to finish what is at work, commit and leave its group, all within this time.
    pub fn stop(&self, within: Duration) {
        // A flow that has ended has stopped.
        drop(self.requests.send(Request::Stop { within }));
    }

    /// Drops everything where it stands. What was not committed will be done again.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// How far it is; none once it has ended.
    pub async fn stats(&self) -> Option<Stats> {
        let (asked, told) = oneshot::channel();
        self.requests.send(Request::Stats(asked)).ok()?;
        told.await.ok()
    }
}

impl Stats {
    /// Offsets from what is done to the end, of all partitions together; none while that of any is not known.
    pub fn lag(&self) -> Option<u64> {
        self.partitions.iter().map(Progress::lag).sum()
    }
}
