//! A value that many wait for. They are woken in the order in which they began to wait: always the same, so that what
//! happened can be played again. A watch channel of tokio's wakes them in any order.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

/// A value that changes, and those who wait for that.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy + PartialEq> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    /// Changes it, and wakes all who wait if that makes a difference.
    pub(crate) fn update(&self, change: impl FnOnce(&mut T)) {
        let is_new = {
            let mut value = self.lock();
            let before = *value;
            change(&mut value);
            *value != before
        };
        if is_new {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn now(&self) -> T {
        *self.lock()
    }

    /// Completes once this holds, with what does. Cancel-safe.
    pub(crate) async fn until(&self, holds: impl Fn(&T) -> bool) -> T {
        loop {
            // It takes part in what is told from here on, so a change after the look is not missed.
            let changed = self.changed.notified();
            let value = self.now();
            if holds(&value) {
                return value;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().expect("nothing panics with this lock")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_in_the_order_of_waiting() {
        let settled = Arc::new(Watched::new(0));
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..40)
            .map(|number| {
                let (settled, woken) = (settled.clone(), woken.clone());
                tokio::spawn(async move {
                    let reached = settled.until(|it| *it >= 7).await;
                    woken.lock().expect("nobody panics").push((number, reached));
                })
            })
            .collect();
        tokio::task::yield_now().await;
        settled.update(|it| *it = 6);
        tokio::task::yield_now().await;
        settled.update(|it| *it = 8);
        for it in waiting {
            it.await.expect("nobody panics");
        }
        let woken = woken.lock().expect("nobody panics");
        assert_eq!(*woken, (0..40).map(|number| (number, 8)).collect::<Vec<_>>());
    }
}
