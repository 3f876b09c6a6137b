//! How groups are kept, which Kafka has names for.

use std::time::Duration;

use vltava_core::group::coordinator::Limits;

use crate::{Error, ErrorKind, Result};

/// How groups are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// How far groups may go, and how long their members may be silent.
    pub limits: Limits,
    /// How long what a group committed is kept after nobody needs it: the group has no members, or they do not read
    /// the topic. A week by default.
    pub offsets_retention: Duration,
    /// So often is looked for such offsets.
    pub offsets_retention_check_interval: Duration,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            offsets_retention_check_interval: Duration::from_secs(10 * 60),
        }
    }
}

impl GroupOptions {
    /// Sets what a property of Kafka's brokers stands for.
    pub fn set(&mut self, property: &str, value: &str) -> Result<()> {
        let wrong = |why: String| Error::new(ErrorKind::Config, why);
        let number: u64 = value
            .trim()
            .parse()
            .map_err(|_| wrong(format!("{property} is a number that is not below zero, not `{value}`")))?;
        let millis = Duration::from_millis(number);
        let limits = &mut self.limits;
        match property {
            "group.initial.rebalance.delay.ms" => limits.initial_rebalance_delay = millis,
            "group.min.session.timeout.ms" => limits.session_timeout_min = millis,
            "group.max.session.timeout.ms" => limits.session_timeout_max = millis,
            "group.max.size" => limits.members_max = usize::try_from(number).unwrap_or(usize::MAX),
            "group.consumer.heartbeat.interval.ms" => limits.next_heartbeat_interval = millis,
            "group.consumer.session.timeout.ms" => limits.next_session_timeout = millis,
            "offsets.retention.minutes" => {
                self.offsets_retention = Duration::from_secs(number.saturating_mul(60));
            }
            "offsets.retention.check.interval.ms" => self.offsets_retention_check_interval = millis,
            _ => return Err(wrong(format!("{property} is no property of groups that is known here"))),
        }
        Ok(())
    }

    /// Refuses what cannot be meant.
    pub(crate) fn check(&self) -> Result<()> {
        let refused = |why: &str| Err(Error::new(ErrorKind::Config, why));
        let limits = &self.limits;
        if limits.session_timeout_min > limits.session_timeout_max {
            return refused("the shortest session of a group is longer than the longest");
        }
        if limits.next_heartbeat_interval.is_zero() {
            return refused("members of groups cannot be heard of every 0 ms");
        }
        if limits.next_heartbeat_interval >= limits.next_session_timeout {
            return refused("members of groups are heard of no more often than their sessions end");
        }
        if self.offsets_retention_check_interval.is_zero() {
            return refused("old offsets cannot be looked for every 0 ms");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_go_by_kafkas_names() {
        let mut options = GroupOptions::default();
        for (name, value) in [
            ("group.initial.rebalance.delay.ms", "3000"),
            ("group.max.size", "7"),
            ("offsets.retention.minutes", "2"),
        ] {
            options.set(name, value).expect(name);
        }
        assert_eq!(options.limits.initial_rebalance_delay, Duration::from_secs(3));
        assert_eq!((options.limits.members_max, options.offsets_retention), (7, Duration::from_secs(120)));
        for (name, value) in [("group.max.size", "-1"), ("group.max.size", "many"), ("group.size", "1")] {
            let refused = options.set(name, value).expect_err(value);
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(GroupOptions::default().check().is_ok());
        for (name, value) in [
            ("group.max.session.timeout.ms", "1"),
            ("group.consumer.heartbeat.interval.ms", "0"),
            ("group.consumer.heartbeat.interval.ms", "45000"),
            ("offsets.retention.check.interval.ms", "0"),
        ] {
            let mut options = GroupOptions::default();
            options.set(name, value).expect(name);
            assert!(options.check().is_err(), "{name}={value}");
        }
    }
}
