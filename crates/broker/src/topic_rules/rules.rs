//! What holds for a topic by its configs: what may be appended, when segments roll, and what goes when.

use vltava_wire::record::TimestampType;

use super::configs::{CONFIGS, Effect, Given, Value, named};

/// The rules of a topic. Times are in milliseconds, as the timestamps of records are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rules {
    /// Whether old segments go by age and size.
    pub(crate) deletes: bool,
    /// Whether only the last record of each key stays.
    pub(crate) compacts: bool,
    pub(crate) retention_ms: Option<i64>,
    pub(crate) retention_bytes: Option<i64>,
    /// None if the topic does not say, so that the log's own size holds.
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) segment_ms: i64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) dirty_ratio_min: f64,
    pub(crate) compaction_lag_min_ms: i64,
    pub(crate) compaction_lag_max_ms: i64,
    pub(crate) message_bytes_max: usize,
    pub(crate) timestamps: TimestampType,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
}

impl Rules {
    /// The rules by these configs. One that an earlier version took and this one does not understand is as by
    /// default.
    pub(crate) fn of(given: &Given) -> Self {
        let mut rules = Self::default();
        for (name, value) in given {
            let Some(config) = named(name) else { continue };
            let understood = value.as_deref().map(|value| config.understand(value));
            if let (Effect::Rule(set), Some(Ok(value))) = (&config.effect, understood) {
                set(&mut rules, &value);
            }
        }
        rules
    }

    /// When a segment is followed by another, whatever its size: what is to be compacted in time must be closed by
    /// then.
    pub(crate) fn roll_ms(&self) -> i64 {
        if self.compacts { self.segment_ms.min(self.compaction_lag_max_ms) } else { self.segment_ms }
    }

    pub(super) fn set_cleanup(&mut self, value: &Value) {
        (self.deletes, self.compacts) = (value.has("delete"), value.has("compact"));
    }

    pub(super) fn set_timestamps(&mut self, value: &Value) {
        self.timestamps = match value.has("LogAppendTime") {
            true => TimestampType::LogAppendTime,
            false => TimestampType::CreateTime,
        };
    }
}

impl Default for Rules {
    /// As the table of configs has it.
    fn default() -> Self {
        let mut rules = Self {
            deletes: true,
            compacts: false,
            retention_ms: None,
            retention_bytes: None,
            segment_bytes: None,
            segment_ms: 0,
            delete_retention_ms: 0,
            dirty_ratio_min: 0.0,
            compaction_lag_min_ms: 0,
            compaction_lag_max_ms: 0,
            message_bytes_max: 0,
            timestamps: TimestampType::CreateTime,
            timestamp_before_max_ms: 0,
            timestamp_after_max_ms: 0,
        };
        for config in CONFIGS {
            if let Effect::Rule(set) = config.effect {
                set(&mut rules, &config.understand(config.default).expect("a default is a value"));
            }
        }
        rules.segment_bytes = None;
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(given: &[(&str, &str)]) -> Rules {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
        Rules::of(&given.collect())
    }

    #[test]
    fn without_configs_the_rules_are_kafkas() {
        let rules = Rules::default();
        assert_eq!((rules.deletes, rules.compacts), (true, false));
        assert_eq!((rules.retention_ms, rules.retention_bytes), (Some(604_800_000), None));
        assert_eq!((rules.message_bytes_max, rules.dirty_ratio_min), (1_048_588, 0.5));
        assert_eq!((rules.timestamp_before_max_ms, rules.timestamp_after_max_ms), (i64::MAX, 3_600_000));
        assert_eq!(rules, Rules::of(&Given::new()));
    }

    #[test]
    fn what_is_configured_holds_and_what_makes_no_sense_does_not() {
        let both =
            rules(&[("cleanup.policy", "compact,delete"), ("retention.ms", "-1"), ("retention.bytes", "7")]);
        assert_eq!(
            (both.deletes, both.compacts, both.retention_ms, both.retention_bytes),
            (true, true, None, Some(7))
        );
        let stamped = rules(&[("message.timestamp.type", "LogAppendTime"), ("segment.bytes", "1000")]);
        assert_eq!((stamped.timestamps, stamped.segment_bytes), (TimestampType::LogAppendTime, Some(1000)));
        assert_eq!(rules(&[("segment.bytes", "many"), ("no.such", "1")]), Rules::default());
    }

    #[test]
    fn what_is_compacted_in_time_rolls_in_time() {
        let lag = ("max.compaction.lag.ms", "1000");
        assert_eq!(rules(&[lag]).roll_ms(), 604_800_000, "a topic that is not compacted does not care");
        assert_eq!(rules(&[lag, ("cleanup.policy", "compact")]).roll_ms(), 1000);
    }
}
