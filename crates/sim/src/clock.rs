//! A clock that is the same in every play: tokio's, paused, and a wall clock that may be set.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use vltava_core::{Clock, Moment, Timestamp};

/// When every world begins: 2026-01-01, 00:00 UTC.
const BEGINNING: i64 = 1_767_225_600_000;

/// Moments count from its making; so does the wall clock, from a day that is always the same, unless it is set.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    start: Instant,
    /// How far the wall clock is off, in milliseconds.
    off: Arc<AtomicI64>,
}

impl VirtualClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now(), off: Arc::default() }
    }

    /// The clock of another machine: the same moments, and a wall clock that is set on its own.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { start: self.start, off: Arc::default() }
    }

    /// Sets the wall clock so far ahead of the true time, or behind it.
    pub fn set_off(&self, milliseconds: i64) {
        self.off.store(milliseconds, Ordering::Relaxed);
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Moment {
        Moment::default() + self.start.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let passed = self.start.elapsed().as_millis() as i64;
        Timestamp(BEGINNING + passed + self.off.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.start.checked_add(Duration::from_micros(at.0)) {
            Some(at) => Box::pin(tokio::time::sleep_until(at)),
            None => Box::pin(std::future::pending()),
        }
    }
}
