//! Reading from a replica nearby instead of the leader (KIP-392).

use super::*;

const NEAR: NodeId = NodeId(2);

/// A consumer that the leader has told to read `orders-0` from broker 2; partition 1 is not read.
fn sent_away(reset: Reset) -> Consumer {
    let mut consumer = consumer(reset);
    consumer.positions.unassign(&orders(1));
    consumer.sent_away(NOW);
    consumer
}

impl Consumer {
    /// The leader is asked, and names broker 2.
    fn sent_away(&mut self, now: Moment) {
        assert_eq!(self.asks(now), Some(NODE));
        let mut answer = answer(&[(0, ErrorCode::None, vec![])]);
        answer.responses[0].partitions[0].preferred_read_replica = NEAR.0;
        self.fetched(now, NODE, answer);
    }

    /// Who is asked for records.
    fn asks(&mut self, now: Moment) -> Option<NodeId> {
        match self.poll(now)? {
            (node, Todo::Fetch { .. }) => Some(node),
            other => panic!("{other:?} is no fetch"),
        }
    }
}

#[test]
fn a_reader_says_where_it_stands() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.config.rack = "east".into();
    let Some((_, Todo::Fetch { request, .. })) = consumer.poll(NOW) else { panic!("it reads") };
    assert_eq!(request.rack_id, "east");
}

#[test]
fn a_replica_that_the_leader_names_is_read_from() {
    let mut consumer = sent_away(Reset::Fail);
    assert_eq!(consumer.asks(NOW), Some(NEAR));
    consumer.fetched(NOW, NEAR, answer(&[(0, ErrorCode::None, batch(10, 1))]));
    assert_eq!(consumer.positions.offset(&orders(0)), Some(11));
    consumer.positions.begun(&orders(0), 0);
    assert_eq!(consumer.asks(NOW), Some(NEAR), "and again");
}

#[test]
fn the_leader_is_asked_again_after_a_while() {
    let mut consumer = sent_away(Reset::Fail);
    let later = NOW + Config::default().replica_age_max;
    assert_eq!(consumer.asks(later), Some(NODE));
}

#[test]
fn what_a_replica_refuses_is_asked_of_the_leader_and_moves_nothing() {
    let errors = [
        ErrorCode::OffsetOutOfRange,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::ReplicaNotAvailable,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::TopicAuthorizationFailed,
    ];
    for error in errors {
        let mut consumer = sent_away(Reset::To(Place::Latest));
        let mut now = NOW;
        for round in 1..4 {
            assert_eq!(consumer.asks(now), Some(NEAR), "{error}");
            consumer.fetched(now, NEAR, answer(&[(0, error, vec![])]));
            assert!(consumer.positions.event().is_none(), "{error}");
            assert_eq!(consumer.positions.offset(&orders(0)), Some(10), "{error}");
            assert!(consumer.poll(now).is_none(), "{error}: a pause, as both may send it to and fro");
            now = consumer.positions.deadline(now).expect("it is asked again");
            assert!(now.since(NOW) >= Duration::from_millis(80 * round), "{error}");
            consumer.sent_away(now);
        }
    }
}

#[test]
fn a_replica_that_is_behind_is_waited_for() {
    let mut consumer = sent_away(Reset::Fail);
    consumer.asks(NOW);
    consumer.fetched(NOW, NEAR, answer(&[(0, ErrorCode::OffsetNotAvailable, vec![])]));
    assert_eq!(consumer.asks(NOW + Duration::from_millis(100)), Some(NEAR));
}

#[test]
fn a_replica_that_cannot_be_reached_or_is_gone_is_not_read_from() {
    let mut consumer = sent_away(Reset::Fail);
    consumer.asks(NOW);
    consumer.positions.on_fetch_cut(NOW, NEAR, &mut consumer.rng);
    assert_eq!(consumer.asks(NOW + Duration::from_millis(100)), Some(NODE));

    let mut consumer = sent_away(Reset::Fail);
    let mut without = metadata(TOPIC_ID, 1, 3);
    without.brokers.pop();
    consumer.learns(without);
    assert_eq!(consumer.asks(NOW), Some(NODE));
}

#[test]
fn a_new_leader_decides_anew() {
    let mut consumer = sent_away(Reset::Fail);
    consumer.learns(metadata(TOPIC_ID, 1, 4));
    assert_eq!(consumer.asks(NOW), Some(NODE));
}

#[test]
fn only_records_are_asked_of_a_replica() {
    let mut consumer = sent_away(Reset::To(Place::Earliest));
    consumer.learns(metadata(Uuid(78), 1, 3));
    assert!(consumer.looks_up(NOW), "of the leader");
}
