//! Topics: made, asked about, deleted.

use vltava_broker::Broker;
use vltava_wire::{
    Api, ErrorCode, Uuid,
    messages::{
        CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
        DeleteTopicState, DeleteTopicsRequest, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
        MetadataRequest, MetadataRequestTopic,
    },
};

use crate::caller::{Caller, text};

fn new(name: &str, num_partitions: i32) -> CreatableTopic {
    CreatableTopic { name: text(name), num_partitions, replication_factor: -1, ..Default::default() }
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..Default::default() }
}

fn ask(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic { topic_id: Uuid::ZERO, name: Some(text(name)) };
    MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
}

fn ask_by_id(topic_id: Uuid) -> MetadataRequest {
    MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { topic_id, name: None }]),
        ..Default::default()
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_names_this_node_and_all_topics_in_every_version() {
    let broker = Broker::in_memory().topic("orders", 3).topic("refunds", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for version in Api::Metadata.versions() {
        let topics = if version == 0 { Some(Vec::new()) } else { None };
        let request = MetadataRequest { topics, ..Default::default() };
        let metadata = caller.call(version, request).await;
        assert_eq!(
            metadata.brokers.iter().map(|it| it.node_id).collect::<Vec<_>>(),
            [1],
            "version {version}"
        );
        let names: Vec<_> = metadata.topics.iter().map(|it| it.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["orders", "refunds"]);
        assert!(metadata.topics[0].partitions.iter().all(|it| it.leader_id == 1 && it.isr_nodes == [1]));
        assert_eq!(metadata.topics[0].partitions.len(), 3);
        if version >= 2 {
            assert_eq!(metadata.cluster_id.as_deref(), Some(broker.cluster_id()));
            assert_eq!(metadata.controller_id, 1);
        }
        if version >= 10 {
            assert_ne!(metadata.topics[0].topic_id, Uuid::ZERO);
        }
    }
    let none = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    assert_eq!(caller.call(1, none).await.topics, [], "an empty list means no topic from version 1 on");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_asked_for_is_created_unless_someone_objects() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let objection = MetadataRequest { allow_auto_topic_creation: false, ..ask("orders") };
    let code = |it: vltava_wire::messages::MetadataResponse| ErrorCode::from(it.topics[0].error_code);
    assert_eq!(code(caller.call(4, objection).await), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(caller.call(4, ask("orders")).await.topics[0].partitions.len(), 1);
    assert_eq!(code(caller.call(4, ask("no/topic")).await), ErrorCode::InvalidTopicException);

    let strict = Broker::in_memory().auto_create_topics(false).start().await.unwrap();
    let mut caller = Caller::of(&strict);
    assert_eq!(code(caller.call(12, ask("orders")).await), ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_found_by_its_id_until_it_is_deleted() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let first = caller.call(13, ask("orders")).await.topics[0].topic_id;
    let found = caller.call(13, ask_by_id(first)).await;
    assert_eq!(found.topics[0].name.as_deref(), Some("orders"));

    let topics = vec![DeleteTopicState { name: None, topic_id: first }];
    let deleted = caller.call(6, DeleteTopicsRequest { topics, ..Default::default() }).await;
    assert_eq!((deleted.responses[0].error_code, deleted.responses[0].topic_id), (0, first));
    for version in 10..=13 {
        let lost = caller.call(version, ask_by_id(first)).await;
        assert_eq!(ErrorCode::from(lost.topics[0].error_code), ErrorCode::UnknownTopicId);
    }
    let second = caller.call(13, ask("orders")).await.topics[0].topic_id;
    assert_ne!(first, second, "a topic that is created again is another one");
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_and_deleted_in_every_version() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for version in Api::CreateTopics.versions() {
        let created = caller.call(version, create(vec![new("orders", 4), new("refunds", -1)])).await;
        assert_eq!(
            created.topics.iter().map(|it| it.error_code).collect::<Vec<_>>(),
            [0, 0],
            "version {version}"
        );
        if version >= 5 {
            assert_eq!(created.topics.iter().map(|it| it.num_partitions).collect::<Vec<_>>(), [4, 1]);
        }
        let delete_version = (version - 1).min(5);
        let topic_names = vec![text("orders"), text("refunds"), text("nobody")];
        let request = DeleteTopicsRequest { topic_names, ..Default::default() };
        let deleted = caller.call(delete_version, request).await;
        let codes: Vec<_> = deleted.responses.iter().map(|it| ErrorCode::from(it.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_created_is_refused_and_says_why() {
    let broker = Broker::in_memory().topic("there", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let config = |name: &str, value: &str| CreatableTopic {
        configs: vec![CreatableTopicConfig { name: text(name), value: Some(text(value)) }],
        ..new("orders", 1)
    };
    let assigned = |broker_ids: Vec<i32>| CreatableTopic {
        assignments: vec![CreatableReplicaAssignment { partition_index: 0, broker_ids }],
        ..new("orders", -1)
    };
    let refused = [
        (new("there", 1), ErrorCode::TopicAlreadyExists),
        (new("../there", 1), ErrorCode::InvalidTopicException),
        (new("orders", 0), ErrorCode::InvalidPartitions),
        (new("orders", i32::MAX), ErrorCode::InvalidPartitions),
        (CreatableTopic { replication_factor: 0, ..new("orders", 1) }, ErrorCode::InvalidReplicationFactor),
        (config("compression.type", "zstd"), ErrorCode::InvalidConfig),
        (config("no.such.config", "1"), ErrorCode::InvalidConfig),
        (assigned(vec![1, 2]), ErrorCode::InvalidReplicaAssignment),
        (CreatableTopic { num_partitions: 1, ..assigned(vec![1]) }, ErrorCode::InvalidRequest),
    ];
    for (topic, code) in refused {
        let what = format!("{topic:?}");
        let result = caller.call(7, create(vec![topic])).await.topics.remove(0);
        assert_eq!(ErrorCode::from(result.error_code), code, "{what}");
        assert!(result.error_message.is_some_and(|message| !message.is_empty()), "{what}");
    }
    let twice = caller.call(7, create(vec![new("orders", 1), new("orders", 2)])).await;
    assert_eq!(
        twice.topics.iter().map(|it| it.error_code.into()).collect::<Vec<ErrorCode>>(),
        [ErrorCode::InvalidRequest]
    );
    assert_eq!(caller.call(7, create(vec![assigned(vec![1])])).await.topics[0].num_partitions, 1);
}

#[tokio::test(start_paused = true)]
async fn all_topics_together_have_no_more_partitions_than_the_broker_can_bear() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let many = (0..11).map(|number| new(&format!("topic-{number:02}"), 10_000)).collect();
    let results = caller.call(7, create(many)).await.topics;
    let last = results.last().unwrap();
    assert!(results[..10].iter().all(|it| it.error_code == 0));
    assert_eq!(ErrorCode::from(last.error_code), ErrorCode::InvalidPartitions);
    assert!(last.error_message.as_deref().is_some_and(|it| it.contains("100000 partitions")), "{last:?}");
    let by_the_way = caller.call(4, ask("orders")).await;
    assert_eq!(ErrorCode::from(by_the_way.topics[0].error_code), ErrorCode::InvalidPartitions);
    let request = DeleteTopicsRequest { topic_names: vec![text("topic-07")], ..Default::default() };
    assert_eq!(caller.call(5, request).await.responses[0].error_code, 0);
    assert_eq!(caller.call(4, ask("orders")).await.topics[0].error_code, 0, "there is room again");
}

#[tokio::test(start_paused = true)]
async fn replicas_are_served_as_one_and_configs_are_told_back() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let configs = vec![CreatableTopicConfig { name: text("segment.bytes"), value: Some(text("1048576")) }];
    let topic = CreatableTopic { replication_factor: 3, configs, ..new("orders", 2) };
    let checked = CreateTopicsRequest { validate_only: true, ..create(vec![topic.clone()]) };
    for request in [checked, create(vec![topic])] {
        let validate_only = request.validate_only;
        let result = caller.call(7, request).await.topics.remove(0);
        assert_eq!((result.error_code, result.replication_factor), (0, 1), "validate only: {validate_only}");
        let configs = result.configs.unwrap();
        let told = |name: &str| {
            let config = configs.iter().find(|it| it.name == name).expect("all are told");
            (config.value.as_deref(), config.config_source)
        };
        assert_eq!(told("segment.bytes"), (Some("1048576"), 1), "it was set on the topic");
        assert_eq!(told("retention.ms"), (Some("604800000"), 5), "it is as by default");
        assert_eq!(result.topic_id == Uuid::ZERO, validate_only, "what was only checked is not there");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_partition_begins_and_ends_at_zero_in_every_version() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let list = |partition_index, current_leader_epoch, timestamp| ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: text("orders"),
            partitions: vec![ListOffsetsPartition { partition_index, current_leader_epoch, timestamp }],
        }],
        ..Default::default()
    };
    for version in Api::ListOffsets.versions() {
        for (timestamp, offset, since) in
            [(-1, 0, 1), (-2, 0, 1), (-3, -1, 7), (-4, 0, 8), (-5, -1, 9), (-6, -1, 11)]
        {
            let listed = caller.call(version, list(0, -1, timestamp)).await.topics[0].partitions[0].clone();
            let expected =
                if version >= since { (0, offset) } else { (ErrorCode::UnsupportedVersion.code(), -1) };
            assert_eq!(
                (listed.error_code, listed.offset),
                expected,
                "version {version}, timestamp {timestamp}"
            );
        }
    }
    for (partition, epoch, code) in [
        (1, -1, ErrorCode::UnknownTopicOrPartition),
        (-1, -1, ErrorCode::UnknownTopicOrPartition),
        (0, 1, ErrorCode::UnknownLeaderEpoch),
    ] {
        let listed = caller.call(11, list(partition, epoch, -1)).await;
        assert_eq!(ErrorCode::from(listed.topics[0].partitions[0].error_code), code);
    }
}
