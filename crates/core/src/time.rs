//! Time as the machines see it: an argument, never something to ask for.

use std::{
    fmt,
    ops::{Add, AddAssign, Sub},
    pin::Pin,
    time::Duration,
};

/// A point on the monotonic clock of one process, in microseconds since an arbitrary start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates: a deadline beyond the end of time never comes.
    fn add(self, later: Duration) -> Moment {
        let micros = u64::try_from(later.as_micros()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_add(micros))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, later: Duration) {
        *self = *self + later;
    }
}

impl Sub<Moment> for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.since(earlier)
    }
}

/// Wall-clock time as records carry it: milliseconds since 1970, UTC. Below zero stands for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// What stands for no timestamp.
    pub const NONE: Self = Self(-1);
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// The one way to the time, handed in where a client or a broker is built: the real one, or a simulation's.
pub trait Clock: Send + Sync + 'static {
    /// The monotonic clock.
    fn now(&self) -> Moment;

    /// The wall clock.
    fn wall(&self) -> Timestamp;

    /// Completes once `now` has reached `at`. Cancel-safe.
    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
