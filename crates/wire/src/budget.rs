//! Budgets: how much memory may be held for what peers sent, at any moment.
//!
//! A [`Budget`] is an account that many share; a [`Permit`] is what somebody holds of it, given back when it is
//! dropped. A budget may be a share of another: what is taken from the share is taken from the whole too, so the sum
//! over all shares stays within the whole. Taking never waits: whoever can wait asks again when bytes came back.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// An account of bytes. A clone is the same account.
#[derive(Clone)]
pub struct Budget(Arc<Account>);

struct Account {
    /// What errors call it.
    limit: &'static str,
    bytes_max: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// What this is a share of.
    whole: Option<Budget>,
    /// Told whenever bytes came back.
    on_room: Option<Box<dyn Fn() + Send + Sync>>,
}

/// More was asked for than a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverLimit {
    /// The limit's name.
    pub limit: &'static str,
    /// How much it allows.
    pub max: usize,
    /// How much there would have been.
    pub asked: usize,
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, max, asked } = self;
        write!(f, "{limit} would be {asked}, the limit is {max}")
    }
}

impl std::error::Error for OverLimit {}

impl OverLimit {
    /// Whether `asked` is within a limit.
    pub(crate) fn check(limit: &'static str, max: usize, asked: usize) -> Result<(), Self> {
        if asked > max { Err(Self { limit, max, asked }) } else { Ok(()) }
    }
}

impl Budget {
    /// An account of its own. `limit` is what errors call it: a noun.
    pub fn new(limit: &'static str, bytes_max: usize) -> Self {
        Self::of(limit, bytes_max, None, None)
    }

    /// A share of this account: never more than `bytes_max` of it.
    #[must_use]
    pub fn share(&self, limit: &'static str, bytes_max: usize) -> Self {
        Self::of(limit, bytes_max, Some(self.clone()), None)
    }

    /// A share that tells `on_room` whenever bytes came back. It is called by whatever drops a permit, so it may
    /// neither wait nor take from a budget.
    #[must_use]
    pub fn telling_share(
        &self,
        limit: &'static str,
        bytes_max: usize,
        on_room: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::of(limit, bytes_max, Some(self.clone()), Some(Box::new(on_room)))
    }

    fn of(
        limit: &'static str,
        bytes_max: usize,
        whole: Option<Budget>,
        on_room: Option<Box<dyn Fn() + Send + Sync>>,
    ) -> Self {
        let (used, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Account { limit, bytes_max, used, peak, whole, on_room }))
    }

    /// Takes bytes for as long as the permit lives, or says which limit they would break.
    pub fn take(&self, bytes: usize) -> Result<Permit, OverLimit> {
        self.charge(bytes)?;
        Ok(Permit { budget: self.clone(), bytes })
    }

    /// Whether so many bytes could be taken if nobody else held any.
    pub fn could_hold(&self, bytes: usize) -> Result<(), OverLimit> {
        OverLimit::check(self.0.limit, self.0.bytes_max, bytes)?;
        self.0.whole.as_ref().map_or(Ok(()), |whole| whole.could_hold(bytes))
    }

    /// How much may be held at once.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// How much is held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The most that was ever held at once.
    pub fn peak(&self) -> usize {
        self.0.peak.load(Ordering::Relaxed)
    }

    fn charge(&self, bytes: usize) -> Result<(), OverLimit> {
        let Account { limit, bytes_max, used, peak, whole, .. } = &*self.0;
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| sum <= bytes_max);
        // Numbers guard no other memory, so no ordering is needed between them and it.
        let before = used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|used| OverLimit { limit, max: *bytes_max, asked: used.saturating_add(bytes) })?;
        if let Some(Err(over)) = whole.as_ref().map(|whole| whole.charge(bytes)) {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(over);
        }
        peak.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.0.whole {
            whole.give_back(bytes);
        }
        if let Some(on_room) = &self.0.on_room {
            on_room();
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { limit, bytes_max, .. } = &*self.0;
        write!(f, "{limit}: {} of {bytes_max}", self.used())
    }
}

/// Bytes that are held of a [`Budget`]. Dropped, they go back.
#[derive(Debug)]
#[must_use = "dropping a permit gives its bytes back"]
pub struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Permit {
    /// How much is held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, or says which limit that would break; what is held already stays held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), OverLimit> {
        self.budget.charge(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if bytes < self.bytes {
            self.budget.give_back(self.bytes - bytes);
            self.bytes = bytes;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let budget = Budget::new("the test's bytes", 10);
        let mut six = budget.take(6).expect("six of ten");
        let refused = budget.take(5).expect_err("eleven of ten");
        assert_eq!(refused, OverLimit { limit: "the test's bytes", max: 10, asked: 11 });
        assert_eq!(refused.to_string(), "the test's bytes would be 11, the limit is 10");
        six.grow(4).expect("all ten");
        assert!(six.grow(1).is_err() && budget.take(usize::MAX).is_err());
        assert_eq!((six.bytes(), budget.used()), (10, 10));
        six.shrink_to(3);
        assert_eq!(budget.used(), 3);
        drop(six);
        assert_eq!((budget.used(), budget.peak()), (0, 10));
    }

    #[test]
    fn shares_stay_within_the_whole() {
        let whole = Budget::new("all", 10);
        let (one, other) = (whole.share("one", 8), whole.share("other", 8));
        let held = one.take(8).expect("its share");
        assert_eq!(one.take(1).expect_err("over its share").limit, "one");
        let refused = other.take(3).expect_err("over the whole");
        assert_eq!((refused.limit, refused.asked), ("all", 11));
        assert_eq!((other.used(), whole.used()), (0, 8), "what was refused is not held");
        assert_eq!(other.could_hold(8), Ok(()));
        assert_eq!(other.could_hold(9).expect_err("never").limit, "other");
        drop(held);
        assert_eq!((one.used(), whole.used(), whole.peak()), (0, 0, 8));
    }

    #[test]
    fn bytes_that_come_back_through_a_share_are_told() {
        let told = Arc::new(AtomicUsize::new(0));
        let tell = told.clone();
        let tell = move || _ = tell.fetch_add(1, Ordering::Relaxed);
        let share = Budget::new("all", 10).telling_share("some", 10, tell).share("one", 10);
        let mut permit = share.take(5).expect("it fits");
        assert_eq!(told.load(Ordering::Relaxed), 0);
        permit.shrink_to(2);
        drop(permit);
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn many_threads_never_hold_more_than_there_is() {
        let budget = Budget::new("all", 100);
        std::thread::scope(|scope| {
            for bytes in [7, 30, 64, 99] {
                let share = budget.share("one", 99);
                scope.spawn(move || (0..10_000).filter_map(|_| share.take(bytes).ok()).count());
            }
        });
        assert!(budget.peak() <= 100 && budget.used() == 0, "{budget:?}, peak {}", budget.peak());
    }
}
