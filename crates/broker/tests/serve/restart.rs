//! What is still there after a stop.

use std::{path::Path, sync::Arc, time::Duration};

use vltava_broker::{Broker, Builder, ErrorKind, Sync, disk::Memory};
use vltava_core::Rng;
use vltava_wire::{
    Compression, ErrorCode,
    messages::{
        HeartbeatRequest, InitProducerIdRequest, JoinGroupRequest, JoinGroupRequestProtocol, MetadataRequest,
        OffsetFetchRequest, OffsetFetchRequestTopic, ProduceRequest,
    },
    record::Stamp,
};

use crate::{
    caller::{Caller, batch, fetch, fetched, produce, records, text},
    commits::commit,
};

/// What a broker must not forget: name, topic, records, who wrote them, how far a group has come.
#[derive(Debug, PartialEq)]
struct Memories {
    cluster_id: String,
    topic: Option<(vltava_wire::Uuid, usize)>,
    records: Vec<(i64, String)>,
    committed: i64,
}

/// The one batch of the only producer, so that its copy can be sent again.
fn numbered(producer_id: i64) -> ProduceRequest {
    let stamp = Stamp { producer_id, producer_epoch: 0, base_sequence: 0, transactional: false };
    produce(-1, batch(1_000, &["a", "b"], stamp, Compression::Lz4))
}

async fn fill(broker: &Broker) -> i64 {
    let mut caller = Caller::of(broker);
    let id = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let producer_id = caller.call(4, id).await.producer_id;
    let produced = caller.call(9, numbered(producer_id)).await;
    assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    let committed = caller.call(8, commit(0, 2, "done")).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, 0);
    producer_id
}

async fn remembered(broker: &Broker, producer_id: i64) -> Memories {
    let mut caller = Caller::of(broker);
    let copy = caller.call(9, numbered(producer_id)).await;
    assert_eq!(copy.responses[0].partition_responses[0].base_offset, 0, "the copy is known as one");
    let id = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    assert_ne!(caller.call(4, id).await.producer_id, producer_id, "no producer id is given twice");
    let metadata = caller.call(12, MetadataRequest { topics: None, ..Default::default() }).await;
    let topic = OffsetFetchRequestTopic { name: text("orders"), partition_indexes: vec![0] };
    let request =
        OffsetFetchRequest { group_id: text("audit"), topics: Some(vec![topic]), ..Default::default() };
    Memories {
        cluster_id: metadata.cluster_id.unwrap(),
        topic: metadata.topics.first().map(|it| (it.topic_id, it.partitions.len())),
        records: records(fetched(&caller.call(12, fetch(0, 0)).await)),
        committed: caller.call(7, request).await.topics[0].partitions[0].committed_offset,
    }
}

fn check(before: &Memories, after: &Memories) {
    assert_eq!(before, after);
    assert_eq!(after.records, [(0, text("a")), (1, text("b"))]);
    assert_eq!(after.committed, 2);
}

#[tokio::test(start_paused = true)]
async fn everything_is_there_after_a_clean_stop_and_after_a_loss_of_power() {
    let disk = Memory::unreliable();
    let on = |disk: &Memory| Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 3);
    let broker = on(&disk).start().await.unwrap();
    let producer_id = fill(&broker).await;
    let before = remembered(&broker, producer_id).await;
    broker.shutdown().await.unwrap();

    let broker = on(&disk).start().await.unwrap();
    check(&before, &remembered(&broker, producer_id).await);

    let disk = disk.after_power_loss(&mut Rng::new(3));
    drop(broker);
    let broker = on(&disk).start().await.unwrap();
    check(&before, &remembered(&broker, producer_id).await);
}

fn in_folder(folder: &Path) -> Builder {
    Broker::open(folder).topic("orders", 3)
}

#[tokio::test]
async fn a_folder_keeps_everything_and_has_one_broker_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let broker = in_folder(folder.path()).start().await.unwrap();
    let producer_id = fill(&broker).await;
    let before = remembered(&broker, producer_id).await;
    let second = in_folder(folder.path()).start().await.expect_err("the folder is taken");
    assert_eq!(second.kind(), ErrorKind::Locked);
    broker.shutdown().await.unwrap();

    let broker = in_folder(folder.path()).start().await.unwrap();
    check(&before, &remembered(&broker, producer_id).await);
    broker.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn however_rarely_it_syncs_a_clean_stop_keeps_everything() {
    for sync in [Sync::Os, Sync::Interval(Duration::from_secs(1))] {
        let disk = Memory::unreliable();
        let on =
            |disk: &Memory| Broker::in_memory().disk(Arc::new(disk.clone())).sync(sync).topic("orders", 3);
        let broker = on(&disk).start().await.unwrap();
        let producer_id = fill(&broker).await;
        let before = remembered(&broker, producer_id).await;
        broker.shutdown().await.unwrap();
        let broker = on(&disk.after_power_loss(&mut Rng::new(5))).start().await.unwrap();
        check(&before, &remembered(&broker, producer_id).await);
    }
    let never = Broker::in_memory().sync(Sync::Interval(Duration::ZERO)).start().await;
    assert_eq!(never.expect_err("no time is no interval").kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_not_told_its_share_is_unknown_after_a_restart() {
    let disk = Memory::new();
    let on = |disk: &Memory| Broker::in_memory().disk(Arc::new(disk.clone()));
    let broker = on(&disk).start().await.unwrap();
    let join = JoinGroupRequest {
        group_id: text("audit"),
        session_timeout_ms: 10_000,
        protocol_type: text("consumer"),
        protocols: vec![JoinGroupRequestProtocol { name: text("range"), ..Default::default() }],
        ..Default::default()
    };
    let joined = Caller::of(&broker).call(3, join).await;
    assert_eq!(joined.error_code, 0);
    broker.shutdown().await.unwrap();

    let broker = on(&disk).start().await.unwrap();
    let beat = HeartbeatRequest {
        group_id: text("audit"),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..Default::default()
    };
    let told = Caller::of(&broker).call(4, beat).await;
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::UnknownMemberId);
}

#[tokio::test(start_paused = true)]
async fn topics_and_addresses_that_make_no_sense_are_named() {
    for (builder, named) in [
        (Broker::in_memory().topic("a/b", 1), "a/b"),
        (Broker::in_memory().topic("orders", 0), "0"),
        (Broker::in_memory().listen("9092"), "9092"),
        (Broker::in_memory().listen("::1:9092"), "::1:9092"),
        (Broker::in_memory().advertise("here"), "here"),
    ] {
        let error = builder.start().await.expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test]
async fn localhost_is_both_addresses_and_clients_are_told_the_one_they_came_in_by() {
    let broker = Broker::in_memory().listen("localhost:0").start().await.unwrap();
    let addresses = broker.addresses();
    assert!(!addresses.is_empty());
    assert!(addresses.iter().all(|it| it.port() == addresses[0].port()), "{addresses:?}");
    for address in addresses {
        let mut caller = Caller::over(tokio::net::TcpStream::connect(address).await.unwrap());
        let metadata = caller.call(12, MetadataRequest { topics: None, ..Default::default() }).await;
        assert_eq!(metadata.brokers[0].host, address.ip().to_string());
        assert_eq!(metadata.brokers[0].port, i32::from(address.port()));
        assert!(broker.bootstrap().contains(&address.to_string()));
    }
    broker.shutdown().await.unwrap();
}
