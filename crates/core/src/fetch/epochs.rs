//! Whether the log is still the one that was read: where epochs of leaders end is asked, and compared (KIP-320).

use vltava_wire::{
    ErrorCode,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
        OffsetForLeaderTopic,
    },
};

use super::reset::Point;
use crate::cluster::TopicPartition;

/// A question for the end of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) partition: TopicPartition,
    /// Whom the client takes for the leader.
    pub(super) current: i32,
    /// Who wrote what was read last.
    pub(super) read: i32,
}

/// Where the latest epoch ends that a log has and that is no later than the one that was asked about. Below zero if
/// there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EpochEnd {
    pub(super) epoch: i32,
    pub(super) offset: i64,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) partition: TopicPartition,
    pub(super) error: ErrorCode,
    pub(super) end: EpochEnd,
}

/// What has become of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truncation {
    /// It is gone from here on, which is no later than where reading stands.
    From(Point),
    /// It is gone, and the log does not say from where on.
    Unknown,
}

impl EpochEnd {
    /// What an end says of a log that was read up to a point; none if the log still has all of it.
    pub(super) fn truncation(self, read: Point) -> Option<Truncation> {
        if self.epoch < 0 || self.offset < 0 {
            return Some(Truncation::Unknown);
        }
        let offset = self.offset.min(read.offset);
        let differs = self.epoch < read.leader_epoch || offset < read.offset;
        differs.then_some(Truncation::From(Point { offset, leader_epoch: self.epoch }))
    }
}

/// The questions as one message. They are in the order of their partitions.
pub(super) fn request(checks: &[Check]) -> OffsetForLeaderEpochRequest {
    let mut topics: Vec<OffsetForLeaderTopic> = Vec::new();
    for check in checks {
        let name = &*check.partition.topic;
        if topics.last().is_none_or(|it| it.topic != name) {
            topics.push(OffsetForLeaderTopic { topic: name.to_owned(), ..Default::default() });
        }
        let topic = topics.last_mut().expect("it was pushed above");
        topic.partitions.push(OffsetForLeaderPartition {
            partition: check.partition.partition,
            current_leader_epoch: check.current,
            leader_epoch: check.read,
        });
    }
    OffsetForLeaderEpochRequest { replica_id: -1, topics }
}

/// The answers, one by one.
pub(super) fn checked(response: &OffsetForLeaderEpochResponse) -> impl Iterator<Item = Checked> {
    response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|it| Checked {
            partition: TopicPartition::new(&*topic.topic, it.partition),
            error: it.error_code.into(),
            end: EpochEnd { epoch: it.leader_epoch, offset: it.end_offset },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_end_says_of_what_was_read() {
        let read = Point { offset: 10, leader_epoch: 5 };
        let from = |offset, leader_epoch| Some(Truncation::From(Point { offset, leader_epoch }));
        let rows = [
            (EpochEnd { epoch: 5, offset: 10 }, None),
            (EpochEnd { epoch: 5, offset: 99 }, None),
            (EpochEnd { epoch: 5, offset: 7 }, from(7, 5)),
            (EpochEnd { epoch: 4, offset: 7 }, from(7, 4)),
            // Something before offset 10 was written by another leader than the one that was read from.
            (EpochEnd { epoch: 4, offset: 12 }, from(10, 4)),
            (EpochEnd { epoch: -1, offset: -1 }, Some(Truncation::Unknown)),
        ];
        for (end, truncation) in rows {
            assert_eq!(end.truncation(read), truncation, "{end:?}");
        }
    }

    #[test]
    fn the_partitions_of_a_topic_are_asked_for_together() {
        let check = |topic, partition| Check {
            partition: TopicPartition::new(topic, partition),
            current: 4,
            read: 3,
        };
        let request = request(&[check("a", 0), check("a", 1), check("b", 0)]);
        let asked: Vec<_> =
            request.topics.iter().map(|it| (it.topic.as_str(), it.partitions.len())).collect();
        assert_eq!(asked, [("a", 2), ("b", 1)]);
        let first = &request.topics[0].partitions[0];
        assert_eq!((first.current_leader_epoch, first.leader_epoch, request.replica_id), (4, 3, -1));
    }
}
