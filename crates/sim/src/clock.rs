//! A clock that is the same in every play: tokio's, paused, for both monotonic and wall time.

use std::{pin::Pin, time::Duration};

use tokio::time::Instant;
use vltava_core::{Clock, Moment, Timestamp};

/// When every world begins: 2026-01-01, 00:00 UTC.
const BEGINNING: i64 = 1_767_225_600_000;

/// Moments count from its making; so does the wall clock, from a day that is always the same.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    start: Instant,
}

impl VirtualClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
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
        Timestamp(BEGINNING + self.start.elapsed().as_millis() as i64)
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.start.checked_add(Duration::from_micros(at.0)) {
            Some(at) => Box::pin(tokio::time::sleep_until(at)),
            None => Box::pin(std::future::pending()),
        }
    }
}
