//! Where reading starts, what happens when the log has no such offset, and how places in logs are looked up.

use std::time::Duration;

use vltava_wire::{
    ErrorCode,
    messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic},
};

use super::event::Isolation;
use crate::{Timestamp, cluster::TopicPartition};

/// A broker that has to look in remote storage may take so long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A place in a log whose offset has to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The oldest record that is left.
    Earliest,
    /// The record that will be written next.
    Latest,
    /// The first record that is as late or later; the end if there is none.
    Since(Timestamp),
    /// The first record that is no older than this when it is looked up; the end if there is none (KIP-1106).
    Within(Duration),
}

/// An offset, and which leader wrote the record before it: together they tell one log from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The next record to read.
    pub offset: i64,
    /// Below zero if it is not known.
    pub leader_epoch: i32,
}

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Wherever this place is by then.
    Place(Place),
    /// Here: as a group commits it. Whether the log is still the same is asked first, if the epoch is known.
    At(Point),
}

/// What happens when a log has no such offset: it begins later, or ends before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Reading goes on at this place in the log, and the owner is told.
    To(Place),
    /// Reading stops, and the owner is told.
    Fail,
}

/// Why a position moved other than by reading on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was to start at a place in the log, which was looked up.
    Started,
    /// The log had no such offset.
    OutOfRange,
    /// The end of the log was lost after it was read: a leader was elected that did not have it.
    Truncated,
    /// The topic was deleted, and another of its name has come to be.
    Recreated,
}

/// A question for a place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) partition: TopicPartition,
    pub(super) leader_epoch: i32,
    pub(super) place: Place,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) partition: TopicPartition,
    pub(super) error: ErrorCode,
    pub(super) point: Point,
}

impl Point {
    /// An offset of which it is not known who wrote what is before it.
    pub fn new(offset: i64) -> Self {
        Self { offset, leader_epoch: -1 }
    }
}

impl Place {
    /// How ListOffsets names it.
    pub fn timestamp(self, wall: Timestamp) -> i64 {
        match self {
            Self::Earliest => -2,
            Self::Latest => -1,
            Self::Since(timestamp) => timestamp.0.max(0),
            Self::Within(age) => {
                wall.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)).max(0)
            }
        }
    }

    /// Whether there may be no record at this place.
    pub(super) fn is_by_time(self) -> bool {
        matches!(self, Self::Since(_) | Self::Within(_))
    }
}

/// The questions as one message. They are in the order of their partitions.
pub(super) fn request(lookups: &[Lookup], isolation: Isolation, wall: Timestamp) -> ListOffsetsRequest {
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
            timestamp: lookup.place.timestamp(wall),
        });
    }
    // Whom the answer is for: -1 is a consumer.
    let (replica_id, isolation_level) = (-1, isolation.level());
    ListOffsetsRequest { replica_id, isolation_level, topics, timeout_ms: TIMEOUT.as_millis() as i32 }
}

/// The answers, one by one.
pub(super) fn found(response: &ListOffsetsResponse) -> impl Iterator<Item = Found> {
    response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| Found {
            partition: TopicPartition::new(&*topic.name, it.partition_index),
            error: it.error_code.into(),
            point: Point { offset: it.offset, leader_epoch: it.leader_epoch },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(topic: &str, partition: i32, place: Place) -> Lookup {
        Lookup { partition: TopicPartition::new(topic, partition), leader_epoch: 4, place }
    }

    #[test]
    fn the_partitions_of_a_topic_are_asked_for_together() {
        let all =
            [lookup("a", 0, Place::Earliest), lookup("a", 1, Place::Latest), lookup("b", 0, Place::Latest)];
        let request = request(&all, Isolation::ReadCommitted, Timestamp(0));
        let asked: Vec<_> = request.topics.iter().map(|it| (it.name.as_str(), it.partitions.len())).collect();
        assert_eq!(asked, [("a", 2), ("b", 1)]);
        assert_eq!(request.topics[0].partitions.iter().map(|it| it.timestamp).collect::<Vec<_>>(), [-2, -1]);
        assert_eq!((request.replica_id, request.isolation_level), (-1, 1));
    }

    #[test]
    fn a_time_is_never_taken_for_an_end_of_the_log() {
        let hour = Duration::from_secs(3600);
        let rows = [
            (Place::Since(Timestamp(77)), 77),
            (Place::Since(Timestamp(-5)), 0),
            (Place::Within(hour), 6_400_000),
            (Place::Within(hour * 10), 0),
            (Place::Within(Duration::MAX), 0),
        ];
        for (place, timestamp) in rows {
            let request = request(&[lookup("a", 0, place)], Isolation::default(), Timestamp(10_000_000));
            assert_eq!(request.topics[0].partitions[0].timestamp, timestamp, "{place:?}");
        }
    }
}
