//! Partitions that a shard gives up: what runs may finish, what is done is committed, then they are let go.

use std::time::Duration;

use vltava_client::Moment;
use vltava_core::work::Place;

/// Partitions on their way out.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) places: Vec<Place>,
    pub(crate) why: Why,
    pub(crate) stage: Stage,
    /// Handlers still at work then are cut short.
    pub(crate) cancel_at: Moment,
    /// The partitions are let go then, whatever was reached.
    pub(crate) deadline: Moment,
}

/// Who wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The group does; it waits for this revocation.
    Revoked(u64),
    /// The flow ends.
    Stopped,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Handlers are at work.
    Draining,
    /// None is, and nothing was committed since.
    Drained,
    /// The last commit is under way or over.
    Committing,
}

/// Of the time there is, so much is kept for the commit, but no less than a quarter is given to handlers.
const COMMIT_TIME: Duration = Duration::from_secs(2);

impl Leaving {
    pub(crate) fn new(places: Vec<Place>, why: Why, now: Moment, deadline: Moment) -> Self {
        let time = deadline.since(now);
        let cancel_at = now + time.saturating_sub(COMMIT_TIME).max(time / 4);
        Self { places, why, stage: Stage::Draining, cancel_at, deadline }
    }

    /// There is less time than was thought.
    pub(crate) fn hurry(&mut self, now: Moment, deadline: Moment) {
        let hurried = Self::new(Vec::new(), self.why, now, deadline);
        self.cancel_at = self.cancel_at.min(hurried.cancel_at);
        self.deadline = self.deadline.min(deadline);
    }

    /// When to look at it again, if nothing happens before.
    pub(crate) fn next(&self) -> Moment {
        if self.stage == Stage::Draining { self.cancel_at } else { self.deadline }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_have_all_the_time_but_what_the_commit_needs() {
        for (millis, handlers) in [(30_000, 28_000), (2_000, 500), (0, 0)] {
            let now = Moment(5);
            let leaving = Leaving::new(Vec::new(), Why::Stopped, now, now + Duration::from_millis(millis));
            assert_eq!(leaving.cancel_at.since(now), Duration::from_millis(handlers), "{millis}");
        }
    }
}
