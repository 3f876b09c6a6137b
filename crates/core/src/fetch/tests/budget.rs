//! How much is asked for, and in which order: nobody starves, and no more comes than there is room for.

use super::*;

const LEAD: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

impl Consumer {
    /// What is fetched next: partitions in their order, and how many bytes at most.
    fn asks_for(&mut self) -> Option<(Vec<i32>, i32)> {
        match self.poll(NOW)? {
            (_, Todo::Fetch { request, .. }) => {
                let parts = request.topics.iter().flat_map(|it| &it.partitions);
                Some((parts.map(|it| it.partition).collect(), request.max_bytes))
            }
            other => panic!("{other:?} is no fetch"),
        }
    }
}

#[test]
fn who_got_records_comes_last_the_next_time() {
    let mut consumer = consumer(Reset::Fail);
    let mut orders_asked = Vec::new();
    for offset in [10, 11, 12, 13] {
        let (asked, _) = consumer.asks_for().expect("all are taken");
        // The broker has room for one batch, and the first partition gets it.
        let first = asked[0];
        consumer.answered(NOW, &[(first, ErrorCode::None, batch(offset, 1))]);
        consumer.positions.begun(&orders(first), 0);
        orders_asked.push(first);
    }
    assert_eq!(orders_asked, [0, 1, 0, 1]);
}

#[test]
fn a_batch_that_is_too_large_is_asked_for_with_more_room_until_it_comes() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.unassign(&orders(1));
    let whole = batch(10, 40);
    let mut room = Vec::new();
    for part in [whole.len() / 2, whole.len() - 1, whole.len()] {
        let Some((_, Todo::Fetch { request, .. })) = consumer.poll(NOW) else { panic!("it is asked for") };
        room.push(request.topics[0].partitions[0].partition_max_bytes);
        consumer.answered(NOW, &[(0, ErrorCode::None, whole[..part].to_vec())]);
    }
    assert_eq!(room, [1 << 20, 2 << 20, 4 << 20]);
    assert_eq!(consumer.positions.offset(&orders(0)), Some(50));
    consumer.positions.begun(&orders(0), 0);
    let Some((_, Todo::Fetch { request, .. })) = consumer.poll(NOW) else { panic!("it goes on") };
    assert_eq!(request.topics[0].partitions[0].partition_max_bytes, 1 << 20, "as usual again");
}

#[test]
fn what_waits_for_its_reader_takes_room_until_it_is_taken() {
    let mut consumer = consumer(Reset::Fail);
    let waiting = batch(10, 3);
    consumer.positions.config.queue_bytes_max = waiting.len() + 7;
    assert_eq!(consumer.asks_for(), Some((vec![0, 1], waiting.len() as i32 + 7)));
    consumer.answered(NOW, &[(0, ErrorCode::None, waiting.clone())]);
    assert_eq!(consumer.asks_for(), Some((vec![1], 7)));
    consumer.answered(NOW, &[]);
    consumer.positions.config.queue_bytes_max = 1;
    assert_eq!(consumer.asks_for(), Some((vec![1], 1)), "one batch always comes");
    consumer.answered(NOW, &[]);
    consumer.positions.config.queue_bytes_max = 100;
    consumer.positions.begun(&orders(0), 0);
    assert_eq!(consumer.asks_for(), Some((vec![1, 0], 100)));
}

#[test]
fn the_next_answer_is_asked_for_while_the_last_one_is_read_and_what_is_left_takes_room() {
    let mut consumer = consumer(Reset::Fail);
    consumer.positions.unassign(&orders(1));
    consumer.positions.config.queue_bytes_max = 1_000;
    consumer.asks_for().expect("nothing waits");
    consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 3))]);
    assert_eq!(consumer.asks_for(), None, "its reader has not begun with it");
    consumer.positions.begun(&orders(0), 60);
    assert_eq!(consumer.asks_for(), Some((vec![0], 940)));
    let next = batch(13, 1);
    consumer.answered(NOW, &[(0, ErrorCode::None, next.clone())]);
    assert_eq!(consumer.asks_for(), None, "one waits behind the one that is read");
    consumer.positions.begun(&orders(0), 0);
    assert_eq!(consumer.asks_for(), Some((vec![0], 1_000)));
}

/// Three partitions, each led by a broker of its own.
fn spread(queue_bytes_max: usize) -> Consumer {
    let config = Config { queue_bytes_max, ..Config::default() };
    let mut positions = Positions::new(config);
    (0..3).for_each(|it| positions.assign(NOW, orders(it), Start::At(Point::new(10))));
    let mut metadata = metadata(TOPIC_ID, 1, 3);
    let broker = |node: NodeId| MetadataResponseBroker { node_id: node.0, port: 9092, ..Default::default() };
    metadata.brokers = LEAD.map(broker).into();
    metadata.topics[0].partitions = LEAD
        .iter()
        .zip(0..)
        .map(|(node, partition_index)| MetadataResponsePartition {
            partition_index,
            leader_id: node.0,
            leader_epoch: 3,
            ..Default::default()
        })
        .collect();
    let mut view = View::default();
    view.on_metadata(&Ask::All, metadata);
    Consumer { positions, view, rng: Rng::new(1) }
}

#[test]
fn brokers_share_the_room_and_together_never_send_more() {
    let mut consumer = spread(900);
    let shares: Vec<_> = std::iter::from_fn(|| consumer.asks_for()).map(|it| it.1).collect();
    assert_eq!(shares, [300, 300, 300]);
    let answer = answer(&[(0, ErrorCode::None, vec![])]);
    consumer.fetched(NOW, LEAD[0], answer);
    assert_eq!(consumer.asks_for().map(|it| it.1), Some(300), "what has come to nothing is free again");
}

#[test]
fn a_broker_that_asks_for_rest_gets_it_and_not_for_ever() {
    for (throttle_time_ms, rest) in [(0, 0), (-1, 0), (700, 700), (i32::MAX, 60_000)] {
        let mut consumer = consumer(Reset::Fail);
        consumer.asks_for();
        let nothing = answer(&[(0, ErrorCode::None, vec![]), (1, ErrorCode::None, vec![])]);
        consumer.fetched(NOW, NODE, FetchResponse { throttle_time_ms, ..nothing });
        if rest > 0 {
            assert_eq!(consumer.asks_for(), None, "{throttle_time_ms}");
            let due = consumer.positions.deadline(NOW).expect("it is asked again");
            assert!(due <= NOW + Duration::from_millis(rest), "{throttle_time_ms}");
        }
        let rested = NOW + Duration::from_millis(rest);
        assert!(consumer.fetches(rested).is_some(), "{throttle_time_ms}");
    }
}
