//! What a topic may be called, how many partitions it may have, which of Kafka's topic configs it may be given, and
//! what holds for it by them.

pub(crate) mod configs;
mod rules;

use vltava_wire::ErrorCode;

use crate::denied::Denied;

pub(crate) use rules::Rules;

/// A topic that does not say has this many partitions, as by Kafka's `num.partitions`.
const PARTITIONS_DEFAULT: u16 = 1;

/// A topic has no more: each costs memory and files.
const PARTITIONS_MAX: u16 = 10_000;

/// As in Kafka, where a name with a suffix is a folder's.
const NAME_BYTES_MAX: usize = 249;

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
}
