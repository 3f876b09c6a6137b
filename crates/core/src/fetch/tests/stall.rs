//! Partitions that do not get on though there is more of them: told of, and asked for anew.

use vltava_wire::messages::FetchRequest;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A consumer of `orders-0` alone.
fn reader() -> Consumer {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.unassign(&orders(1));
    consumer
}

impl Consumer {
    fn stalled(&mut self) -> Option<(Duration, Stall)> {
        match self.positions.event()? {
            Event::Stalled { partition, since, stall } if partition == orders(0) => Some((since, stall)),
            other => panic!("{other:?} is no stall"),
        }
    }

    fn next_fetch(&mut self, now: Moment) -> FetchRequest {
        match self.poll(now) {
            Some((NODE, Todo::Fetch { request, .. })) => request,
            other => panic!("{other:?} is no fetch"),
        }
    }

    /// A broker keeps a session and has nothing, but says that there is more.
    fn has_nothing(&mut self, now: Moment) {
        let nothing = answer(&[(0, ErrorCode::None, vec![])]);
        self.fetched(now, NODE, FetchResponse { session_id: 7, ..nothing });
    }
}

#[test]
fn a_broker_that_does_not_send_what_it_has_is_told_of_and_its_session_is_begun_anew() {
    let mut consumer = reader();
    consumer.next_fetch(NOW);
    consumer.has_nothing(NOW);
    let just_before = NOW + (PATIENCE - Duration::from_micros(1));
    assert_eq!(consumer.next_fetch(just_before).session_id, 7);
    assert_eq!(consumer.stalled(), None);
    consumer.has_nothing(just_before);
    let request = consumer.next_fetch(NOW + PATIENCE);
    assert_eq!(consumer.stalled(), Some((PATIENCE, Stall::Nothing(NODE))));
    assert_eq!((request.session_id, request.topics.len()), (0, 1));
    assert!(consumer.positions.take_stale());
    assert!(consumer.poll(NOW + (PATIENCE * 2 - Duration::from_micros(1))).is_none());
    assert_eq!(consumer.stalled(), None, "it is told once in so long");
    consumer.poll(NOW + PATIENCE * 2);
    assert_eq!(consumer.stalled(), Some((PATIENCE, Stall::NoAnswer(NODE))));
}

#[test]
fn what_it_waits_for_is_told() {
    let mut consumer = reader();
    consumer.learns(metadata(TOPIC_ID, -1, 4));
    consumer.poll(NOW + PATIENCE);
    assert_eq!(consumer.stalled(), Some((PATIENCE, Stall::NoLeader)));

    let mut consumer = reader();
    consumer.next_fetch(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::KafkaStorageError, vec![])]);
    consumer.poll(NOW + PATIENCE);
    assert_eq!(consumer.stalled(), Some((PATIENCE, Stall::Refused(NODE, ErrorCode::KafkaStorageError))));

    let mut consumer = reader();
    consumer.next_fetch(NOW);
    consumer.positions.on_fetch_cut(NOW, NODE, &mut consumer.rng);
    consumer.poll(NOW + PATIENCE);
    assert_eq!(consumer.stalled(), Some((PATIENCE, Stall::Cut(NODE))));
}

#[test]
fn who_reads_on_or_has_read_all_or_does_not_want_more_does_not_stand_still() {
    let hour = NOW + Duration::from_secs(3600);
    let mut at_end = reader();
    at_end.positions.assign(NOW, orders(0), Start::At(Point::new(100)));
    at_end.next_fetch(NOW);
    at_end.has_nothing(NOW);
    at_end.poll(hour);
    assert_eq!(at_end.stalled(), None);

    let mut paused = reader();
    paused.positions.pause(&orders(0));
    paused.poll(hour);
    assert_eq!(paused.stalled(), None);
    paused.positions.resume(&orders(0));
    paused.poll(hour);
    assert_eq!(paused.stalled(), None, "and has its time from then on");

    let mut full = reader();
    full.next_fetch(NOW);
    full.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
    assert!(matches!(full.positions.event(), Some(Event::Fetched(_))));
    full.poll(hour);
    assert_eq!(full.stalled(), None);
}

#[test]
fn it_is_asked_in_time_whether_something_stands_still() {
    let mut consumer = reader();
    consumer.next_fetch(NOW);
    assert_eq!(consumer.positions.deadline(NOW), Some(NOW + PATIENCE));
}

#[test]
fn a_broker_that_may_hold_a_fetch_for_long_is_not_told_of_for_doing_so() {
    let mut consumer = reader();
    consumer.positions.config.wait_max = PATIENCE;
    consumer.next_fetch(NOW);
    consumer.poll(NOW + PATIENCE);
    assert_eq!(consumer.stalled(), None);
    consumer.poll(NOW + PATIENCE * 2);
    assert_eq!(consumer.stalled(), Some((PATIENCE * 2, Stall::NoAnswer(NODE))));
}
