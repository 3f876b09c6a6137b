//! A record as handlers get it: a handle to the batch it came in, and where that was.

use std::str::Utf8Error;

use bytes::Bytes;
use vltava_client::TopicPartition;
use vltava_core::work::Keyed;

/// A record and where it came from. Cheap to clone; it keeps the batch it came in alive.
#[derive(Debug, Clone)]
pub struct Record {
    topic_partition: TopicPartition,
    record: vltava_client::Record,
}

impl Record {
    /// A record of a partition.
    pub fn new(topic_partition: TopicPartition, record: vltava_client::Record) -> Self {
        Self { topic_partition, record }
    }

    /// Topic and partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic_partition.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.topic_partition.partition
    }

    /// Its place in the partition.
    pub fn offset(&self) -> i64 {
        self.record.offset()
    }

    /// When it was made or stored, as its topic is set: milliseconds since 1970, or -1 if it was not said.
    pub fn timestamp(&self) -> i64 {
        self.record.timestamp()
    }

    /// The key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        self.record.key()
    }

    /// The key as bytes that keep the batch alive.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.record.key_bytes()
    }

    /// The key as text; empty if it has none.
    ///
    /// # Errors
    /// If it is no UTF-8.
    pub fn key_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.key().unwrap_or_default())
    }

    /// The value; none is a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.record.value()
    }

    /// The value as bytes that keep the batch alive.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.record.value_bytes()
    }

    /// The value as text; empty if it has none.
    ///
    /// # Errors
    /// If it is no UTF-8.
    pub fn value_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.value().unwrap_or_default())
    }

    /// The headers in their order: names, which may repeat and need not be UTF-8, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.record.headers()
    }

    /// Where it is, and its key, for people: `orders-3@4711 (key AAPL)`.
    pub fn name(&self) -> String {
        name(&self.topic_partition, self.offset(), self.key())
    }
}

impl Keyed for Record {
    fn key(&self) -> Option<&[u8]> {
        self.record.key()
    }
}

/// No key is shown longer.
const KEY_SHOWN: usize = 60;

fn name(topic_partition: &TopicPartition, offset: i64, key: Option<&[u8]>) -> String {
    let Some(key) = key else { return format!("{topic_partition}@{offset} (no key)") };
    let text = String::from_utf8_lossy(key);
    let shown: String = text.chars().take(KEY_SHOWN).flat_map(char::escape_debug).collect();
    let more = if text.chars().nth(KEY_SHOWN).is_some() { "…" } else { "" };
    format!("{topic_partition}@{offset} (key {shown}{more})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_by_place_and_key() {
        let place = TopicPartition::new("orders", 3);
        for (key, expected) in [
            (Some(&b"AAPL"[..]), "orders-3@47 (key AAPL)"),
            (None, "orders-3@47 (no key)"),
            (Some(b"a\nb\xff"), "orders-3@47 (key a\\nb\u{fffd})"),
        ] {
            assert_eq!(name(&place, 47, key), expected);
        }
        assert!(name(&place, 47, Some(&[b'x'; 1000])).chars().count() < 100);
    }
}
