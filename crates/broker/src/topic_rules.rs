//! What a topic may be called, how many partitions it may have, and which of Kafka's topic configs it may be given.
//!
//! A config is kept if leaving it without effect breaks no promise: tuning of parts this broker does not have, or
//! of replication. One that would change what is stored or when it goes is refused by name until it is served.

use std::collections::BTreeMap;

use vltava_wire::ErrorCode;

use crate::denied::Denied;

/// A topic that does not say has this many partitions, as by Kafka's `num.partitions`.
const PARTITIONS_DEFAULT: u16 = 1;

/// A topic has no more: each costs memory and files.
const PARTITIONS_MAX: u16 = 10_000;

/// As in Kafka, where a name with a suffix is a folder's.
const NAME_BYTES_MAX: usize = 249;

/// The largest batch, unless the topic says otherwise: Kafka's default.
const MESSAGE_BYTES_MAX: usize = 1_048_588;

pub(crate) fn check_name(name: &str) -> Result<(), Denied> {
    let refuse =
        |why: &str| Err(Denied::new(ErrorCode::InvalidTopicException, format!("topic {name:?}: {why}")));
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => refuse("a name cannot be empty"),
        "." | ".." => refuse("this cannot be a name"),
        _ if name.len() > NAME_BYTES_MAX => refuse("a name cannot be longer than 249 characters"),
        _ if !name.bytes().all(legal) => refuse("a name is made of letters, digits, '.', '_' and '-'"),
        _ => Ok(()),
    }
}

/// How many partitions a request means, where -1 leaves it to the broker.
pub(crate) fn partitions(asked: i32) -> Result<u16, Denied> {
    if asked == -1 {
        return Ok(PARTITIONS_DEFAULT);
    }
    match u16::try_from(asked) {
        Ok(partitions @ 1..=PARTITIONS_MAX) => Ok(partitions),
        _ => {
            let message = format!("a topic has 1 to {PARTITIONS_MAX} partitions, not {asked}");
            Err(Denied::new(ErrorCode::InvalidPartitions, message))
        }
    }
}

/// What becomes of a config that a topic is given.
enum Rule {
    /// It is kept, and has an effect if this broker has what it tunes.
    Kept,
    /// It may be said, as it is so anyway.
    Only(&'static str),
    /// A number of bytes, at least one.
    Bytes,
}

#[rustfmt::skip]
const CONFIGS: &[(&str, Rule)] = &[
    ("cleanup.policy", Rule::Only("delete")),
    ("compression.gzip.level", Rule::Kept),
    ("compression.lz4.level", Rule::Kept),
    ("compression.type", Rule::Only("producer")),
    ("compression.zstd.level", Rule::Kept),
    ("delete.retention.ms", Rule::Kept),
    ("file.delete.delay.ms", Rule::Kept),
    ("flush.messages", Rule::Kept),
    ("flush.ms", Rule::Kept),
    ("follower.replication.throttled.replicas", Rule::Kept),
    ("index.interval.bytes", Rule::Kept),
    ("leader.replication.throttled.replicas", Rule::Kept),
    ("max.compaction.lag.ms", Rule::Kept),
    ("max.message.bytes", Rule::Bytes),
    ("message.timestamp.type", Rule::Only("CreateTime")),
    ("min.cleanable.dirty.ratio", Rule::Kept),
    ("min.compaction.lag.ms", Rule::Kept),
    ("min.insync.replicas", Rule::Kept),
    ("preallocate", Rule::Kept),
    ("remote.storage.enable", Rule::Only("false")),
    ("retention.bytes", Rule::Only("-1")),
    ("retention.ms", Rule::Only("-1")),
    ("segment.bytes", Rule::Kept),
    ("segment.index.bytes", Rule::Kept),
    ("segment.jitter.ms", Rule::Kept),
    ("segment.ms", Rule::Kept),
    ("unclean.leader.election.enable", Rule::Kept),
];

pub(crate) fn check_config(name: &str, value: Option<&str>) -> Result<(), Denied> {
    let refuse = |message: String| Err(Denied::new(ErrorCode::InvalidConfig, message));
    let Some((_, rule)) = CONFIGS.iter().find(|(known, _)| *known == name) else {
        return refuse(format!("topic config {name} is not served by this broker"));
    };
    match (rule, value) {
        // Null asks for the default.
        (_, None) | (Rule::Kept, _) => Ok(()),
        (Rule::Only(only), Some(value)) if value == *only => Ok(()),
        (Rule::Only(only), Some(value)) => {
            refuse(format!("topic config {name}={value} is not served by this broker, only {name}={only}"))
        }
        (Rule::Bytes, Some(value)) => match value.parse::<i32>() {
            Ok(1..) => Ok(()),
            _ => refuse(format!("topic config {name}={value} is not a number of bytes above 0")),
        },
    }
}

/// The largest batch that a topic of these configs takes.
pub(crate) fn message_bytes_max(configs: &BTreeMap<String, Option<String>>) -> usize {
    let said = configs.get("max.message.bytes").and_then(Option::as_deref);
    said.and_then(|said| said.parse().ok()).unwrap_or(MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_no_path() {
        let long = "x".repeat(250);
        for name in ["", ".", "..", "a/b", "../etc", "a\0b", "ä", "a b", &long] {
            let refused = check_name(name).expect_err(name);
            assert_eq!(refused.code, ErrorCode::InvalidTopicException, "{name:?}");
        }
        for name in ["orders", "a.b_c-D9", "...", &long[1..]] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_topic_has_a_sane_number_of_partitions() {
        assert_eq!(partitions(-1), Ok(1));
        assert_eq!(partitions(12), Ok(12));
        for asked in [0, -2, i32::MIN, i32::MAX, 10_001] {
            assert_eq!(partitions(asked).map_err(|it| it.code), Err(ErrorCode::InvalidPartitions), "{asked}");
        }
    }

    #[test]
    fn a_config_is_kept_or_refused_by_name() {
        assert_eq!(check_config("cleanup.policy", Some("delete")), Ok(()));
        assert_eq!(check_config("cleanup.policy", None), Ok(()));
        assert_eq!(check_config("segment.bytes", Some("1000")), Ok(()));
        let refused = [("cleanup.policy", "compact"), ("retention.ms", "1000"), ("max.message.bytes", "0")];
        for (name, value) in refused.into_iter().chain([("no.such.config", "1")]) {
            let refused = check_config(name, Some(value)).expect_err(name);
            assert_eq!(refused.code, ErrorCode::InvalidConfig);
            assert!(refused.message.contains(name), "{}", refused.message);
        }
    }

    #[test]
    fn the_table_of_configs_is_sorted() {
        assert!(CONFIGS.is_sorted_by_key(|(name, _)| *name));
    }
}
