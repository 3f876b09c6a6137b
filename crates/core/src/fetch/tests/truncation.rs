//! Logs that are not what they were when they were read (KIP-320).

use vltava_wire::messages::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
    fetch::{EpochEndOffset as Diverging, LeaderIdAndEpoch, NodeEndpoint},
};

use super::*;

const OTHER: NodeId = NodeId(2);

/// A batch that a leader wrote.
fn written(base_offset: i64, count: i64, leader_epoch: i32) -> Vec<u8> {
    let mut bytes = batch(base_offset, count);
    patch_leader_epoch(&mut bytes, leader_epoch);
    bytes
}

/// A consumer of `orders-0` alone, at an offset that was written by the leader of this epoch; the one of epoch 3
/// leads.
fn reader(reset: Reset, offset: i64, leader_epoch: i32) -> Consumer {
    let mut consumer = consumer(reset);
    consumer.positions.unassign(&orders(1));
    consumer.positions.assign(NOW, orders(0), Start::At(Point { offset, leader_epoch }));
    consumer
}

impl Consumer {
    /// The epochs that are asked about: the leader's, and the one that was read last.
    fn checks(&mut self, now: Moment) -> Option<(NodeId, i32, i32)> {
        match self.poll(now)? {
            (node, Todo::Validate(request)) => {
                let it = &request.topics[0].partitions[0];
                Some((node, it.current_leader_epoch, it.leader_epoch))
            }
            other => panic!("{other:?} does not ask for an epoch"),
        }
    }

    fn epoch_ends(&mut self, node: NodeId, leader_epoch: i32, end_offset: i64, error: ErrorCode) {
        let partitions =
            vec![EpochEndOffset { error_code: error.code(), partition: 0, leader_epoch, end_offset }];
        let topics = vec![OffsetForLeaderTopicResult { topic: "orders".into(), partitions }];
        let answer = OffsetForLeaderEpochResponse { topics, ..Default::default() };
        self.positions.on_epochs(NOW, node, &answer, &mut self.rng);
    }

    /// Whose records are asked for from where, and who is said to have written what was read last.
    fn reads(&mut self, now: Moment) -> Option<(NodeId, i64, i32, i32)> {
        match self.poll(now)? {
            (node, Todo::Fetch { request, .. }) => {
                let it = &request.topics[0].partitions[0];
                Some((node, it.fetch_offset, it.current_leader_epoch, it.last_fetched_epoch))
            }
            other => panic!("{other:?} is no fetch"),
        }
    }

    fn jumped(&mut self) -> Option<(Option<i64>, i64, Cause)> {
        match self.positions.event()? {
            Event::Jumped { from, to, cause, .. } => Some((from, to, cause)),
            other => panic!("{other:?} is no jump"),
        }
    }

    fn failed(&mut self) -> Option<Failure> {
        match self.positions.event()? {
            Event::Failed { failure, .. } => Some(failure),
            other => panic!("{other:?} is no failure"),
        }
    }
}

#[test]
fn a_fetch_names_the_leader_and_who_wrote_what_was_read_last() {
    let mut consumer = reader(Reset::Fail, 10, -1);
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, -1)));
    consumer.answered(NOW, &[(0, ErrorCode::None, [written(10, 2, 2), written(12, 1, 3)].concat())]);
    consumer.positions.begun(&orders(0), 0);
    assert_eq!(consumer.reads(NOW), Some((NODE, 13, 3, 3)));
}

#[test]
fn a_start_from_a_commit_with_an_epoch_is_checked_first() {
    let mut consumer = reader(Reset::Fail, 10, 2);
    assert_eq!(consumer.checks(NOW), Some((NODE, 3, 2)));
    assert!(consumer.poll(NOW).is_none(), "nothing is read before it is known whether the log is the same");
    consumer.epoch_ends(NODE, 2, 10, ErrorCode::None);
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, 2)), "and it is asked once");
}

#[test]
fn after_a_change_of_leader_the_log_is_compared_once() {
    let mut consumer = reader(Reset::Fail, 10, 3);
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, 3)), "the leader wrote what was read");
    consumer.answered(NOW, &[(0, ErrorCode::None, vec![])]);
    consumer.learns(metadata(TOPIC_ID, 2, 4));
    assert_eq!(consumer.checks(NOW), Some((OTHER, 4, 3)));
    consumer.epoch_ends(OTHER, 3, 50, ErrorCode::None);
    assert_eq!(consumer.reads(NOW), Some((OTHER, 10, 4, 3)));
    assert!(consumer.positions.event().is_none());
}

#[test]
fn what_was_truncated_is_read_again_from_there_and_told() {
    let mut consumer = reader(Reset::To(Place::Latest), 10, 2);
    consumer.checks(NOW);
    consumer.epoch_ends(NODE, 1, 7, ErrorCode::None);
    assert_eq!(consumer.jumped(), Some((Some(10), 7, Cause::Truncated)));
    assert_eq!(consumer.checks(NOW), Some((NODE, 3, 1)), "the log before it is compared too");
    consumer.epoch_ends(NODE, 1, 7, ErrorCode::None);
    assert_eq!(consumer.reads(NOW), Some((NODE, 7, 3, 1)));
}

#[test]
fn a_truncation_stops_reading_if_that_was_chosen_and_names_the_safe_offset() {
    let mut consumer = reader(Reset::Fail, 10, 2);
    consumer.checks(NOW);
    consumer.epoch_ends(NODE, 1, 7, ErrorCode::None);
    assert_eq!(consumer.failed(), Some(Failure::Truncated { safe: Some(7) }));
    assert!(consumer.poll(NOW).is_none());
}

#[test]
fn a_log_that_knows_nothing_of_an_epoch_is_another() {
    let mut consumer = reader(Reset::Fail, 10, 9);
    assert_eq!(consumer.checks(NOW), Some((NODE, 3, 9)));
    consumer.epoch_ends(NODE, -1, -1, ErrorCode::None);
    assert_eq!(consumer.failed(), Some(Failure::Truncated { safe: None }));

    let mut consumer = reader(Reset::To(Place::Earliest), 10, 9);
    consumer.checks(NOW);
    consumer.epoch_ends(NODE, -1, -1, ErrorCode::None);
    assert!(consumer.looks_up(NOW));
    consumer.found(0, 4, ErrorCode::None);
    assert_eq!(consumer.jumped(), Some((Some(10), 4, Cause::Truncated)));
}

#[test]
fn a_fetch_that_diverges_is_a_truncation() {
    for (reset, end_offset) in [(Reset::To(Place::Latest), 8), (Reset::Fail, 8), (Reset::Fail, 30)] {
        let mut consumer = reader(reset, 10, 3);
        consumer.reads(NOW);
        let mut answer = answer(&[(0, ErrorCode::None, batch(8, 5))]);
        answer.responses[0].partitions[0].diverging_epoch = Diverging { epoch: 2, end_offset };
        consumer.fetched(NOW, NODE, answer);
        match (reset, end_offset) {
            (Reset::Fail, 8) => assert_eq!(consumer.failed(), Some(Failure::Truncated { safe: Some(8) })),
            // Nothing is to be read again, but something that was read was another's.
            (_, 30) => assert_eq!(consumer.jumped(), Some((Some(10), 10, Cause::Truncated))),
            _ => assert_eq!(consumer.jumped(), Some((Some(10), 8, Cause::Truncated))),
        }
        assert!(consumer.positions.event().is_none(), "records that came along are of another log");
    }
}

#[test]
fn leaders_that_change_while_they_are_asked_are_asked_in_turn_and_with_a_pause() {
    let mut consumer = reader(Reset::Fail, 10, 2);
    let mut now = NOW;
    for epoch in 3..8 {
        let (node, current, read) = consumer.checks(now).expect("the latest leader is asked");
        assert_eq!((current, read), (epoch, 2));
        assert!(consumer.poll(now).is_none(), "and once");
        consumer.learns(metadata(TOPIC_ID, 1 + epoch % 2, epoch + 1));
        consumer.epoch_ends(node, -1, -1, ErrorCode::FencedLeaderEpoch);
        assert!(consumer.positions.take_stale());
        assert!(consumer.poll(now).is_none(), "a pause first");
        now = consumer.positions.deadline(now).expect("it is asked again");
    }
    let (node, ..) = consumer.checks(now).expect("the last leader is asked");
    consumer.epoch_ends(node, 2, 10, ErrorCode::None);
    assert_eq!(consumer.reads(now).map(|it| it.1), Some(10));
    assert!(consumer.positions.event().is_none());
}

#[test]
fn a_broker_that_is_too_old_to_tell_epochs_is_believed() {
    let mut consumer = reader(Reset::Fail, 10, 2);
    consumer.checks(NOW);
    consumer.positions.on_epochs_unknown(NODE);
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, 2)));

    let mut consumer = reader(Reset::Fail, 10, 2);
    consumer.checks(NOW);
    consumer.epoch_ends(NODE, -1, -1, ErrorCode::ClusterAuthorizationFailed);
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, 2)));
}

#[test]
fn a_check_that_is_cut_is_put_again() {
    let mut consumer = reader(Reset::Fail, 10, 2);
    consumer.checks(NOW);
    consumer.positions.on_epochs_cut(NOW, NODE, &mut consumer.rng);
    assert!(consumer.poll(NOW).is_none());
    assert_eq!(consumer.checks(NOW + Duration::from_millis(100)), Some((NODE, 3, 2)));
}

#[test]
fn versions_that_do_not_know_of_epochs_are_not_told() {
    let mut consumer = reader(Reset::Fail, 10, 3);
    let Some((_, Todo::Fetch { request, .. })) = consumer.poll(NOW) else { panic!("it reads") };
    let epoch = |version| in_version(request.clone(), version).topics[0].partitions[0].last_fetched_epoch;
    assert_eq!([11, 12].map(epoch), [-1, 3]);
}

/// An answer that refuses, and says who leads now.
fn moved(error: ErrorCode, leader_id: i32, leader_epoch: i32) -> FetchResponse {
    let mut answer = answer(&[(0, error, vec![])]);
    answer.responses[0].partitions[0].current_leader = LeaderIdAndEpoch { leader_id, leader_epoch };
    answer.node_endpoints =
        vec![NodeEndpoint { node_id: leader_id, host: "new".into(), port: 9092, rack: None }];
    answer
}

#[test]
fn a_leader_that_the_answer_names_is_asked_at_once_and_without_metadata() {
    for error in [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch] {
        let mut consumer = reader(Reset::Fail, 10, -1);
        consumer.reads(NOW);
        consumer.fetched(NOW, NODE, moved(error, 5, 4));
        assert!(!consumer.positions.take_stale(), "{error}");
        assert_eq!(consumer.reads(NOW), Some((NodeId(5), 10, 4, -1)), "{error}");
        assert_eq!(consumer.view.broker(NodeId(5)).map(|it| &*it.host), Some("new"));
    }
}

#[test]
fn a_leader_that_is_no_news_does_not_save_asking_for_metadata() {
    let mut consumer = reader(Reset::Fail, 10, -1);
    consumer.reads(NOW);
    consumer.fetched(NOW, NODE, moved(ErrorCode::NotLeaderOrFollower, 1, 3));
    assert!(consumer.positions.take_stale());
    assert!(consumer.poll(NOW).is_none(), "a pause first");
}

#[test]
fn the_end_of_a_log_is_where_it_was_when_its_leader_goes_without_writing() {
    let mut consumer = reader(Reset::Fail, 0, -1);
    consumer.positions.assign(NOW, orders(0), Start::Place(Place::Latest));
    assert!(consumer.looks_up(NOW));
    let part = ListOffsetsPartitionResponse { offset: 10, leader_epoch: 3, ..Default::default() };
    let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![part] };
    let found = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
    consumer.positions.on_offsets(NOW, NODE, &found, &mut consumer.rng);
    assert_eq!(consumer.jumped(), Some((None, 10, Cause::Started)));
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, 3)));
    let mut answer = answer(&[(0, ErrorCode::None, Vec::new())]);
    answer.responses[0].partitions[0].diverging_epoch = Diverging { epoch: 2, end_offset: 10 };
    consumer.fetched(NOW, NODE, answer);
    assert_eq!(consumer.jumped(), None);
    assert_eq!(consumer.checks(NOW), Some((NODE, 3, 2)), "it goes on from the epoch that the log knows");
    consumer.epoch_ends(NODE, 2, 10, ErrorCode::None);
    assert_eq!(consumer.jumped(), None);
    assert_eq!(consumer.reads(NOW), Some((NODE, 10, 3, 2)));
}
