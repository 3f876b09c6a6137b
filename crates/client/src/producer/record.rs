//! A record on its way out, and where it came to lie.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use vltava_core::Timestamp;

/// A record to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRecord {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: Option<i32>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
}

impl ProducerRecord {
    /// A record for a topic, with neither key nor value. A topic given as `Arc<str>` is not copied.
    pub fn to(topic: impl Into<Arc<str>>) -> Self {
        let (partition, timestamp, key, value) = (None, None, None, None);
        Self { topic: topic.into(), partition, timestamp, key, value, headers: Vec::new() }
    }

    /// Sets the key. Records of one key go to one partition.
    #[must_use]
    pub fn key(mut self, key: impl IntoBytes) -> Self {
        self.key = Some(key.into_bytes());
        self
    }

    /// Sets the value. A record without one is a tombstone.
    #[must_use]
    pub fn value(mut self, value: impl IntoBytes) -> Self {
        self.value = Some(value.into_bytes());
        self
    }

    /// Sets the partition, whatever the key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the time of what the record tells; without it, it is the time of `send`.
    #[must_use]
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Adds a header. Names may repeat.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl IntoBytes) -> Self {
        self.headers.push((name.into(), Some(value.into_bytes())));
        self
    }

    /// Adds a header without a value, which is not the same as an empty one.
    #[must_use]
    pub fn null_header(mut self, name: impl Into<String>) -> Self {
        self.headers.push((name.into(), None));
        self
    }

    /// The topic it is for.
    pub fn topic(&self) -> &str {
        &self.topic
    }
}

/// What can be a key or a value: text or bytes, borrowed or owned. `Bytes` are not copied.
pub trait IntoBytes {
    /// The bytes of it.
    fn into_bytes(self) -> Bytes;
}

impl IntoBytes for Bytes {
    fn into_bytes(self) -> Bytes {
        self
    }
}

impl IntoBytes for Vec<u8> {
    fn into_bytes(self) -> Bytes {
        self.into()
    }
}

impl IntoBytes for String {
    fn into_bytes(self) -> Bytes {
        self.into()
    }
}

impl IntoBytes for &[u8] {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl IntoBytes for &str {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }
}

impl IntoBytes for &String {
    fn into_bytes(self) -> Bytes {
        self.as_str().into_bytes()
    }
}

impl<const N: usize> IntoBytes for &[u8; N] {
    fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

/// Where a record came to lie. Printed as `orders-3 @ 4711`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset. None if the broker had the record already, from an attempt whose answer was lost, and has
    /// forgotten where.
    pub offset: Option<i64>,
    /// The time the broker appended it, if the topic is set to tell that instead of the record's own.
    pub appended: Option<Timestamp>,
}

impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} @ ", self.topic, self.partition)?;
        match self.offset {
            Some(offset) => write!(f, "{offset}"),
            None => write!(f, "?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_printed_as_topic_partition_and_offset() {
        let place =
            RecordMetadata { topic: "orders".into(), partition: 3, offset: Some(4711), appended: None };
        assert_eq!(place.to_string(), "orders-3 @ 4711");
    }
}
