//! Kafka's topic configs: one table of what each is called, may be, is by default, and does here.
//!
//! A config that has no effect is kept and shown if that breaks no promise: tuning of parts that this broker does not
//! have, or of replication. One that would change what is stored may only be said as it is anyway.

use std::collections::BTreeMap;

use vltava_wire::ErrorCode;

use crate::denied::Denied;

use super::rules::Rules;

/// The configs that a topic was given, by name. Without a value a config is as by default.
pub(crate) type Given = BTreeMap<String, Option<String>>;

/// One config.
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    /// What Kafka calls the default of all topics.
    pub(crate) broker_name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) effect: Effect,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Flag,
    /// A number of 32 bits, in these bounds.
    Int(i64, i64),
    /// A number of 64 bits, at least this one.
    Long(i64),
    /// From 0 to 1.
    Ratio,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, comma-separated, one at least.
    Words(&'static [&'static str]),
    /// Any words.
    List,
}

/// What a config does.
pub(crate) enum Effect {
    /// It is a rule for the topic.
    Rule(fn(&mut Rules, &Value)),
    /// It tunes what there is not.
    None,
    /// It may be said, as it is so anyway.
    Fixed,
}

/// A value that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Flag(bool),
    Number(i64),
    Ratio(f64),
    Words(Vec<String>),
}

const DAY: &str = "86400000";
const WEEK: &str = "604800000";
const FOREVER: &str = "9223372036854775807";
const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
const POLICIES: &[&str] = &["compact", "delete"];
const INT: Kind = Kind::Int(0, i32::MAX as i64);

macro_rules! configs {
    ($($name:literal, $kind:expr, $default:expr, $broker_name:literal, $effect:expr, $doc:literal;)*) => {
        /// Every topic config that Kafka 4.3 has, in order of name.
        pub(crate) const CONFIGS: &[Config] = &[$(
            Config { name: $name, kind: $kind, default: $default, broker_name: $broker_name, doc: $doc, effect: $effect },
        )*];
    };
}

#[rustfmt::skip]
configs! {
    "cleanup.policy", Kind::Words(POLICIES), "delete", "log.cleanup.policy", Effect::Rule(|rules, value| rules.set_cleanup(value)),
        "How old segments go: 'delete' by retention, 'compact' keeps the last record of each key.";
    "compression.gzip.level", Kind::Int(-1, 9), "-1", "compression.gzip.level", Effect::None,
        "No effect: this broker stores batches as they were packed.";
    "compression.lz4.level", Kind::Int(1, 17), "9", "compression.lz4.level", Effect::None,
        "No effect: this broker stores batches as they were packed.";
    "compression.type", Kind::Word(&["producer"]), "producer", "compression.type", Effect::Fixed,
        "Batches are stored as their producer packed them.";
    "compression.zstd.level", Kind::Int(-131_072, 22), "3", "compression.zstd.level", Effect::None,
        "No effect: this broker stores batches as they were packed.";
    "delete.retention.ms", Kind::Long(0), DAY, "log.cleaner.delete.retention.ms", Effect::Rule(|rules, value| rules.delete_retention_ms = value.number()),
        "How long compaction keeps a record without a value, so that readers learn of the deletion.";
    "file.delete.delay.ms", Kind::Long(0), "60000", "log.segment.delete.delay.ms", Effect::None,
        "No effect: files go after the next checkpoint, and who reads one goes on reading it.";
    "flush.messages", Kind::Long(1), FOREVER, "log.flush.interval.messages", Effect::None,
        "No effect: the broker's own sync mode says when records are on the disk.";
    "flush.ms", Kind::Long(0), FOREVER, "log.flush.interval.ms", Effect::None,
        "No effect: the broker's own sync mode says when records are on the disk.";
    "follower.replication.throttled.replicas", Kind::List, "", "follower.replication.throttled.replicas", Effect::None,
        "No effect: there are no replicas.";
    "index.interval.bytes", INT, "4096", "log.index.interval.bytes", Effect::None,
        "No effect: an index has a point every 32 KiB.";
    "leader.replication.throttled.replicas", Kind::List, "", "leader.replication.throttled.replicas", Effect::None,
        "No effect: there are no replicas.";
    "local.retention.bytes", Kind::Long(-2), "-2", "log.local.retention.bytes", Effect::None,
        "No effect: there is no remote storage.";
    "local.retention.ms", Kind::Long(-2), "-2", "log.local.retention.ms", Effect::None,
        "No effect: there is no remote storage.";
    "max.compaction.lag.ms", Kind::Long(1), FOREVER, "log.cleaner.max.compaction.lag.ms", Effect::Rule(|rules, value| rules.compaction_lag_max_ms = value.number()),
        "The longest that a record stays as it was written in a topic that is compacted.";
    "max.message.bytes", INT, "1048588", "message.max.bytes", Effect::Rule(|rules, value| rules.message_bytes_max = value.size() as usize),
        "The largest batch that is taken. Beyond 16 MiB, what a file of the journal holds, none is.";
    "message.timestamp.after.max.ms", Kind::Long(0), "3600000", "log.message.timestamp.after.max.ms", Effect::Rule(|rules, value| rules.timestamp_after_max_ms = value.number()),
        "How far a record's timestamp may be ahead of the broker's clock.";
    "message.timestamp.before.max.ms", Kind::Long(0), FOREVER, "log.message.timestamp.before.max.ms", Effect::Rule(|rules, value| rules.timestamp_before_max_ms = value.number()),
        "How far a record's timestamp may be behind the broker's clock.";
    "message.timestamp.type", Kind::Word(TIMESTAMP_TYPES), "CreateTime", "log.message.timestamp.type", Effect::Rule(|rules, value| rules.set_timestamps(value)),
        "Whether records keep their producer's timestamps or get the time when they were appended.";
    "min.cleanable.dirty.ratio", Kind::Ratio, "0.5", "log.cleaner.min.cleanable.ratio", Effect::Rule(|rules, value| rules.dirty_ratio_min = value.ratio()),
        "How much of the log must be uncompacted before it is compacted again.";
    "min.compaction.lag.ms", Kind::Long(0), "0", "log.cleaner.min.compaction.lag.ms", Effect::Rule(|rules, value| rules.compaction_lag_min_ms = value.number()),
        "How long a record stays as it was written, at the least.";
    "min.insync.replicas", Kind::Int(1, i32::MAX as i64), "1", "min.insync.replicas", Effect::None,
        "No effect: there is one replica, and it is in sync.";
    "preallocate", Kind::Flag, "false", "log.preallocate", Effect::None,
        "No effect: segments grow as they are written.";
    "remote.log.copy.disable", Kind::Word(&["false"]), "false", "remote.log.copy.disable", Effect::Fixed,
        "There is no remote storage.";
    "remote.log.delete.on.disable", Kind::Word(&["false"]), "false", "remote.log.delete.on.disable", Effect::Fixed,
        "There is no remote storage.";
    "remote.storage.enable", Kind::Word(&["false"]), "false", "remote.log.storage.system.enable", Effect::Fixed,
        "There is no remote storage.";
    "retention.bytes", Kind::Long(-1), "-1", "log.retention.bytes", Effect::Rule(|rules, value| rules.retention_bytes = value.unless_negative()),
        "How large a partition may get before its oldest segments go; -1 is without limit.";
    "retention.ms", Kind::Long(-1), WEEK, "log.retention.ms", Effect::Rule(|rules, value| rules.retention_ms = value.unless_negative()),
        "How old a segment's latest record may get before the segment goes; -1 is without limit.";
    "segment.bytes", Kind::Int(14, i32::MAX as i64), "134217728", "log.segment.bytes", Effect::Rule(|rules, value| rules.segment_bytes = Some(value.size())),
        "A segment that would grow beyond this is followed by another.";
    "segment.index.bytes", Kind::Int(4, i32::MAX as i64), "10485760", "log.index.size.max.bytes", Effect::None,
        "No effect: an index is as large as its segment makes it.";
    "segment.jitter.ms", Kind::Long(0), "0", "log.roll.jitter.ms", Effect::None,
        "No effect: segments roll by their own records' times.";
    "segment.ms", Kind::Long(1), WEEK, "log.roll.ms", Effect::Rule(|rules, value| rules.segment_ms = value.number()),
        "A segment with a record so much older than the next is followed by another.";
    "unclean.leader.election.enable", Kind::Flag, "false", "unclean.leader.election.enable", Effect::None,
        "No effect: there is one replica.";
}

/// The config of this name.
pub(crate) fn named(name: &str) -> Option<&'static Config> {
    CONFIGS.iter().find(|it| it.name == name)
}

/// Whether a topic may be given this.
pub(crate) fn check(name: &str, value: Option<&str>) -> Result<(), Denied> {
    let Some(config) = named(name) else {
        let nearest = CONFIGS.iter().min_by_key(|it| distance(it.name, name)).expect("the table has rows");
        let message = format!("topic config {name} is unknown; the nearest is {}", nearest.name);
        return Err(Denied::new(ErrorCode::InvalidConfig, message));
    };
    // Null asks for the default.
    let Some(value) = value else { return Ok(()) };
    config.understand(value).map(drop).map_err(|expected| {
        let message = format!("topic config {name}={value} cannot be: it is {expected}");
        Denied::new(ErrorCode::InvalidConfig, message)
    })
}

impl Config {
    /// What a value means, or what it should have been.
    pub(crate) fn understand(&self, value: &str) -> Result<Value, String> {
        let value = value.trim();
        let number = |least: i64, most: i64| match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Value::Number(number)),
            _ if most == i64::MAX => Err(format!("a number from {least} on")),
            _ => Err(format!("a number from {least} to {most}")),
        };
        match self.kind {
            Kind::Flag => match value.to_ascii_lowercase().as_str() {
                "true" => Ok(Value::Flag(true)),
                "false" => Ok(Value::Flag(false)),
                _ => Err("true or false".to_owned()),
            },
            Kind::Int(least, most) => number(least, most),
            Kind::Long(least) => number(least, i64::MAX),
            Kind::Ratio => match value.parse() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Value::Ratio(ratio)),
                _ => Err("a number from 0 to 1".to_owned()),
            },
            Kind::Word(allowed) if allowed.contains(&value) => Ok(Value::Words(vec![value.to_owned()])),
            Kind::Word([only]) => Err(format!("{only} on this broker")),
            Kind::Word(allowed) => Err(format!("one of {}", allowed.join(", "))),
            Kind::Words(allowed) => {
                let words = words(value);
                let known = !words.is_empty() && words.iter().all(|it| allowed.contains(&it.as_str()));
                known.then_some(Value::Words(words)).ok_or_else(|| format!("some of {}", allowed.join(", ")))
            }
            Kind::List => Ok(Value::Words(words(value))),
        }
    }

    /// Whether it is a list, to which words may be added.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Words(_) | Kind::List)
    }

    /// Kafka's number for what a value may be.
    pub(crate) fn type_code(&self) -> i8 {
        match self.kind {
            Kind::Flag => 1,
            Kind::Word(_) => 2,
            Kind::Int(..) => 3,
            Kind::Long(_) => 5,
            Kind::Ratio => 6,
            Kind::Words(_) | Kind::List => 7,
        }
    }
}

impl Value {
    fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            other => unreachable!("the table says number, not {other:?}"),
        }
    }

    fn size(&self) -> u64 {
        self.number().unsigned_abs()
    }

    fn ratio(&self) -> f64 {
        match self {
            Self::Ratio(ratio) => *ratio,
            other => unreachable!("the table says ratio, not {other:?}"),
        }
    }

    fn unless_negative(&self) -> Option<i64> {
        Some(self.number()).filter(|it| *it >= 0)
    }

    /// Whether this is one of the words.
    pub(crate) fn has(&self, word: &str) -> bool {
        matches!(self, Self::Words(words) if words.iter().any(|it| it == word))
    }
}

/// The words of a list.
pub(crate) fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// How many letters must be added, taken away or changed to get from one to the other.
fn distance(one: &str, other: &str) -> usize {
    // A name from a client may be of any length; what is far beyond all that we know is just far.
    let other: Vec<char> = other.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..other.len() {
            let changed = diagonal + usize::from(other[column] != letter);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_default_is_a_value() {
        assert!(CONFIGS.is_sorted_by_key(|it| it.name));
        for config in CONFIGS {
            assert!(config.understand(config.default).is_ok(), "{}={}", config.name, config.default);
        }
    }

    #[test]
    fn a_value_is_understood_or_refused_with_what_it_should_be() {
        let good = [
            ("cleanup.policy", "compact, delete"),
            ("retention.ms", "-1"),
            ("preallocate", "TRUE"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("follower.replication.throttled.replicas", ""),
            ("segment.bytes", " 1000 "),
        ];
        for (name, value) in good {
            assert_eq!(check(name, Some(value)), Ok(()), "{name}={value}");
        }
        let bad = [
            ("cleanup.policy", "", "some of compact, delete"),
            ("cleanup.policy", "keep", "some of compact, delete"),
            ("retention.ms", "-2", "from -1 on"),
            ("retention.bytes", "1e9", "from -1 on"),
            ("max.message.bytes", "2147483648", "to 2147483647"),
            ("message.timestamp.type", "createtime", "one of CreateTime, LogAppendTime"),
            ("min.cleanable.dirty.ratio", "NaN", "from 0 to 1"),
            ("compression.type", "zstd", "producer on this broker"),
        ];
        for (name, value, expected) in bad {
            let refused = check(name, Some(value)).expect_err(name);
            assert_eq!(refused.code, ErrorCode::InvalidConfig);
            assert!(
                refused.message.contains(name) && refused.message.contains(expected),
                "{}",
                refused.message
            );
        }
        assert_eq!(check("retention.ms", None), Ok(()), "null asks for the default");
    }

    #[test]
    fn a_name_that_is_mistyped_gets_the_nearest() {
        let long = "x".repeat(10_000);
        for (name, nearest) in [
            ("retention.msec", "retention.ms"),
            ("retentionms", "retention.ms"),
            ("clean.policy", "cleanup.policy"),
            ("max.mesage.byte", "max.message.bytes"),
            (&long, ""),
        ] {
            let refused = check(name, Some("1")).expect_err(name);
            assert_eq!(refused.code, ErrorCode::InvalidConfig);
            assert!(refused.message.contains(nearest), "{}", refused.message);
        }
    }
}
