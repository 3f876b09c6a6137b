//! Positions and what moves them: a machine at work with brokers that say what a test says.

use std::time::Duration;

use bytes::Bytes;
use vltava_wire::{
    Compression, ErrorCode, Uuid,
    messages::{
        FetchResponse, ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
        MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        fetch::{FetchableTopicResponse, PartitionData},
    },
    record::{BatchBuilder, RecordSlices, Stamp, patch_base_offset, patch_leader_epoch},
};

use super::*;
use crate::{
    Moment, Rng, Timestamp,
    cluster::{Ask, NodeId, TopicPartition, View},
};

mod budget;
mod replica;
mod stall;
mod truncation;

const NODE: NodeId = NodeId(1);
const TOPIC_ID: Uuid = Uuid(77);
const NOW: Moment = Moment(1_000_000);
const WALL: Timestamp = Timestamp(5_000_000);

struct Consumer {
    positions: Positions,
    view: View,
    rng: Rng,
}

fn orders(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

/// A consumer that reads `orders` 0 and 1 from offset 10 on; both are led by broker 1.
fn consumer(reset: Reset) -> Consumer {
    let config = Config { reset, ..Config::default() };
    let mut positions = Positions::new(config);
    (0..2).for_each(|it| positions.assign(NOW, orders(it), Start::At(Point::new(10))));
    Consumer { positions, view: view(1, 3), rng: Rng::new(1) }
}

fn view(leader_id: i32, leader_epoch: i32) -> View {
    let mut view = View::default();
    view.on_metadata(&Ask::All, metadata(TOPIC_ID, leader_id, leader_epoch));
    view
}

/// Brokers 1 and 2, and who of them leads both partitions of `orders`.
fn metadata(topic_id: Uuid, leader_id: i32, leader_epoch: i32) -> MetadataResponse {
    let led = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id,
        leader_epoch,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some("orders".into()),
        topic_id,
        partitions: (0..2).map(led).collect(),
        ..Default::default()
    };
    let broker = |node_id| MetadataResponseBroker { node_id, port: 9092, ..Default::default() };
    MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }
}

/// A batch of records from `base_offset` on.
fn batch(base_offset: i64, count: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for _ in 0..count {
        builder.append(RecordSlices::new(0, None, Some(b"value"))).expect("it fits");
    }
    let mut bytes = builder.finish(Stamp::NONE, Compression::None).expect("it has records").to_vec();
    patch_base_offset(&mut bytes, base_offset);
    bytes
}

fn answer(parts: &[(i32, ErrorCode, Vec<u8>)]) -> FetchResponse {
    let part = |(number, error, records): &(i32, ErrorCode, Vec<u8>)| PartitionData {
        partition_index: *number,
        error_code: error.code(),
        high_watermark: 100,
        log_start_offset: 4,
        records: Some(Bytes::from(records.clone())),
        ..Default::default()
    };
    let partitions = parts.iter().map(part).collect();
    let topic = FetchableTopicResponse { topic_id: TOPIC_ID, partitions, ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

impl Consumer {
    fn learns(&mut self, metadata: MetadataResponse) {
        self.view.on_metadata(&Ask::All, metadata);
    }

    fn poll(&mut self, now: Moment) -> Option<(NodeId, Todo)> {
        self.positions.poll(now, WALL, &self.view)
    }

    /// What is fetched next, partition by offset, and how long the broker may hold it.
    fn fetches(&mut self, now: Moment) -> Option<(Vec<(i32, i64)>, i32)> {
        match self.poll(now)? {
            (NODE, Todo::Fetch { request, .. }) => {
                let parts = request.topics.iter().flat_map(|it| &it.partitions);
                Some((parts.map(|it| (it.partition, it.fetch_offset)).collect(), request.max_wait_ms))
            }
            other => panic!("{other:?} is no fetch from broker 1"),
        }
    }

    fn answered(&mut self, now: Moment, parts: &[(i32, ErrorCode, Vec<u8>)]) {
        self.fetched(now, NODE, answer(parts));
    }

    fn fetched(&mut self, now: Moment, node: NodeId, answer: FetchResponse) {
        let hints = self.positions.on_fetched(now, node, answer, &mut self.rng);
        if !hints.is_empty() {
            hints.tell(&mut self.view);
        }
    }

    fn looks_up(&mut self, now: Moment) -> bool {
        matches!(self.poll(now), Some((NODE, Todo::Lookup(_))))
    }

    fn found(&mut self, partition_index: i32, offset: i64, error: ErrorCode) {
        let error_code = error.code();
        let part = ListOffsetsPartitionResponse { partition_index, error_code, offset, ..Default::default() };
        let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![part] };
        let answer = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
        self.positions.on_offsets(NOW, NODE, &answer, &mut self.rng);
    }
}

#[test]
fn all_partitions_of_a_broker_are_asked_for_at_once_and_once() {
    let mut consumer = consumer(Reset::Fail);
    assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
    assert_eq!(consumer.fetches(NOW), None);
}

#[test]
fn a_position_moves_behind_what_was_read() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::None, [batch(8, 4), batch(12, 3)].concat())]);
    let Some(Event::Fetched(fetched)) = consumer.positions.event() else { panic!("nothing was fetched") };
    assert_eq!((fetched.from, fetched.next, fetched.ends.high_watermark), (10, 15, 100));
    assert_eq!(consumer.positions.offset(&orders(0)), Some(15));
    let ends = consumer.positions.ends(&orders(0)).expect("the answer told");
    assert_eq!((ends.log_start, ends.high_watermark), (4, 100));
}

#[test]
fn a_partition_that_is_twice_in_an_answer_is_read_once() {
    let second = [(ErrorCode::None, batch(10, 5)), (ErrorCode::None, batch(15, 2))];
    for (error, records) in second.into_iter().chain([(ErrorCode::OffsetOutOfRange, vec![])]) {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 5)), (0, error, records)]);
        let event = consumer.positions.event();
        assert!(matches!(&event, Some(Event::Fetched(it)) if (it.from, it.next) == (10, 15)), "{event:?}");
        let event = consumer.positions.event();
        assert!(event.is_none(), "{event:?}");
        assert_eq!(consumer.positions.offset(&orders(0)), Some(15));
    }
}

#[test]
fn a_batch_that_is_cut_off_is_asked_for_again() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    let mut records = [batch(10, 2), batch(12, 3)].concat();
    records.truncate(records.len() - 1);
    consumer.answered(NOW, &[(0, ErrorCode::None, records)]);
    assert_eq!(consumer.positions.offset(&orders(0)), Some(12));
}

#[test]
fn a_partition_whose_reader_is_busy_is_left_out_and_the_other_goes_on() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1)), (1, ErrorCode::None, vec![])]);
    assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 5)), "held shortly, the reader may come back");
    consumer.positions.begun(&orders(0), 0);
    consumer.answered(NOW, &[(1, ErrorCode::None, vec![])]);
    assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10), (0, 11)], 500)), "who got none comes first");
}

#[test]
fn a_reader_that_stays_away_does_not_shorten_fetches_for_ever() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
    let later = NOW + Duration::from_millis(60);
    assert_eq!(consumer.fetches(later), Some((vec![(1, 10)], 60)));
}

#[test]
fn a_paused_partition_is_not_asked_for_and_keeps_its_place() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.pause(&orders(0));
    assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)));
    consumer.positions.resume(&orders(0));
    assert_eq!(consumer.fetches(NOW), None, "one fetch is under way at a time");
    consumer.answered(NOW, &[]);
    assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
}

#[test]
fn an_answer_for_an_earlier_position_is_dropped() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.positions.assign(NOW, orders(0), Start::At(Point::new(50)));
    consumer.positions.unassign(&orders(1));
    let both = [(0, ErrorCode::None, batch(10, 1)), (1, ErrorCode::None, batch(10, 1))];
    consumer.answered(NOW, &both);
    assert!(consumer.positions.event().is_none());
    assert_eq!(consumer.fetches(NOW), Some((vec![(0, 50)], 500)));
}

#[test]
fn what_waits_of_a_partition_is_dropped_with_it() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
    consumer.positions.unassign(&orders(0));
    assert!(consumer.positions.event().is_none());
}

#[test]
fn no_temporary_error_moves_a_position() {
    let passing = ErrorCode::ALL.iter().filter(|it| {
        matches!(Verdict::from(**it), Verdict::Wait | Verdict::Refresh) && **it != ErrorCode::None
    });
    for &error in passing {
        let mut consumer = consumer(Reset::To(Place::Latest));
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, error, vec![])]);
        assert!(consumer.positions.event().is_none(), "{error}");
        assert_eq!(consumer.positions.offset(&orders(0)), Some(10), "{error}");
        assert_eq!(consumer.positions.take_stale(), Verdict::from(error) == Verdict::Refresh, "{error}");
        assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)), "{error} is followed by a pause");
        let due = consumer.positions.deadline(NOW).expect("it is asked for again");
        assert!((80..=100).contains(&due.since(NOW).as_millis()), "{error}");
    }
}

#[test]
fn out_of_range_goes_on_at_the_end_of_the_log_that_was_chosen() {
    let mut consumer = consumer(Reset::To(Place::Earliest));
    consumer.fetches(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::OffsetOutOfRange, vec![])]);
    assert!(consumer.looks_up(NOW));
    assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)), "the other goes on");
    assert!(!consumer.looks_up(NOW), "the lookup is not put twice");
    consumer.found(0, 42, ErrorCode::None);
    let jumped = consumer.positions.event();
    let Some(Event::Jumped { from, to, cause, .. }) = jumped else { panic!("{jumped:?} is no jump") };
    assert_eq!((from, to, cause), (Some(10), 42, Cause::OutOfRange));
    assert_eq!(consumer.positions.offset(&orders(0)), Some(42));
}

#[test]
fn out_of_range_stops_reading_if_that_was_chosen() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.answered(NOW, &[(0, ErrorCode::OffsetOutOfRange, vec![])]);
    let failed = consumer.positions.event();
    let Some(Event::Failed { offset, failure, .. }) = failed else { panic!("{failed:?} is no failure") };
    assert_eq!((offset, failure), (Some(10), Failure::Refused(ErrorCode::OffsetOutOfRange)));
    assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)), "the other goes on");
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
    let mut consumer = consumer(Reset::To(Place::Latest));
    consumer.fetches(NOW);
    consumer.learns(metadata(Uuid(78), 1, 0));
    assert!(consumer.looks_up(NOW));
    consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
    assert!(consumer.positions.event().is_none(), "that was of the old topic");
    consumer.found(0, 0, ErrorCode::None);
    let jumped = consumer.positions.event();
    let Some(Event::Jumped { from, to, cause, .. }) = jumped else { panic!("{jumped:?} is no jump") };
    assert_eq!((from, to, cause), (Some(10), 0, Cause::Recreated));
    assert_eq!(consumer.fetches(NOW), Some((vec![(0, 0)], 500)));
}

#[test]
fn a_topic_that_was_made_anew_is_not_read_if_that_was_chosen() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.learns(metadata(Uuid(78), 1, 0));
    assert_eq!(consumer.fetches(NOW), None);
    let failed = consumer.positions.event();
    let Some(Event::Failed { offset, failure, .. }) = failed else { panic!("{failed:?} is no failure") };
    assert_eq!((offset, failure), (Some(10), Failure::Refused(ErrorCode::InconsistentTopicId)));
}

#[test]
fn a_broker_that_tells_no_id_makes_no_topic_anew() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.answered(NOW, &[]);
    consumer.learns(metadata(Uuid::ZERO, 1, 3));
    assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
    consumer.answered(NOW, &[]);
    consumer.learns(metadata(TOPIC_ID, 1, 3));
    assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
}

#[test]
fn a_start_at_an_end_of_the_log_is_looked_up() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.assign(NOW, orders(0), Start::Place(Place::Latest));
    assert!(consumer.looks_up(NOW));
    consumer.found(0, -1, ErrorCode::LeaderNotAvailable);
    assert_eq!(consumer.positions.offset(&orders(0)), None);
    assert!(consumer.positions.take_stale());
    assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)));
    let later = NOW + Duration::from_millis(100);
    assert!(consumer.looks_up(later));
    consumer.found(0, 90, ErrorCode::None);
    assert_eq!(consumer.positions.offset(&orders(0)), Some(90));
}

#[test]
fn a_cut_is_followed_by_a_pause_and_the_same_question() {
    let mut consumer = consumer(Reset::Fail);
    consumer.fetches(NOW);
    consumer.positions.on_fetch_cut(NOW, NODE, &mut consumer.rng);
    assert!(consumer.positions.take_stale());
    assert_eq!(consumer.fetches(NOW), None);
    let later = NOW + Duration::from_millis(100);
    assert_eq!(consumer.fetches(later), Some((vec![(0, 10), (1, 10)], 500)));
}

#[test]
fn without_a_leader_metadata_is_asked_for() {
    let mut consumer = consumer(Reset::Fail);
    consumer.learns(metadata(TOPIC_ID, -1, 4));
    assert_eq!(consumer.fetches(NOW), None);
    assert!(consumer.positions.take_stale());
    assert!(!consumer.positions.take_stale());
}

#[test]
fn damaged_lengths_stop_reading_instead_of_going_on() {
    let mut consumer = consumer(Reset::To(Place::Latest));
    consumer.fetches(NOW);
    let mut records = batch(10, 2);
    records[16] = 9;
    consumer.answered(NOW, &[(0, ErrorCode::None, records)]);
    let failed = consumer.positions.event();
    let corrupt = Failure::Refused(ErrorCode::CorruptMessage);
    assert!(matches!(failed, Some(Event::Failed { failure, .. }) if failure == corrupt), "{failed:?}");
}

#[test]
fn a_session_that_the_broker_dropped_is_begun_anew_at_once() {
    for error in [ErrorCode::FetchSessionIdNotFound, ErrorCode::InvalidFetchSessionEpoch] {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        let begun = FetchResponse { session_id: 7, ..answer(&[]) };
        consumer.fetched(NOW, NODE, begun);
        consumer.fetches(NOW);
        let dropped = FetchResponse { error_code: error.code(), ..Default::default() };
        consumer.fetched(NOW, NODE, dropped.clone());
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)), "{error}");
        consumer.fetched(NOW, NODE, dropped);
        assert_eq!(consumer.fetches(NOW), None, "{error}: one that is refused again, after a pause");
        assert!(consumer.positions.event().is_none(), "{error}");
    }
}

#[test]
fn a_start_at_a_time_after_the_last_record_is_at_the_end() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.unassign(&orders(1));
    consumer.positions.assign(NOW, orders(0), Start::Place(Place::Within(Duration::from_secs(1))));
    let timestamp = |consumer: &mut Consumer| match consumer.poll(NOW) {
        Some((NODE, Todo::Lookup(request))) => request.topics[0].partitions[0].timestamp,
        other => panic!("{other:?} is no lookup"),
    };
    assert_eq!(timestamp(&mut consumer), WALL.0 - 1000);
    consumer.found(0, -1, ErrorCode::None);
    assert_eq!(timestamp(&mut consumer), -1);
    consumer.found(0, 90, ErrorCode::None);
    let started = consumer.positions.event();
    assert!(matches!(started, Some(Event::Jumped { to: 90, cause: Cause::Started, .. })), "{started:?}");
}

#[test]
fn only_what_is_committed_is_asked_for_where_that_was_chosen() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.config.isolation = Isolation::ReadCommitted;
    let Some((_, Todo::Fetch { request, .. })) = consumer.poll(NOW) else { panic!("it reads") };
    assert_eq!(request.isolation_level, 1);
    let mut answer = answer(&[(0, ErrorCode::None, vec![])]);
    answer.responses[0].partitions[0].last_stable_offset = 40;
    consumer.fetched(NOW, NODE, answer);
    let ends = consumer.positions.ends(&orders(0)).expect("the answer told");
    assert_eq!(ends.readable(Isolation::ReadCommitted), 40);
    assert_eq!(ends.readable(Isolation::ReadUncommitted), 100);
}
