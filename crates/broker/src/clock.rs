//! The real clock: tokio's monotonic time, which a test may pause, and the system's wall time, which one may advance.

use std::{
    pin::Pin,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use vltava_core::{Clock, Moment, Timestamp};

/// The clock that a broker has unless it is given another. Moments count from its making.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
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
            Some(at) => Box::pin(tokio::time::sleep_until(at)),
            None => Box::pin(std::future::pending()),
        }
    }
}

/// A clock for tests of what comes with time, such as retention: the real one, but its wall time can be advanced. Hand
/// it to a broker, and keep it.
///
/// ```
/// # use vltava_broker::{Broker, TestClock};
/// # use std::{sync::Arc, time::Duration};
/// # async fn example() -> Result<(), vltava_broker::Error> {
/// let clock = Arc::new(TestClock::new());
/// let broker = Broker::in_memory().clock(clock.clone()).start().await?;
/// clock.advance_wall(Duration::from_secs(8 * 24 * 60 * 60));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct TestClock {
    clock: SystemClock,
    ahead_ms: AtomicI64,
}

impl TestClock {
    /// A clock that starts now, with the right wall time.
    pub fn new() -> Self {
        Self::default()
    }

    /// It is so much later at once. No one who sleeps is woken: what looks at the wall time sees it when its turn comes,
    /// retention each `retention_interval` of [`LogOptions`](crate::LogOptions).
    pub fn advance_wall(&self, by: Duration) {
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.clock.wall().0.saturating_add(self.ahead_ms.load(Ordering::Relaxed)))
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.clock.sleep_until(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_no_earlier_than_asked() {
        let clock = SystemClock::new();
        let at = clock.now() + Duration::from_micros(2_500);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
        assert!(clock.now() < at + Duration::from_millis(2));
    }
}
