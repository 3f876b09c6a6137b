//! A gate that many tasks stand behind until it closes. They are woken in the order in which they came, so that what
//! happened can be played again; a watch channel of tokio's wakes them in any order.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

/// Whether a gate is closed, and who is still behind it.
pub(crate) struct Gate(Arc<Shared>);

struct Shared {
    is_closed: AtomicBool,
    closed: Notify,
    behind: AtomicUsize,
    left: Notify,
}

/// Stands behind a gate, as long as it lives.
pub(crate) struct Guest(Arc<Shared>);

impl Gate {
    /// A gate that is closed, with nobody behind it.
    pub(crate) fn closed() -> Self {
        let (is_closed, behind) = (AtomicBool::new(true), AtomicUsize::new(0));
        Self(Arc::new(Shared { is_closed, closed: Notify::new(), behind, left: Notify::new() }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) {
        self.0.is_closed.store(false, Ordering::SeqCst);
    }

    /// Has all who are behind it leave.
    pub(crate) fn close(&self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
        self.0.closed.notify_waiters();
    }

    pub(crate) fn enter(&self) -> Guest {
        self.0.behind.fetch_add(1, Ordering::SeqCst);
        Guest(self.0.clone())
    }

    /// Completes once nobody is behind it.
    pub(crate) async fn empty(&self) {
        loop {
            let left = self.0.left.notified();
            if self.0.behind.load(Ordering::SeqCst) == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

impl Guest {
    /// Completes once the gate is closed. Cancel-safe.
    pub(crate) async fn closed(&self) {
        loop {
            let closed = self.0.closed.notified();
            if self.0.is_closed.load(Ordering::SeqCst) {
                return;
            }
            closed.await;
        }
    }
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        self.0.behind.fetch_add(1, Ordering::SeqCst);
        Self(self.0.clone())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.0.behind.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn all_leave_in_the_order_in_which_they_came_and_then_it_is_empty() {
        let gate = Gate::closed();
        gate.empty().await;
        gate.open();
        let left = Arc::new(Mutex::new(Vec::new()));
        for number in 0..40 {
            let (guest, left) = (gate.enter(), left.clone());
            tokio::spawn(async move {
                guest.closed().await;
                left.lock().expect("nobody panics").push(number);
            });
        }
        tokio::task::yield_now().await;
        assert!(left.lock().expect("nobody panics").is_empty());
        gate.close();
        gate.empty().await;
        assert_eq!(*left.lock().expect("nobody panics"), (0..40).collect::<Vec<_>>());
        gate.open();
        let last = gate.enter();
        drop(gate);
        last.closed().await;
    }
}
