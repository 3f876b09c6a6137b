//! Memory for answers: what all connections of a client together hold of what brokers sent, until whoever asked has
//! it. From there on the asker bounds what it keeps, as a consumer does by what it fetches ahead.
//!
//! A connection that finds no room reads on when there is some; its broker has to wait. It does not wait for ever:
//! an answer that is overdue ends its connection, and what that held comes back. What an answer is decoded into has a
//! part of its own, however full the other is; it is held only while one is decoded.

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
    all: Budget,
    frames: Pool,
    decoded: Pool,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        let all = Budget::new("memory for answers", bytes);
        // Seldom are two answers decoded at once; many may be on their way.
        let decoded = bytes / 4;
        Self {
            frames: Pool::new(&all, "memory for answers", bytes - decoded),
            decoded: Pool::new(&all, "memory for decoded answers", decoded),
            all,
        }
    }

    /// Room for a frame, if it is there and nobody waits for any.
    pub(super) fn room_now(&self, bytes: usize) -> Option<Permit> {
        self.frames.now(bytes)
    }

    /// Room for a frame as soon as it is there. An error if it never will be.
    pub(super) async fn room(&self, bytes: usize) -> Result<Permit, OverLimit> {
        self.frames.room(bytes).await
    }

    /// Room to decode an answer, as far as there is now.
    pub(super) fn answer(&self) -> Permit {
        self.decoded.budget.take(0).expect("nothing fits")
    }

    /// Room to decode any answer, when those that are being decoded are done.
    pub(super) async fn any_answer(&self) -> Permit {
        self.decoded.room(self.decoded.budget.bytes_max()).await.expect("it is not more than there is")
    }

    /// How much is held now, and the most that ever was.
    pub(crate) fn usage(&self) -> Usage {
        Usage { used: self.all.used(), peak: self.all.peak() }
    }
}

/// A part of the memory that can be waited for.
struct Pool {
    budget: Budget,
    freed: Arc<Notify>,
    /// Had by the one who waits longest.
    turn: Mutex<()>,
}

impl Pool {
    fn new(all: &Budget, limit: &'static str, bytes: usize) -> Self {
        let freed = Arc::new(Notify::new());
        let tell = freed.clone();
        let budget = all.telling_share(limit, bytes, move || tell.notify_one());
        Self { budget, freed, turn: Mutex::default() }
    }

    fn now(&self, bytes: usize) -> Option<Permit> {
        let _turn = self.turn.try_lock().ok()?;
        self.budget.take(bytes).ok()
    }

    async fn room(&self, bytes: usize) -> Result<Permit, OverLimit> {
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
}
