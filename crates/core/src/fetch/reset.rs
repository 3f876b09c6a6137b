//! Where reading starts, and what happens when the log has no such offset.

use vltava_wire::{
    ErrorCode,
    messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic},
};

use crate::cluster::TopicPartition;

/// An end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The oldest record that is left.
    Earliest,
    /// The record that will be written next.
    Latest,
}

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At an end of the log, wherever that is by then.
    Edge(Edge),
    /// At this offset: the next record to read, as a group commits it.
    At(i64),
}

/// What happens when a log has no such offset: it begins later, or ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Reading goes on at an end of the log, and the owner is told.
    To(Edge),
    /// Reading stops, and the owner is told.
    Fail,
}

/// Why a position moved other than by reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was to start at an end of the log, which was looked up.
    Started,
    /// The log had no such offset.
    OutOfRange,
    /// The topic was deleted, and another of its name has come to be.
    Recreated,
}

/// A question for an end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) partition: TopicPartition,
    pub(super) leader_epoch: i32,
    pub(super) edge: Edge,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partition: TopicPartition,
    pub(super) error: ErrorCode,
    pub(super) offset: i64,
}

impl Edge {
    /// How ListOffsets names it.
    fn timestamp(self) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
        }
    }
}

/// The questions as one message. They are in the order of their partitions.
pub(super) fn request(lookups: &[Lookup]) -> ListOffsetsRequest {
    let mut topics: Vec<ListOffsetsTopic> = Vec::new();
    for lookup in lookups {
        let name = &*lookup.partition.topic;
        if topics.last().is_none_or(|it| it.name != name) {
            topics.push(ListOffsetsTopic { name: name.to_owned(), ..Default::default() });
        }
        let topic = topics.last_mut().expect("it was pushed above");
        topic.partitions.push(ListOffsetsPartition {
            partition_index: lookup.partition.partition,
            current_leader_epoch: lookup.leader_epoch,
            timestamp: lookup.edge.timestamp(),
        });
    }
    // Whom the answer is for: -1 is a consumer. The isolation level 0 reads what is not committed too.
    ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }
}

/// The answers, one by one.
pub(super) fn found(response: &ListOffsetsResponse) -> impl Iterator<Item = Found> {
    response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| Found {
            partition: TopicPartition::new(&*topic.name, it.partition_index),
            error: it.error_code.into(),
            offset: it.offset,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partitions_of_a_topic_are_asked_for_together() {
        let lookup = |topic, partition, edge| Lookup {
            partition: TopicPartition::new(topic, partition),
            leader_epoch: 4,
            edge,
        };
        let all =
            [lookup("a", 0, Edge::Earliest), lookup("a", 1, Edge::Latest), lookup("b", 0, Edge::Latest)];
        let request = request(&all);
        let asked: Vec<_> = request.topics.iter().map(|it| (it.name.as_str(), it.partitions.len())).collect();
        assert_eq!(asked, [("a", 2), ("b", 1)]);
        assert_eq!(request.topics[0].partitions.iter().map(|it| it.timestamp).collect::<Vec<_>>(), [-2, -1]);
        assert_eq!(request.replica_id, -1);
    }
}
