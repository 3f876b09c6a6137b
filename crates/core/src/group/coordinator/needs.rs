//! Who needs what a group has committed, and so what of it may go.

use std::{collections::BTreeSet, time::Duration};

use vltava_wire::ErrorCode;

use super::{Groups, group::Group};
use crate::Timestamp;

/// Who needs what a group has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// It has no members, since then if that was recorded.
    Nobody {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// Its members read these topics.
    Topics(BTreeSet<String>),
    /// It has members that do not say what they read.
    All,
}

impl Needs {
    /// Whether what is committed for a topic may be deleted.
    pub fn allow_deletion(&self, topic: &str) -> Result<(), ErrorCode> {
        match self {
            Self::Nobody { .. } => Ok(()),
            Self::Topics(topics) if topics.contains(topic) => Err(ErrorCode::GroupSubscribedToTopic),
            Self::Topics(_) => Ok(()),
            Self::All => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// Whether what was committed for a topic at some time is no longer kept (KIP-211): nobody has needed it for as
    /// long as `retention`, of a group without members since it has none.
    pub fn has_expired(
        &self,
        topic: &str,
        committed: Timestamp,
        now: Timestamp,
        retention: Duration,
    ) -> bool {
        let from = match self {
            Self::Nobody { since } => since.map_or(committed, |since| since.max(committed)),
            Self::Topics(topics) if !topics.contains(topic) => committed,
            Self::Topics(_) | Self::All => return false,
        };
        let age = u128::try_from(now.0.saturating_sub(from.0)).unwrap_or(0);
        age >= retention.as_millis()
    }
}

impl Groups {
    /// Whether a group has members or had some, whatever it has committed.
    pub fn has(&self, group_id: &str) -> bool {
        self.groups.contains_key(group_id)
    }

    /// Who needs what a group has committed.
    pub fn needs(&self, group_id: &str) -> Needs {
        let Some(group) = self.groups.get(group_id) else { return Needs::Nobody { since: None } };
        match group {
            group if group.is_empty() => Needs::Nobody { since: group.empty_since() },
            Group::Classic(group) => group.wanted().map_or(Needs::All, Needs::Topics),
            Group::Next(group) => Needs::Topics(group.wants(&self.topics)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Duration = Duration::from_millis(100);

    fn topics() -> Needs {
        Needs::Topics(BTreeSet::from(["orders".into()]))
    }

    #[test]
    fn offsets_may_be_deleted_that_no_member_needs() {
        let nobody = Needs::Nobody { since: None };
        assert_eq!(nobody.allow_deletion("orders"), Ok(()));
        assert_eq!(topics().allow_deletion("orders"), Err(ErrorCode::GroupSubscribedToTopic));
        assert_eq!(topics().allow_deletion("refunds"), Ok(()));
        assert_eq!(Needs::All.allow_deletion("refunds"), Err(ErrorCode::NonEmptyGroup));
    }

    #[test]
    fn offsets_expire_when_nobody_has_needed_them_for_long_enough() {
        let at = Timestamp;
        let nobody = |since: Option<i64>| Needs::Nobody { since: since.map(Timestamp) };
        for (needs, topic, committed, now, expired) in [
            (nobody(None), "orders", 50, 149, false),
            (nobody(None), "orders", 50, 150, true),
            (nobody(Some(90)), "orders", 50, 189, false),
            (nobody(Some(90)), "orders", 50, 190, true),
            (nobody(Some(10)), "orders", 50, 149, false),
            (topics(), "orders", 50, 900, false),
            (topics(), "refunds", 50, 150, true),
            (Needs::All, "orders", 50, 900, false),
            (nobody(None), "orders", 50, i64::MIN, false),
        ] {
            let told = needs.has_expired(topic, at(committed), at(now), RETENTION);
            assert_eq!(told, expired, "{needs:?}, {topic}, committed at {committed}, now {now}");
        }
    }
}
