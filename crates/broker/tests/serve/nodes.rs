//! Several node ids: who leads and coordinates, who is refused, and what moves when leaders are moved and nodes stop.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use vltava_broker::{Broker, Builder, ErrorKind, disk::Memory};
use vltava_core::Rng;
use vltava_wire::{
    Api, Compression, ErrorCode, Uuid,
    messages::{
        CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest, DeleteRecordsPartition,
        DeleteRecordsRequest, DeleteRecordsTopic, FetchRequest, InitProducerIdRequest, ListOffsetsPartition,
        ListOffsetsRequest, ListOffsetsTopic, MetadataRequest, MetadataResponse, MetadataResponsePartition,
        OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic, ProduceRequest,
    },
    record::{Stamp, batches},
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records, text};

/// A broker of three nodes, of which the first leads partition 0 of `orders`.
fn three() -> Builder {
    Broker::in_memory().nodes(3).topic("orders", 4)
}

/// A connection to one node.
fn at(broker: &Broker, node: i32) -> Caller {
    let connector = broker.node(node).expect("there is such a node").connector();
    Caller::over(connector.connect().expect("the node runs"))
}

async fn metadata(caller: &mut Caller) -> MetadataResponse {
    caller.call(12, MetadataRequest { topics: None, ..Default::default() }).await
}

/// Leader and leader epoch of each partition of a topic.
async fn led(caller: &mut Caller, topic: &str) -> Vec<(i32, i32)> {
    let told = metadata(caller).await;
    let topic = told.topics.iter().find(|it| it.name.as_deref() == Some(topic)).expect("it is told");
    topic.partitions.iter().map(|it| (it.leader_id, it.leader_epoch)).collect()
}

fn numbers(nodes: &[i32]) -> Vec<i32> {
    nodes.to_vec()
}

fn plain(values: &[&str]) -> ProduceRequest {
    produce(-1, batch(1_000, values, Stamp::NONE, Compression::None))
}

/// What becomes of a batch for partition 0.
async fn produced(caller: &mut Caller, values: &[&str]) -> ErrorCode {
    let response = caller.call(9, plain(values)).await;
    response.responses[0].partition_responses[0].error_code.into()
}

/// Fetches partition 0 as a client that knows its leader's epoch.
fn fetch_in(epoch: i32, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let mut request = fetch(offset, max_wait_ms);
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    request
}

/// How far an epoch of partition 0 reached, by a client that knows of `current`.
async fn reached(caller: &mut Caller, current: i32, epoch: i32) -> Result<(i32, i64), ErrorCode> {
    let partition =
        OffsetForLeaderPartition { partition: 0, current_leader_epoch: current, leader_epoch: epoch };
    let topics = vec![OffsetForLeaderTopic { topic: text("orders"), partitions: vec![partition] }];
    let response = caller.call(4, OffsetForLeaderEpochRequest { topics, ..Default::default() }).await;
    let told = &response.topics[0].partitions[0];
    match told.error_code.into() {
        ErrorCode::None => Ok((told.leader_epoch, told.end_offset)),
        code => Err(code),
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_names_the_nodes_and_spreads_new_topics_over_them() {
    let broker = three().start().await.unwrap();
    for node in 1..=3 {
        let mut caller = at(&broker, node);
        let told = metadata(&mut caller).await;
        let brokers: Vec<_> = told.brokers.iter().map(|it| (it.node_id, it.host.as_str(), it.port)).collect();
        assert_eq!(brokers, [(1, "in-process", 9092), (2, "in-process", 9093), (3, "in-process", 9094)]);
        assert_eq!(told.controller_id, 1);
        for MetadataResponsePartition { replica_nodes, isr_nodes, offline_replicas, .. } in
            &told.topics[0].partitions
        {
            assert_eq!((replica_nodes, isr_nodes), (&numbers(&[1, 2, 3]), &numbers(&[1, 2, 3])));
            assert_eq!(offline_replicas, &numbers(&[]));
        }
        assert_eq!(led(&mut caller, "orders").await, [(1, 0), (2, 0), (3, 0), (1, 0)]);
    }
    assert_eq!(broker.bootstrap(), "in-process:9092,in-process:9093,in-process:9094");
    assert_eq!(broker.nodes().map(|it| it.id()).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_lead_refuses_what_only_leaders_do() {
    let broker = three().start().await.unwrap();
    let (mut first, mut second) = (at(&broker, 1), at(&broker, 2));
    assert_eq!(produced(&mut first, &["a", "b"]).await, ErrorCode::None);
    assert_eq!(produced(&mut second, &["c"]).await, ErrorCode::NotLeaderOrFollower);
    let response = second.call(10, fetch(0, 0)).await;
    assert_eq!(ErrorCode::from(fetched(&response).error_code), ErrorCode::NotLeaderOrFollower);
    let asked = |current_leader_epoch| {
        let partitions =
            vec![ListOffsetsPartition { partition_index: 0, current_leader_epoch, timestamp: -1 }];
        let topics = vec![ListOffsetsTopic { name: text("orders"), partitions }];
        ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }
    };
    let listed = second.call(7, asked(-1)).await.topics[0].partitions[0].error_code;
    assert_eq!(ErrorCode::from(listed), ErrorCode::NotLeaderOrFollower);
    let listed = second.call(7, asked(5)).await.topics[0].partitions[0].error_code;
    assert_eq!(ErrorCode::from(listed), ErrorCode::UnknownLeaderEpoch, "the epoch comes first");
    assert_eq!(reached(&mut second, 0, 0).await, Err(ErrorCode::NotLeaderOrFollower));
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 1 }];
    let topics = vec![DeleteRecordsTopic { name: text("orders"), partitions }];
    let deleted = second.call(2, DeleteRecordsRequest { topics, timeout_ms: 1000 }).await;
    let told = &deleted.topics[0].partitions[0];
    assert_eq!((ErrorCode::from(told.error_code), told.low_watermark), (ErrorCode::NotLeaderOrFollower, -1));
    // Nothing of it happened.
    assert_eq!(first.call(7, asked(0)).await.topics[0].partitions[0].offset, 2);
    assert_eq!(records(fetched(&first.call(12, fetch(0, 0)).await)).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_a_producer_at_the_wrong_node_learns_it_by_being_cut_off() {
    let broker = three().start().await.unwrap();
    let mut caller = at(&broker, 3);
    caller.send(9, &produce(0, batch(1_000, &["a"], Stamp::NONE, Compression::None))).await;
    caller.closed().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_told_who_leads() {
    let broker = three().start().await.unwrap();
    broker.move_leader("orders", 0, 2).await.unwrap();
    let mut third = at(&broker, 3);
    let id = metadata(&mut third).await.topics[0].topic_id;
    for version in Api::Produce.versions().filter(|it| *it >= 3) {
        let mut request = plain(&["a"]);
        request.topic_data[0].topic_id = if version >= 13 { id } else { Uuid::ZERO };
        let response = third.call(version, request).await;
        let told = &response.responses[0].partition_responses[0];
        assert_eq!(ErrorCode::from(told.error_code), ErrorCode::NotLeaderOrFollower, "version {version}");
        let leader = (told.current_leader.leader_id, told.current_leader.leader_epoch);
        let endpoints: Vec<_> =
            response.node_endpoints.iter().map(|it| (it.node_id, it.host.as_str(), it.port)).collect();
        match version {
            10.. => assert_eq!((leader, endpoints), ((2, 1), vec![(2, "in-process", 9093)])),
            _ => assert_eq!((leader, endpoints), ((-1, -1), vec![])),
        }
    }
    let mut first = at(&broker, 1);
    for version in Api::Fetch.versions().filter(|it| *it >= 9) {
        let mut request = fetch_in(0, 0, 0);
        request.topics[0].topic_id = if version >= 13 { id } else { Uuid::ZERO };
        let response = first.call(version, request).await;
        let told = fetched(&response);
        assert_eq!(ErrorCode::from(told.error_code), ErrorCode::FencedLeaderEpoch, "version {version}");
        let leader = (told.current_leader.leader_id, told.current_leader.leader_epoch);
        let endpoints: Vec<_> =
            response.node_endpoints.iter().map(|it| (it.node_id, it.host.as_str(), it.port)).collect();
        match version {
            16.. => assert_eq!((leader, endpoints), ((2, 1), vec![(2, "in-process", 9093)])),
            _ => assert_eq!((leader, endpoints), ((-1, -1), vec![])),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_running_node_is_fetched_from_by_who_knows_the_epoch() {
    let broker = three().start().await.unwrap();
    assert_eq!(produced(&mut at(&broker, 1), &["a", "b"]).await, ErrorCode::None);
    let mut third = at(&broker, 3);
    for version in [11, 12] {
        let response = third.call(version, fetch_in(0, 0, 0)).await;
        assert_eq!(records(fetched(&response)).len(), 2, "version {version}");
        assert_eq!(fetched(&response).preferred_read_replica, -1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_begins_another_epoch_where_the_log_ended() {
    let broker = three().start().await.unwrap();
    assert_eq!(produced(&mut at(&broker, 1), &["a", "b"]).await, ErrorCode::None);
    broker.move_leader("orders", 0, 3).await.unwrap();
    let mut third = at(&broker, 3);
    assert_eq!(led(&mut third, "orders").await, [(3, 1), (2, 0), (3, 0), (1, 0)]);
    assert_eq!(produced(&mut third, &["c"]).await, ErrorCode::None);
    assert_eq!(produced(&mut at(&broker, 1), &["d"]).await, ErrorCode::NotLeaderOrFollower);
    // It leads already, so that nothing changes.
    broker.move_leader("orders", 0, 3).await.unwrap();
    assert_eq!(led(&mut third, "orders").await[0], (3, 1));
    assert_eq!(reached(&mut third, 1, 0).await, Ok((0, 2)));
    assert_eq!(reached(&mut third, 1, 1).await, Ok((1, 3)));
    assert_eq!(reached(&mut third, 0, 0).await, Err(ErrorCode::FencedLeaderEpoch));
    let response = third.call(12, fetch_in(1, 0, 0)).await;
    let all = batches(fetched(&response).records.clone().unwrap());
    assert_eq!(all.map(|it| it.unwrap().header().leader_epoch).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_waits_at_the_leader_learns_of_the_next_one_at_once() {
    let broker = three().start().await.unwrap();
    for (version, epoch, expected) in
        [(12, 0, ErrorCode::FencedLeaderEpoch), (10, -1, ErrorCode::NotLeaderOrFollower)]
    {
        let mut first = at(&broker, 1);
        let begun = Instant::now();
        let id = first.send(version, &fetch_in(epoch, 0, 20_000)).await;
        assert!(timeout(Duration::from_secs(1), first.frame()).await.is_err(), "it waits");
        broker.move_leader("orders", 0, 2).await.unwrap();
        let response = first.receive::<FetchRequest>(version, id).await;
        assert_eq!(ErrorCode::from(fetched(&response).error_code), expected);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        broker.move_leader("orders", 0, 1).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_batch_is_known_as_one_by_the_next_leader() {
    let broker = three().start().await.unwrap();
    let mut first = at(&broker, 1);
    let id = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let producer_id = first.call(4, id).await.producer_id;
    let stamp = Stamp { producer_id, producer_epoch: 0, base_sequence: 0, transactional: false };
    let sent = || produce(-1, batch(1_000, &["a"], stamp, Compression::None));
    assert_eq!(first.call(9, sent()).await.responses[0].partition_responses[0].error_code, 0);
    broker.move_leader("orders", 0, 2).await.unwrap();
    let mut second = at(&broker, 2);
    let copy = second.call(9, sent()).await;
    assert_eq!(copy.responses[0].partition_responses[0].base_offset, 0);
    assert_eq!(records(fetched(&second.call(12, fetch(0, 0)).await)), [(0, text("a"))]);
}

#[tokio::test(start_paused = true)]
async fn moves_outlast_a_restart_and_a_loss_of_power() {
    let disk = Memory::unreliable();
    let start = |disk: &Memory| three().disk(Arc::new(disk.clone())).seed(5).start();
    let broker = start(&disk).await.unwrap();
    assert_eq!(led(&mut at(&broker, 1), "orders").await, [(1, 0), (2, 0), (3, 0), (1, 0)]);
    broker.move_leader("orders", 0, 2).await.unwrap();
    broker.move_leader("orders", 0, 3).await.unwrap();
    broker.move_leader("orders", 1, 1).await.unwrap();
    broker.shutdown().await.unwrap();
    // The image has it. Who comes back leads anew.
    let broker = start(&disk).await.unwrap();
    let expected = [(3, 3), (1, 2), (3, 1), (1, 1)];
    assert_eq!(led(&mut at(&broker, 1), "orders").await, expected);
    broker.move_leader("orders", 3, 2).await.unwrap();
    for seed in 0..20 {
        // The journal has it.
        let disk = disk.after_power_loss(&mut Rng::new(seed));
        let again = start(&disk).await.unwrap();
        let expected = [(3, 4), (1, 3), (3, 2), (2, 3)];
        assert_eq!(led(&mut at(&again, 1), "orders").await, expected, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_is_cut_off_and_the_next_one_leads() {
    let broker = three().start().await.unwrap();
    let second = broker.node(2).unwrap();
    let mut on_it = at(&broker, 2);
    // It waits for an answer that does not come.
    on_it.send(12, &fetch(0, 20_000)).await;
    second.stop().await.unwrap();
    on_it.closed().await;
    assert!(!second.is_running());
    let refused = second.connector().connect().expect_err("it was stopped");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let mut first = at(&broker, 1);
    assert_eq!(led(&mut first, "orders").await, [(1, 0), (3, 1), (3, 0), (1, 0)]);
    let told = metadata(&mut first).await;
    assert_eq!(told.brokers.iter().map(|it| it.node_id).collect::<Vec<_>>(), [1, 3]);
    let MetadataResponsePartition { replica_nodes, isr_nodes, offline_replicas, .. } =
        &told.topics[0].partitions[0];
    assert_eq!(
        (replica_nodes, isr_nodes, offline_replicas),
        (&numbers(&[1, 2, 3]), &numbers(&[1, 3]), &numbers(&[2]))
    );
    // New topics go where they can be led.
    let create = CreatableTopic {
        name: text("late"),
        num_partitions: 3,
        replication_factor: -1,
        ..Default::default()
    };
    let create = CreateTopicsRequest { topics: vec![create], timeout_ms: 1000, validate_only: false };
    assert_eq!(first.call(7, create).await.topics[0].error_code, 0);
    assert_eq!(led(&mut first, "late").await, [(1, 0), (3, 0), (3, 0)]);
    // One that is back leads nothing, until something is given to it.
    second.start().await.unwrap();
    assert!(second.is_running());
    let mut on_it = at(&broker, 2);
    assert_eq!(led(&mut on_it, "orders").await, [(1, 0), (3, 1), (3, 0), (1, 0)]);
    assert_eq!(metadata(&mut on_it).await.topics[0].partitions[0].isr_nodes, [1, 2, 3]);
    broker.move_leader("orders", 1, 2).await.unwrap();
    assert_eq!(led(&mut on_it, "orders").await[1], (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_successor_cannot_be_written_down_goes_on() {
    let broker = three().start().await.unwrap();
    let second = broker.node(2).unwrap();
    broker.faults().disk().full();
    let refused = second.stop().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(refused.to_string().contains("node 2 goes on"), "{refused}");
    assert!(second.is_running());
    assert_eq!(led(&mut at(&broker, 2), "orders").await, [(1, 0), (2, 0), (3, 0), (1, 0)]);
    broker.faults().disk().lift();
    second.stop().await.unwrap();
    assert_eq!(led(&mut at(&broker, 1), "orders").await, [(1, 0), (3, 1), (3, 0), (1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_running_node_does_not_stop_and_what_is_not_there_is_named() {
    let broker = three().start().await.unwrap();
    broker.node(1).unwrap().stop().await.unwrap();
    broker.node(1).unwrap().stop().await.expect("it is stopped already");
    let named = |error: vltava_broker::Error, kind, name: &str| {
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(name), "{error}");
    };
    named(broker.move_leader("orders", 0, 1).await.unwrap_err(), ErrorKind::NodeStopped, "node 1");
    named(broker.move_leader("orders", 0, 4).await.unwrap_err(), ErrorKind::UnknownNode, "node 4");
    named(broker.move_leader("orders", 0, 0).await.unwrap_err(), ErrorKind::UnknownNode, "node 0");
    let unknown = ErrorKind::UnknownTopicOrPartition;
    named(broker.move_leader("orders", 4, 2).await.unwrap_err(), unknown, "orders-4");
    named(broker.move_leader("orders", -1, 2).await.unwrap_err(), unknown, "orders--1");
    named(broker.move_leader("nobody", 0, 2).await.unwrap_err(), unknown, "nobody-0");
    named(broker.node(4).unwrap_err(), ErrorKind::UnknownNode, "node 4");
    broker.node(2).unwrap().stop().await.unwrap();
    named(broker.node(3).unwrap().stop().await.unwrap_err(), ErrorKind::LastNode, "node 3");
    let mut third = at(&broker, 3);
    assert_eq!(led(&mut third, "orders").await, [(3, 2), (3, 1), (3, 0), (3, 2)]);
    assert_eq!(metadata(&mut third).await.controller_id, 3);
    // The way to all of them leads to the one that is left.
    assert_eq!(led(&mut Caller::of(&broker), "orders").await[0], (3, 2));
    broker.shutdown().await.expect("nodes that are stopped do not keep it from stopping");
}

#[tokio::test(start_paused = true)]
async fn numbers_of_nodes_and_addresses_that_make_no_sense_are_named() {
    for (builder, named) in [
        (Broker::in_memory().nodes(0), "not 0"),
        (Broker::in_memory().nodes(65), "not 65"),
        (Broker::in_memory().nodes(3).listen("127.0.0.1:65534"), "node 3"),
        (Broker::in_memory().nodes(3).advertise("broker:65534"), "node 3"),
        (Broker::in_memory().nodes(3).advertise("a:1").advertise("b:1"), "2 addresses"),
    ] {
        let error = builder.start().await.expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_what_is_advertised_and_led_there() {
    let named = three().advertise("one:9092").advertise("two:9092").advertise("three:9092");
    let in_a_row = three().advertise("[fd00::1]:9092");
    for (builder, expected) in
        [(named, "one:9092,two:9092,three:9092"), (in_a_row, "[fd00::1]:9092,[fd00::1]:9093,[fd00::1]:9094")]
    {
        let broker = builder.start().await.unwrap();
        assert_eq!(broker.bootstrap(), expected);
        let told = metadata(&mut Caller::of(&broker)).await;
        for it in &told.brokers {
            let port = u16::try_from(it.port).unwrap();
            let pipe = broker.connector().connect_to(&it.host, port).unwrap();
            // Only the leader of a partition takes a batch for it.
            broker.move_leader("orders", 0, it.node_id).await.unwrap();
            assert_eq!(produced(&mut Caller::over(pipe), &["a"]).await, ErrorCode::None);
        }
        let elsewhere = broker.connector().connect_to("somewhere", 1).expect("it leads to the first");
        broker.move_leader("orders", 0, 1).await.unwrap();
        assert_eq!(produced(&mut Caller::over(elsewhere), &["a"]).await, ErrorCode::None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_of_more_nodes_is_led_by_those_there_are() {
    let disk = Memory::new();
    let on = |builder: Builder| builder.disk(Arc::new(disk.clone())).start();
    let broker = on(three()).await.unwrap();
    broker.move_leader("orders", 3, 3).await.unwrap();
    broker.shutdown().await.unwrap();
    let broker = on(Broker::in_memory().nodes(2)).await.unwrap();
    assert_eq!(led(&mut at(&broker, 1), "orders").await, [(1, 1), (2, 1), (1, 2), (1, 3)]);
    broker.shutdown().await.unwrap();
    let broker = on(Broker::in_memory()).await.unwrap();
    assert_eq!(led(&mut Caller::of(&broker), "orders").await, [(1, 2), (1, 3), (1, 3), (1, 4)]);
    broker.shutdown().await.unwrap();
    // Topics that are there stay where they are when there are more nodes again.
    let broker = on(three()).await.unwrap();
    assert_eq!(led(&mut at(&broker, 1), "orders").await, [(1, 3), (1, 4), (1, 4), (1, 5)]);
}

#[tokio::test(start_paused = true)]
async fn who_says_where_replicas_go_says_who_leads() {
    let broker = three().start().await.unwrap();
    let assigned = |to: &[&[i32]]| {
        let assignment = |(partition_index, broker_ids): (i32, &&[i32])| CreatableReplicaAssignment {
            partition_index,
            broker_ids: broker_ids.to_vec(),
        };
        let topic = CreatableTopic {
            name: text("assigned"),
            num_partitions: -1,
            replication_factor: -1,
            assignments: (0..).zip(to).map(assignment).collect(),
            ..Default::default()
        };
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, validate_only: false }
    };
    let mut caller = at(&broker, 2);
    for wrong in [&[&[4][..]][..], &[&[1, 1]], &[&[]], &[&[1], &[2, 0]]] {
        let told = caller.call(7, assigned(wrong)).await;
        assert_eq!(ErrorCode::from(told.topics[0].error_code), ErrorCode::InvalidReplicaAssignment);
        let message = told.topics[0].error_message.as_deref().unwrap_or_default();
        assert!(message.contains("1 to 3"), "{message}");
    }
    let told = caller.call(7, assigned(&[&[3, 1], &[2], &[3]])).await;
    assert_eq!((told.topics[0].error_code, told.topics[0].replication_factor), (0, 3));
    assert_eq!(led(&mut caller, "assigned").await, [(3, 0), (2, 0), (3, 0)]);
}

#[tokio::test]
async fn each_node_listens_on_a_port_of_its_own_and_has_it_again_after_a_stop() {
    let broker = three().listen("127.0.0.1:0").start().await.unwrap();
    let addresses = broker.addresses();
    assert_eq!(addresses.len(), 3);
    assert_eq!(broker.bootstrap(), addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    for (node, address) in broker.nodes().zip(&addresses) {
        assert_eq!(node.addresses(), [*address]);
        let mut caller = Caller::over(tokio::net::TcpStream::connect(address).await.unwrap());
        let told = caller.call(12, MetadataRequest { topics: None, ..Default::default() }).await;
        let ports: Vec<_> = told.brokers.iter().map(|it| it.port).collect();
        assert_eq!(ports, addresses.iter().map(|it| i32::from(it.port())).collect::<Vec<_>>());
        // It is this node: it alone takes what it leads.
        broker.move_leader("orders", 0, node.id()).await.unwrap();
        let sent = caller.call(9, plain(&["a"])).await;
        assert_eq!(sent.responses[0].partition_responses[0].error_code, 0);
        node.stop().await.unwrap();
        let refused = tokio::net::TcpStream::connect(address).await.expect_err("it was stopped");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        node.start().await.unwrap();
        tokio::net::TcpStream::connect(address).await.expect("it is there again");
    }
    broker.shutdown().await.unwrap();
}
