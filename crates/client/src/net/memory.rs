//! Memory for answers: what all connections of a client together hold of what brokers sent, until whoever asked has
//! it. From there on the asker bounds what it keeps, as a consumer does by what it fetches ahead.
//!
//! A connection that finds no room reads on when there is some; its broker has to wait. It does not wait for ever:
//! an answer that is overdue ends its connection, and what that held comes back.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};
use vltava_wire::{Budget, OverLimit, Permit};

/// How much of it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) used: usize,
    pub(crate) peak: usize,
}

/// The memory of all connections of a client.
pub(crate) struct Memory {
    budget: Budget,
    freed: Arc<Notify>,
    /// Had by the one who waits longest.
    turn: Mutex<()>,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let freed = Arc::new(Notify::new());
        let tell = freed.clone();
        let all = Budget::new("memory for answers", bytes);
        let budget = all.telling_share("memory for answers", bytes, move || tell.notify_one());
        Self { budget, freed, turn: Mutex::default() }
    }

    /// Takes bytes as soon as they are there. An error if they never will be.
    pub(super) async fn room(&self, bytes: usize) -> Result<Permit, OverLimit> {
        self.budget.could_hold(bytes)?;
        let _turn = self.turn.lock().await;
        loop {
            match self.budget.take(bytes) {
                Ok(permit) => return Ok(permit),
                // What came back since the look is remembered.
                Err(_) => self.freed.notified().await,
            }
        }
    }

    /// Room to decode an answer, as far as there is now.
    pub(super) fn answer(&self) -> Permit {
        self.budget.take(0).expect("nothing fits")
    }

    /// How much is held now, and the most that ever was.
    pub(crate) fn usage(&self) -> Usage {
        Usage { used: self.budget.used(), peak: self.budget.peak() }
    }
}
