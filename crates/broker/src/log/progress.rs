//! How far a log is, for the many who wait for it. They are woken in the order in which they began to wait: always the
//! same, so that what happened can be played again. A watch channel of tokio's wakes them in any order.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

/// How far a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) settled: u64,
    /// Whether producers have to wait.
    pub(super) crowded: bool,
    /// Nothing more will be settled.
    pub(super) ended: bool,
}

/// Where that is told.
#[derive(Debug)]
pub(super) struct Progress {
    reached: Mutex<Reached>,
    changed: Notify,
}

impl Progress {
    pub(super) fn new(reached: Reached) -> Self {
        Self { reached: Mutex::new(reached), changed: Notify::new() }
    }

    /// Changes it, and wakes all who wait if that makes a difference.
    pub(super) fn update(&self, change: impl FnOnce(&mut Reached)) {
        let is_new = {
            let mut reached = self.lock();
            let before = *reached;
            change(&mut reached);
            *reached != before
        };
        if is_new {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn now(&self) -> Reached {
        *self.lock()
    }

    /// Completes once this holds, with what does. Cancel-safe.
    pub(super) async fn until(&self, holds: impl Fn(&Reached) -> bool) -> Reached {
        loop {
            // It takes part in what is told from here on, so a change after the look is not missed.
            let changed = self.changed.notified();
            let reached = self.now();
            if holds(&reached) {
                return reached;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().expect("nothing panics with this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_in_the_order_of_waiting() {
        let progress = Arc::new(Progress::new(Reached { settled: 0, crowded: false, ended: false }));
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..40)
            .map(|number| {
                let (progress, woken) = (progress.clone(), woken.clone());
                tokio::spawn(async move {
                    let reached = progress.until(|it| it.settled >= 7).await;
                    woken.lock().expect("nobody panics").push((number, reached.settled));
                })
            })
            .collect();
        tokio::task::yield_now().await;
        progress.update(|it| it.settled = 6);
        tokio::task::yield_now().await;
        progress.update(|it| it.settled = 8);
        for it in waiting {
            it.await.expect("nobody panics");
        }
        let woken = woken.lock().expect("nobody panics");
        assert_eq!(*woken, (0..40).map(|number| (number, 8)).collect::<Vec<_>>());
    }
}
