//! A gate that many tasks stand behind until it closes. They are woken in the order in which they came.

use std::sync::Arc;

use crate::watched::Watched;

/// Whether a gate is closed, and who is still behind it.
pub(crate) struct Gate(Arc<Shared>);

struct Shared {
    is_closed: Watched<bool>,
    behind: Watched<usize>,
}

/// Stands behind a gate, as long as it lives.
pub(crate) struct Guest(Arc<Shared>);

impl Gate {
    /// A gate that is closed, with nobody behind it.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Shared { is_closed: Watched::new(true), behind: Watched::new(0) }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.now()
    }

    pub(crate) fn open(&self) {
        self.0.is_closed.update(|it| *it = false);
    }

    /// Has all who are behind it leave.
    pub(crate) fn close(&self) {
        self.0.is_closed.update(|it| *it = true);
    }

    pub(crate) fn enter(&self) -> Guest {
        Guest::of(&self.0)
    }

    /// Completes once nobody is behind it.
    pub(crate) async fn empty(&self) {
        self.0.behind.until(|it| *it == 0).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.close();
    }
}

impl Guest {
    fn of(shared: &Arc<Shared>) -> Self {
        shared.behind.update(|it| *it += 1);
        Self(shared.clone())
    }

    /// Completes once the gate is closed. Cancel-safe.
    pub(crate) async fn closed(&self) {
        self.0.is_closed.until(|it| *it).await;
    }
}

impl Clone for Guest {
    fn clone(&self) -> Self {
        Self::of(&self.0)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.behind.update(|it| *it -= 1);
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
