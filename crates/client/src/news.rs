//! Telling many that something has changed, in the order in which they began to wait: always the same, so that what
//! happened can be played again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// Counts changes.
#[derive(Debug, Default)]
pub(crate) struct News {
    count: AtomicU64,
    changed: Notify,
}

/// Has seen changes up to some point.
#[derive(Debug)]
pub(crate) struct Reader {
    news: Arc<News>,
    seen: u64,
}

impl News {
    /// Wakes all who wait.
    pub(crate) fn tell(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// A reader that has seen all changes up to now.
    pub(crate) fn reader(self: &Arc<Self>) -> Reader {
        Reader { news: self.clone(), seen: self.count.load(Ordering::Acquire) }
    }
}

impl Reader {
    /// Completes once there is a change that was not seen. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            // It takes part in what is told from here on, so a change after the look is not missed.
            let changed = self.news.changed.notified();
            let count = self.news.count.load(Ordering::Acquire);
            if count != self.seen {
                self.seen = count;
                return;
            }
            changed.await;
        }
    }

    /// Takes everything up to now for seen.
    pub(crate) fn catch_up(&mut self) {
        self.seen = self.news.count.load(Ordering::Acquire);
    }
}
