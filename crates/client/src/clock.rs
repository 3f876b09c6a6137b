//! The clock of the real world, by way of tokio: on its paused clock, time moves as the test says.

use std::{pin::Pin, time::Duration};

use tokio::time::Instant;
use vltava_core::{Clock, Moment, Timestamp};

/// Monotonic time and sleeping from tokio, wall time from the system: on Linux that of its latest tick, up to ten
/// milliseconds ago, as every record that is sent asks for it.
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
        Timestamp(milliseconds_since_1970())
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.start.checked_add(Duration::from_micros(at.0)) {
            Some(instant) => Box::pin(tokio::time::sleep_until(instant)),
            None => Box::pin(std::future::pending()),
        }
    }
}

#[cfg(target_os = "linux")]
fn milliseconds_since_1970() -> i64 {
    let tick = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    tick.tv_sec * 1_000 + tick.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn milliseconds_since_1970() -> i64 {
    use std::time::SystemTime;
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sleep_ends_when_its_moment_has_come() {
        let clock = SystemClock::new();
        let at = clock.now() + Duration::from_secs(5);
        clock.sleep_until(at).await;
        assert!(clock.now() >= at);
        assert!(clock.now() - at < Duration::from_millis(2));
    }

    #[test]
    fn the_wall_clock_is_that_of_the_system_but_for_a_tick() {
        let exact =
            || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_millis();
        let (before, shown, after) = (exact(), SystemClock::new().wall().0 as u128, exact());
        assert!((before - 20..=after).contains(&shown), "{before} {shown} {after}");
    }
}
