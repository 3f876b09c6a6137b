//! Which committed offsets may go (KIP-211): those of a group that nobody has been in for long, and those of topics
//! that nobody in it wants any more. Who may have to go on from an offset keeps it.

use std::time::Duration;

use super::{Groups, group::Group};
use crate::Timestamp;

impl Groups {
    /// Whether what was committed for a topic at `committed` need not be kept, if it is kept for `retention`. What a
    /// consumer committed that is in no group counts from then on.
    pub fn has_expired(
        &self,
        group_id: &str,
        topic: &str,
        committed: Timestamp,
        wall: Timestamp,
        retention: Duration,
    ) -> bool {
        let since = match self.groups.get(group_id) {
            None => committed,
            Some(group) if group.is_empty() => {
                group.empty_since().map_or(committed, |empty| empty.max(committed))
            }
            Some(group) if group.may_want(topic) => return false,
            Some(_) => committed,
        };
        let age = wall.0.saturating_sub(since.0);
        u64::try_from(age).is_ok_and(|age| Duration::from_millis(age) >= retention)
    }

    /// Groups that nobody is in. One that has no committed offsets either may be deleted.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        let empty = self.groups.iter().filter(|(_, group)| group.is_empty());
        empty.map(|(group_id, _)| &**group_id)
    }
}

impl Group {
    /// Since when nobody is in it, if that was seen.
    fn empty_since(&self) -> Option<Timestamp> {
        let since = match self {
            Self::Classic(group) => group.empty_since(),
            Self::Next(group) => group.empty_since(),
        };
        since.filter(|since| since.0 >= 0)
    }

    /// Whether a member may want the topic: one that is just about to say what it wants may want any.
    fn may_want(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => !group.is_stable() || group.subscribes(topic),
            Self::Next(group) => group.subscribes(topic),
        }
    }
}
