//! The pace of one connection: when it may be written to again after its broker asked for rest (KIP-219), and when
//! it has been of no use for so long that it is closed.
//!
//! A broker that throttles answers at once and then does not read for as long as the answer says. What is sent
//! meanwhile would only wait there, with its patience running out: so it is not sent.

use std::time::Duration;

use crate::Moment;

/// A broker that asks for more rest than this is not believed: quotas are of seconds.
const REST_MAX: Duration = Duration::from_secs(60);

/// How long a broker is to be left alone whose answer has this as `throttle_time_ms`.
pub fn rest(throttle_time_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(throttle_time_ms).unwrap_or(0)).min(REST_MAX)
}

/// When a connection may be written to, and when it is closed for want of use.
#[derive(Debug)]
pub struct Pace {
    idle_max: Duration,
    used: Moment,
    rests_until: Moment,
}

impl Pace {
    /// For a connection that has just been opened, and is closed when it was not used for `idle_max`.
    pub fn new(now: Moment, idle_max: Duration) -> Self {
        Self { idle_max, used: now, rests_until: now }
    }

    /// Something was sent, or answered.
    pub fn on_use(&mut self, now: Moment) {
        self.used = now;
    }

    /// An answer said that the broker is to be left alone; gives how much longer that is than it was before. What
    /// was sent already has to wait so much longer for its answer.
    pub fn on_throttle(&mut self, now: Moment, throttle_time_ms: i32) -> Duration {
        let before = self.rests_until.max(now);
        self.rests_until = before.max(now + rest(throttle_time_ms));
        self.rests_until - before
    }

    /// Whether the broker is to be left alone.
    pub fn rests(&self, now: Moment) -> bool {
        now < self.rests_until
    }

    /// Whether a connection on which nothing is under way has not been used for too long.
    pub fn is_idle(&self, now: Moment) -> bool {
        self.used + self.idle_max <= now
    }

    /// When a rest ends, or when a connection will have been idle for too long, unless something is `under_way`.
    pub fn deadline(&self, now: Moment, under_way: bool) -> Option<Moment> {
        let rested = self.rests(now).then_some(self.rests_until);
        let idle = (!under_way).then(|| self.used + self.idle_max);
        rested.into_iter().chain(idle).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn pace() -> Pace {
        Pace::new(Moment(0), Duration::from_secs(540))
    }

    #[test]
    fn a_rest_lasts_as_long_as_was_asked_for_and_not_for_ever() {
        for (throttle_time_ms, micros) in [(0, 0), (-1, 0), (700, 700_000), (i32::MAX, 60 * SECOND)] {
            let mut pace = pace();
            let longer = pace.on_throttle(Moment(0), throttle_time_ms);
            assert_eq!(longer, Duration::from_micros(micros), "{throttle_time_ms}");
            assert!(!pace.rests(Moment(micros)), "{throttle_time_ms}");
            assert_eq!(pace.rests(Moment(micros.saturating_sub(1))), micros > 0, "{throttle_time_ms}");
        }
    }

    #[test]
    fn the_longest_rest_counts_and_what_is_added_is_told() {
        let mut pace = pace();
        assert_eq!(pace.on_throttle(Moment(0), 1_000), Duration::from_secs(1));
        assert_eq!(
            pace.on_throttle(Moment(SECOND / 2), 100),
            Duration::ZERO,
            "a shorter one shortens nothing"
        );
        assert_eq!(pace.on_throttle(Moment(SECOND / 2), 1_000), Duration::from_millis(500));
        assert_eq!(pace.deadline(Moment(SECOND), true), Some(Moment(SECOND * 3 / 2)));
        assert_eq!(
            pace.on_throttle(Moment(SECOND * 3), 1_000),
            Duration::from_secs(1),
            "after a rest, all of it"
        );
    }

    #[test]
    fn a_connection_is_idle_when_it_was_not_used_for_long() {
        let mut pace = pace();
        pace.on_use(Moment(100 * SECOND));
        assert_eq!(pace.deadline(Moment(0), false), Some(Moment(640 * SECOND)));
        assert!(!pace.is_idle(Moment(640 * SECOND - 1)));
        assert!(pace.is_idle(Moment(640 * SECOND)));
        assert_eq!(pace.deadline(Moment(0), true), None, "not while something is under way");
    }
}
