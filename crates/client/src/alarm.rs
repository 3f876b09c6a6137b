//! A wake-up that is set anew all the time and mostly not needed: the sleep under way is kept as long as it ends
//! early enough.

use std::{pin::Pin, sync::Arc};

use vltava_core::{Clock, Moment};

/// Wakes one task. It may wake too early, so what is due is for the task to see.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    sleep: Option<Sleep>,
}

struct Sleep {
    at: Moment,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sleep: None }
    }

    /// Completes at `at` or before, never without one. Cancel-safe.
    pub(crate) async fn wait(&mut self, at: Option<Moment>) {
        let Some(at) = at else { return std::future::pending().await };
        if self.sleep.as_ref().is_none_or(|sleep| at < sleep.at) {
            self.sleep = Some(Sleep { at, future: self.clock.sleep_until(at) });
        }
        if let Some(sleep) = &mut self.sleep {
            sleep.future.as_mut().await;
            self.sleep = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::SystemClock;

    #[tokio::test(start_paused = true)]
    async fn it_rings_no_later_than_it_was_last_set_to() {
        let clock = Arc::new(SystemClock::new());
        let mut alarm = Alarm::new(clock.clone());
        let second = |n| Some(Moment::default() + Duration::from_secs(n));
        let cancelled = tokio::time::timeout(Duration::from_millis(1), alarm.wait(second(9))).await;
        assert!(cancelled.is_err());
        alarm.wait(second(3)).await;
        let rang = clock.now();
        assert!(rang >= Moment(3_000_000) && rang < Moment(3_010_000), "{rang:?}");
    }
}
