//! Faults on demand: errors and moves of leaders, where they strike, how often, and what they leave.

use std::time::Duration;

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, time::Instant};
use vltava_broker::{
    Broker, ErrorCode,
    faults::{Faults, Rule, Topics},
};
use vltava_wire::{
    Compression, Uuid,
    messages::{
        ApiVersionsRequest, CreatableTopic, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest,
        InitProducerIdRequest, MetadataRequest, MetadataRequestTopic, OffsetFetchRequest,
        OffsetFetchRequestGroup, ProduceRequest, ProduceResponse, produce::PartitionProduceData,
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn one(value: &str) -> Bytes {
    batch(1_000, &[value], Stamp::NONE, Compression::None)
}

pub(crate) async fn broker() -> Broker {
    Broker::in_memory().topic("orders", 3).topic("others", 1).seed(1).start().await.unwrap()
}

fn outcomes(response: &ProduceResponse) -> Vec<(i32, ErrorCode, i64)> {
    let all = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let mut outcomes: Vec<_> = all.map(|it| (it.index, it.error_code.into(), it.base_offset)).collect();
    outcomes.sort();
    outcomes
}

pub(crate) fn code(response: &ProduceResponse) -> ErrorCode {
    outcomes(response)[0].1
}

/// What partition 0 of `orders` has, as somebody else sees it.
pub(crate) async fn stored(broker: &Broker) -> Vec<String> {
    let response = Caller::of(broker).call(12, fetch(0, 0)).await;
    records(fetched(&response)).into_iter().map(|(_, value)| value).collect()
}

/// A batch for each of these partitions of `orders`.
pub(crate) fn produce_to(partitions: &[i32]) -> ProduceRequest {
    let mut request = produce(-1, Bytes::new());
    let data = |index: &i32| PartitionProduceData { index: *index, records: Some(one("a")) };
    request.topic_data[0].partition_data = partitions.iter().map(data).collect();
    request
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_refused_as_often_as_was_said_and_the_others_are_served() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let rule = broker.faults().produce("orders").partition(0).error(ErrorCode::NotLeaderOrFollower).times(2);
    let served = |offset| (1, ErrorCode::None, offset);
    for offset in 0..2 {
        let response = caller.call(9, produce_to(&[0, 1])).await;
        assert_eq!(outcomes(&response), [(0, ErrorCode::NotLeaderOrFollower, -1), served(offset)]);
    }
    assert_eq!(rule.struck(), 2);
    let response = caller.call(9, produce_to(&[0, 1])).await;
    assert_eq!(outcomes(&response), [(0, ErrorCode::None, 0), served(2)], "what was refused is not stored");
    assert_eq!(rule.struck(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_carried_out_is_told_to_have_failed_and_a_copy_of_it_is_known() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let identity = caller.call(4, request).await;
    let stamp = Stamp {
        producer_id: identity.producer_id,
        producer_epoch: 0,
        base_sequence: 0,
        transactional: false,
    };
    let numbered = produce(-1, batch(1_000, &["a"], stamp, Compression::None));
    broker.faults().produce("orders").error_although_done(ErrorCode::NotEnoughReplicasAfterAppend).once();
    let response = caller.call(9, numbered.clone()).await;
    assert_eq!(outcomes(&response), [(0, ErrorCode::NotEnoughReplicasAfterAppend, -1)]);
    assert_eq!(stored(&broker).await, ["a"]);
    assert_eq!(outcomes(&caller.call(9, numbered).await), [(0, ErrorCode::None, 0)]);
    assert_eq!(stored(&broker).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn without_acks_an_error_closes_the_connection() {
    let broker = broker().await;
    for (is_done, expected) in [(false, 0), (true, 1)] {
        let aim = broker.faults().produce("orders");
        let code = ErrorCode::KafkaStorageError;
        if is_done { aim.error_although_done(code) } else { aim.error(code) }.once();
        let mut caller = Caller::of(&broker);
        caller.send(9, &produce(0, one("a"))).await;
        caller.closed().await;
        assert_eq!(stored(&broker).await.len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_meant_by_its_name_where_it_goes_by_its_id() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let all = MetadataRequest { topics: None, ..Default::default() };
    let topics = caller.call(12, all).await.topics;
    let id = topics.iter().find(|it| it.name.as_deref() == Some("orders")).unwrap().topic_id;
    let rules = [
        broker.faults().produce("orders").error(ErrorCode::KafkaStorageError).always(),
        broker.faults().fetch("orders").error(ErrorCode::KafkaStorageError).always(),
        broker.faults().produce("others").error(ErrorCode::RequestTimedOut).always(),
        broker.faults().fetch("others").error(ErrorCode::RequestTimedOut).always(),
    ];
    let mut request = produce(-1, one("a"));
    request.topic_data[0].topic_id = id;
    assert_eq!(code(&caller.call(13, request).await), ErrorCode::KafkaStorageError);
    let mut request = fetch(0, 0);
    request.topics[0].topic_id = id;
    let response = caller.call(13, request).await;
    assert_eq!(fetched(&response).error_code, ErrorCode::KafkaStorageError.code());
    assert_eq!(rules.map(|rule| rule.struck()), [1, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_session_is_told_at_once_of_partitions_that_its_request_does_not_name() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let begin = FetchRequest { session_epoch: 0, ..fetch(0, 0) };
    let session_id = caller.call(12, begin).await.session_id;
    assert_ne!(session_id, 0);
    let go_on =
        |session_epoch| FetchRequest { topics: Vec::new(), session_id, session_epoch, ..fetch(0, 10_000) };
    let rule = broker.faults().fetch("orders").partition(0).error(ErrorCode::NotLeaderOrFollower).once();
    let before = Instant::now();
    let response = caller.call(12, go_on(1)).await;
    assert_eq!(fetched(&response).error_code, ErrorCode::NotLeaderOrFollower.code());
    assert_eq!((rule.struck(), before.elapsed()), (1, Duration::ZERO));
    let response = caller.call(12, go_on(2)).await;
    assert_eq!(response.error_code, 0, "the session went on");
    assert_eq!(before.elapsed(), SECOND * 10, "nothing is to be told, so it waits");

    broker.faults().fetch("orders").error(ErrorCode::FetchSessionIdNotFound).once();
    let response = caller.call(12, go_on(3)).await;
    assert_eq!(response.error_code, ErrorCode::FetchSessionIdNotFound.code());
    assert!(response.responses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn metadata_tells_of_topics_or_of_partitions_that_then_have_no_leader() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let faults = broker.faults();
    faults.metadata("orders").partition(1).error(ErrorCode::LeaderNotAvailable).once();
    let all = MetadataRequest { topics: None, ..Default::default() };
    let topics = caller.call(12, all.clone()).await.topics;
    assert_eq!(topics.iter().map(|it| it.error_code).collect::<Vec<_>>(), [0, 0]);
    let leaders: Vec<_> = topics[0].partitions.iter().map(|it| (it.error_code, it.leader_id)).collect();
    assert_eq!(leaders, [(0, 1), (ErrorCode::LeaderNotAvailable.code(), -1), (0, 1)]);

    faults.metadata("others").error(ErrorCode::TopicAuthorizationFailed).once();
    // Before version 1 an empty list asks for all.
    let topics = caller.call(0, MetadataRequest { topics: Some(vec![]), ..Default::default() }).await.topics;
    let told: Vec<_> = topics.iter().map(|it| (it.error_code, it.partitions.len())).collect();
    assert_eq!(told, [(0, 3), (ErrorCode::TopicAuthorizationFailed.code(), 0)]);

    faults.metadata(Topics::All).error(ErrorCode::RebootstrapRequired).once();
    let told = caller.call(13, all).await;
    assert_eq!((told.error_code, told.topics.len()), (ErrorCode::RebootstrapRequired.code(), 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_has_no_effect_and_what_is_done_has() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let faults = broker.faults();
    let create = |name: &str| CreateTopicsRequest {
        topics: ["new", name]
            .map(|name| CreatableTopic {
                name: name.to_owned(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            })
            .to_vec(),
        ..Default::default()
    };
    faults.create_topics("refused").error(ErrorCode::PolicyViolation).once();
    let told = caller.call(7, create("refused")).await.topics;
    let told: Vec<_> = told.iter().map(|it| (&*it.name, it.error_code)).collect();
    assert_eq!(told, [("new", 0), ("refused", ErrorCode::PolicyViolation.code())]);
    faults.create_topics("done").error_although_done(ErrorCode::RequestTimedOut).once();
    let told = caller.call(7, create("done")).await.topics;
    let exists = ErrorCode::TopicAlreadyExists.code();
    let told: Vec<_> = told.iter().map(|it| (&*it.name, it.error_code)).collect();
    assert_eq!(told, [("new", exists), ("done", ErrorCode::RequestTimedOut.code())]);

    // A topic that is asked for and missing would be created by the way.
    faults.metadata("missing").error(ErrorCode::LeaderNotAvailable).once();
    let topic = MetadataRequestTopic { name: Some("missing".to_owned()), ..Default::default() };
    let asked = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    let told = caller.call(12, asked).await;
    assert_eq!(told.topics[0].error_code, ErrorCode::LeaderNotAvailable.code());
    let all = MetadataRequest { topics: None, ..Default::default() };
    let names = caller.call(12, all).await.topics;
    let names: Vec<_> = names.iter().map(|it| it.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["done", "new", "orders", "others"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_group_is_told_of_the_group_and_one_of_a_partition_of_that() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let asked = || OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "audit".to_owned(),
            topics: Some(vec![vltava_wire::messages::OffsetFetchRequestTopics {
                name: "orders".to_owned(),
                topic_id: Uuid::ZERO,
                partition_indexes: vec![0, 1],
            }]),
            ..Default::default()
        }],
        ..Default::default()
    };
    let faults = broker.faults();
    let told = |response: vltava_wire::messages::OffsetFetchResponse| {
        let group = &response.groups[0];
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        let mut partitions: Vec<_> = partitions.map(|it| (it.partition_index, it.error_code)).collect();
        partitions.sort();
        (group.error_code, partitions)
    };
    let unstable = ErrorCode::UnstableOffsetCommit;
    faults.offset_fetch(Topics::All).error(ErrorCode::NotCoordinator).once();
    assert_eq!(told(caller.call(9, asked()).await), (ErrorCode::NotCoordinator.code(), vec![]));
    faults.offset_fetch(Topics::All).error(unstable).once();
    let all = vec![(0, unstable.code()), (1, unstable.code())];
    assert_eq!(told(caller.call(9, asked()).await), (0, all));
    faults.offset_fetch("orders").partition(1).error(unstable).once();
    assert_eq!(told(caller.call(9, asked()).await), (0, vec![(0, 0), (1, unstable.code())]));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_know_the_version_of_a_greeting_says_so_in_the_first() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().api_versions().error(ErrorCode::UnsupportedVersion).once();
    let id = caller.send(4, &ApiVersionsRequest::default()).await;
    let told = caller.receive::<ApiVersionsRequest>(0, id).await;
    assert_eq!(told.error_code, ErrorCode::UnsupportedVersion.code());
    assert!(told.api_keys.len() > 10);
}

#[tokio::test(start_paused = true)]
async fn a_greeting_from_the_future_meets_faults_too() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let rule = broker.faults().api_versions().delay_reply(SECOND * 5).once();
    broker.faults().api_versions().error(ErrorCode::ClusterAuthorizationFailed).times(1);
    let before = Instant::now();
    for (code, keys) in
        [(ErrorCode::ClusterAuthorizationFailed, 0..1), (ErrorCode::UnsupportedVersion, 10..99)]
    {
        // Its length, its API and version, its id, and what nobody knows yet.
        caller.pipe.write_all(&[0, 0, 0, 24, 0, 18, 0, 99, 0, 0, 0, 7]).await.unwrap();
        caller.pipe.write_all(&[0xff; 16]).await.unwrap();
        let told = caller.receive::<ApiVersionsRequest>(0, 7).await;
        assert_eq!(told.error_code, code.code());
        assert!(keys.contains(&told.api_keys.len()));
        assert_eq!((rule.struck(), before.elapsed()), (1, SECOND * 5));
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_all_is_told_what_there_is_when_the_request_arrives() {
    let broker = broker().await;
    let (mut caller, mut other) = (Caller::of(&broker), Caller::of(&broker));
    broker.faults().metadata(Topics::All).client("tester").delay_request(SECOND * 5).once();
    broker.faults().metadata("orders").client("tester").error(ErrorCode::LeaderNotAvailable).once();
    let all = MetadataRequest { topics: None, ..Default::default() };
    let asked = caller.send(12, &all).await;
    tokio::time::sleep(SECOND).await;
    let delete = DeleteTopicsRequest { topic_names: vec!["others".to_owned()], ..Default::default() };
    assert_eq!(other.call(5, delete).await.responses[0].error_code, 0);
    let new = CreatableTopic {
        name: "new".to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let create = CreateTopicsRequest { topics: vec![new], ..Default::default() };
    assert_eq!(other.call(7, create).await.topics[0].error_code, 0);
    let told = caller.receive::<MetadataRequest>(12, asked).await.topics;
    let told: Vec<_> = told.iter().map(|it| (it.name.as_deref().unwrap(), it.error_code)).collect();
    assert_eq!(told, [("new", 0), ("orders", ErrorCode::LeaderNotAvailable.code())]);
    assert_eq!(caller.call(12, all).await.topics.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rule_is_for_the_client_and_the_node_that_it_names() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let aim = || broker.faults().produce(Topics::All);
    let error = |aim: vltava_broker::faults::Aim<_>| aim.error(ErrorCode::KafkaStorageError).always();
    let meant: [Rule; 2] = [error(aim().client("tester").node(1)), error(aim().client("tester"))];
    let others = [error(aim().client("another")), error(aim().node(2)), error(aim().partition(2))];
    assert_eq!(code(&caller.call(9, produce(-1, one("a"))).await), ErrorCode::KafkaStorageError);
    assert_eq!(meant.each_ref().map(Rule::struck), [1, 0], "the first that would do the same");
    meant.iter().for_each(Rule::remove);
    assert_eq!(code(&caller.call(9, produce(-1, one("a"))).await), ErrorCode::None);
    assert_eq!(others.each_ref().map(Rule::struck), [0, 0, 0]);
}

/// Which of a hundred batches were refused.
async fn refused_of_a_hundred(seed: u64) -> Vec<bool> {
    let broker = Broker::in_memory().topic("orders", 1).seed(seed).start().await.unwrap();
    let rule = broker.faults().produce("orders").error(ErrorCode::RequestTimedOut).ratio(0.25);
    let mut caller = Caller::of(&broker);
    let mut refused = Vec::new();
    for _ in 0..100 {
        refused.push(code(&caller.call(9, produce(-1, one("a"))).await) != ErrorCode::None);
    }
    let count = refused.iter().filter(|it| **it).count();
    assert_eq!(rule.struck(), count as u64);
    assert!((10..45).contains(&count), "seed {seed}: {count}");
    refused
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_strikes_the_same_requests() {
    let first = refused_of_a_hundred(7).await;
    assert_eq!(first, refused_of_a_hundred(7).await);
    assert_ne!(first, refused_of_a_hundred(8).await);
}

#[tokio::test(start_paused = true)]
async fn all_rules_are_taken_back_at_once() {
    let broker = broker().await;
    let faults: Faults = broker.faults();
    faults.any().cut_request().always();
    Caller::of(&broker).send(9, &produce(-1, one("a"))).await;
    faults.disk().full();
    faults.clear();
    let mut caller = Caller::of(&broker);
    assert_eq!(code(&caller.call(9, produce(-1, one("b"))).await), ErrorCode::None);
}

#[tokio::test(start_paused = true)]
async fn a_leader_moves_at_the_request_that_is_meant() {
    let broker = Broker::in_memory().nodes(2).topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::over(broker.node(1).unwrap().connector().connect().unwrap());
    let rule = broker.faults().produce("orders").partition(0).move_leader(2).once();
    let code = |response: &ProduceResponse| outcomes(response)[0].1;
    assert_eq!(code(&caller.call(9, produce(-1, one("a"))).await), ErrorCode::NotLeaderOrFollower);
    assert_eq!(rule.struck(), 1);
    let all = MetadataRequest { topics: None, ..Default::default() };
    let partition = caller.call(12, all).await.topics[0].partitions[0].clone();
    assert_eq!((partition.leader_id, partition.leader_epoch), (2, 1));
    let mut other = Caller::over(broker.node(2).unwrap().connector().connect().unwrap());
    assert_eq!(code(&other.call(9, produce(-1, one("a"))).await), ErrorCode::None);
}

#[tokio::test(start_paused = true)]
async fn the_leaders_of_all_partitions_move_in_the_time_of_one() {
    let broker = Broker::in_memory().nodes(2).topic("orders", 4).start().await.unwrap();
    broker.faults().produce("orders").move_leader(2).once();
    broker.faults().disk().slow(SECOND * 2);
    let before = Instant::now();
    let mut caller = Caller::over(broker.node(1).unwrap().connector().connect().unwrap());
    let response = caller.call(9, produce_to(&[0, 1, 2, 99])).await;
    let codes: Vec<_> = outcomes(&response).iter().map(|it| it.1).collect();
    assert_eq!(codes[..3], [ErrorCode::NotLeaderOrFollower; 3]);
    assert_eq!(codes[3], ErrorCode::UnknownTopicOrPartition);
    assert_eq!(before.elapsed(), SECOND * 2);
}

#[tokio::test]
#[should_panic(expected = "None is no error")]
async fn no_request_fails_without_an_error() {
    drop(broker().await.faults().produce("orders").error(ErrorCode::None));
}

#[tokio::test]
#[should_panic(expected = "nodes 1 to 1, and no node 2")]
async fn no_leader_moves_to_a_node_that_is_not_there() {
    drop(broker().await.faults().produce("orders").move_leader(2));
}
