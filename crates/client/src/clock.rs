//! The clock of the real world, by way of tokio: on its paused clock, time moves as the test says.

use std::{
    pin::Pin,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use vltava_core::{Clock, Moment, Timestamp};

/// Monotonic time and sleeping from tokio, wall time from the system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose moments count from now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::default() + self.start.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.start.checked_add(Duration::from_micros(at.0)) {
            Some(instant) => Box::pin(tokio::time::sleep_until(instant)),
            None => Box::pin(std::future::pending()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_when_its_moment_has_come() {
        let clock = SystemClock::new();
        let at = clock.now() + Duration::from_secs(5);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
        assert!(clock.now() - at < Duration::from_millis(2));
    }
}
