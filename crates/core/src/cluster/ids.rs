//! How the things of a cluster are named.

use std::{fmt, sync::Arc};

/// One partition of one topic, by the topic's name. Prints as `orders-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its number within the topic, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition; a name that is shared already is not copied.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A broker's number, unique within its cluster. Prints as the number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_prints_as_topic_dash_number() {
        assert_eq!(TopicPartition::new("orders", 3).to_string(), "orders-3");
    }

    #[test]
    fn partitions_sort_by_topic_and_then_by_number() {
        let mut all = [("b", 0), ("a", 10), ("a", 9)].map(|(topic, it)| TopicPartition::new(topic, it));
        all.sort();
        assert_eq!(all.map(|it| it.to_string()), ["a-9", "a-10", "b-0"]);
    }
}
