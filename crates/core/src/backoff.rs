//! How long to wait before the next attempt.

use std::time::Duration;

use crate::rng::Rng;

/// Waits that double from `first` to `most`, each shortened by chance, so that those who failed together do not
/// come back together (KIP-580).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), most: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row, the first of which counts as 1: between 80 and 100 percent of
    /// the doubled wait.
    pub fn after(&self, failures: u32, rng: &mut Rng) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let wait = doubled.min(self.most);
        wait - wait * rng.below(21) as u32 / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_millis(350) };
        let rng = &mut Rng::new(1);
        for (failures, whole) in [(0, 100), (1, 100), (2, 200), (3, 350), (1000, 350)] {
            let wait = backoff.after(failures, rng).as_millis() as u64;
            assert!((whole * 8 / 10..=whole).contains(&wait), "{failures} failures wait {wait} ms");
        }
    }
}
