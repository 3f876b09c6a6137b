//! Faults of every API that is served, in every version: the error is where that API has its place for one.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use tokio::time::Instant;
use vltava_broker::{
    Broker, ErrorCode,
    faults::{Aim, Faults, Topics},
};
use vltava_wire::{
    Api, Compression, Request, Uuid,
    messages::{
        AlterConfigsRequest, AlterConfigsResource, ApiVersionsRequest, ConsumerGroupDescribeRequest,
        ConsumerGroupHeartbeatRequest, CreatableTopic, CreateTopicsRequest, DeleteGroupsRequest,
        DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, DeleteTopicState,
        DeleteTopicsRequest, DescribeConfigsRequest, DescribeConfigsResource, DescribeGroupsRequest,
        FetchRequest, FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResource, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
        ListGroupsRequest, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic, MetadataRequest,
        MetadataRequestTopic, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
        OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetFetchRequest,
        OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic, ProduceRequest,
        SyncGroupRequest,
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, fetch, produce, text};

/// No request here is answered with it by itself.
const TOLD: ErrorCode = ErrorCode::UnknownServerError;

const REST: Duration = Duration::from_millis(1_500);

/// A broker whose APIs are gone through one by one.
struct Round {
    broker: Broker,
    /// Of the topic `orders`, which has a partition.
    topic_id: Uuid,
    served: Vec<(i16, RangeInclusive<i16>)>,
    seen: BTreeSet<i16>,
}

impl Round {
    async fn new() -> Self {
        let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
        let mut caller = Caller::of(&broker);
        let versions = caller.call(0, ApiVersionsRequest::default()).await;
        let range = |it: &vltava_wire::messages::ApiVersion| (it.api_key, it.min_version..=it.max_version);
        let all = MetadataRequest { topics: None, ..Default::default() };
        let topic_id = caller.call(12, all).await.topics[0].topic_id;
        let served = versions.api_keys.iter().map(range).collect();
        Self { broker, topic_id, served, seen: BTreeSet::new() }
    }

    /// Has a request meet each kind of error in each version, and be throttled in the last.
    async fn check<R: Request, Of>(
        &mut self,
        aim: impl Fn(&Faults) -> Aim<Of>,
        build: impl Fn(i16) -> R,
        codes: impl Fn(i16, &R::Response) -> Vec<i16>,
        throttle: impl Fn(&R::Response) -> i32,
    ) {
        let (api, faults) = (R::API, self.broker.faults());
        let (_, versions) = self.served.iter().find(|(key, _)| *key == api.key()).expect("it is served");
        for version in versions.clone() {
            for fault in [aim(&faults).error(TOLD), aim(&faults).error_although_done(TOLD)] {
                let rule = fault.once();
                let told = Caller::of(&self.broker).call(version, build(version)).await;
                assert_eq!(codes(version, &told), [TOLD.code()], "{api:?} version {version}");
                assert_eq!(rule.struck(), 1, "{api:?} version {version}");
            }
        }
        let last = *versions.end();
        aim(&faults).throttle(REST).once();
        let (mut caller, before) = (Caller::of(&self.broker), Instant::now());
        let told = caller.call(last, build(last)).await;
        assert_eq!(throttle(&told), 1_500, "{api:?}");
        assert_ne!(codes(last, &told), [TOLD.code()], "{api:?}");
        let answered = before.elapsed();
        caller.call(0, ApiVersionsRequest::default()).await;
        assert_eq!(before.elapsed() - answered, REST, "{api:?}");
        self.seen.insert(api.key());
    }
}

/// Checks an API: who is aimed at, what is asked in a version, where the errors are.
macro_rules! check {
    ($round:ident, $aim:expr, $build:expr, $codes:expr) => {
        $round.check($aim, $build, $codes, |told| told.throttle_time_ms).await
    };
}

#[tokio::test(start_paused = true)]
async fn each_api_tells_an_error_in_its_place_and_rests() {
    let mut round = Round::new().await;
    records(&mut round).await;
    offsets(&mut round).await;
    groups(&mut round).await;
    topics(&mut round).await;
    configs(&mut round).await;
    rest(&mut round).await;
    let served: BTreeSet<_> = round.served.iter().map(|(key, _)| *key).collect();
    assert_eq!(round.seen, served, "all that is served was gone through");
}

async fn records(round: &mut Round) {
    let id = round.topic_id;
    let asked = |version: i16| {
        let mut request: ProduceRequest = produce(-1, batch(1_000, &["a"], Stamp::NONE, Compression::None));
        request.topic_data[0].topic_id = if version >= 13 { id } else { Uuid::ZERO };
        request
    };
    check!(round, |it| it.produce("orders"), asked, |_, told| told.responses[0]
        .partition_responses
        .iter()
        .map(|it| it.error_code)
        .collect());
    let asked = |version: i16| {
        let mut request: FetchRequest = fetch(0, 0);
        request.topics[0].topic_id = if version >= 13 { id } else { Uuid::ZERO };
        request
    };
    check!(round, |it| it.fetch("orders"), asked, |_, told| told.responses[0]
        .partitions
        .iter()
        .map(|it| it.error_code)
        .collect());
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 0 };
    let topics = vec![DeleteRecordsTopic { name: text("orders"), partitions: vec![partition] }];
    check!(
        round,
        |it| it.delete_records("orders"),
        |_| DeleteRecordsRequest { topics: topics.clone(), ..Default::default() },
        |_, told| told.topics[0].partitions.iter().map(|it| it.error_code).collect()
    );
}

async fn offsets(round: &mut Round) {
    let id = round.topic_id;
    let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: text("orders"), partitions: vec![partition] }];
    check!(
        round,
        |it| it.list_offsets("orders"),
        |_| ListOffsetsRequest { topics: topics.clone(), ..Default::default() },
        |_, told| told.topics[0].partitions.iter().map(|it| it.error_code).collect()
    );
    let partitions = vec![OffsetForLeaderPartition { leader_epoch: 0, ..Default::default() }];
    let topics = vec![OffsetForLeaderTopic { topic: text("orders"), partitions }];
    check!(
        round,
        |it| it.offset_for_leader_epoch("orders"),
        |_| OffsetForLeaderEpochRequest { topics: topics.clone(), ..Default::default() },
        |_, told| told.topics[0].partitions.iter().map(|it| it.error_code).collect()
    );
    let partitions = vec![OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() }];
    let named = |version| if version >= 10 { (String::new(), id) } else { (text("orders"), Uuid::ZERO) };
    let asked = |version| {
        let (name, topic_id) = named(version);
        let topics = vec![OffsetCommitRequestTopic { name, topic_id, partitions: partitions.clone() }];
        OffsetCommitRequest { group_id: text("audit"), topics, ..Default::default() }
    };
    check!(round, |it| it.offset_commit("orders"), asked, |_, told| told.topics[0]
        .partitions
        .iter()
        .map(|it| it.error_code)
        .collect());
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: text("orders"), partitions }];
    check!(
        round,
        |it| it.offset_delete("orders"),
        |_| OffsetDeleteRequest { group_id: text("audit"), topics: topics.clone() },
        |_, told| told.topics.iter().flat_map(|it| &it.partitions).map(|it| it.error_code).collect()
    );
    let asked = |version| {
        let (name, topic_id) = named(version);
        let partition_indexes = vec![0];
        if version < 8 {
            let topics = Some(vec![OffsetFetchRequestTopic { name, partition_indexes }]);
            return OffsetFetchRequest { group_id: text("audit"), topics, ..Default::default() };
        }
        let topics = Some(vec![OffsetFetchRequestTopics { name, topic_id, partition_indexes }]);
        let group = OffsetFetchRequestGroup { group_id: text("audit"), topics, ..Default::default() };
        OffsetFetchRequest { groups: vec![group], ..Default::default() }
    };
    check!(round, |it| it.offset_fetch(Topics::All), asked, |version, told| match version {
        1 => told.topics[0].partitions.iter().map(|it| it.error_code).collect(),
        ..8 => vec![told.error_code],
        _ => told.groups.iter().map(|it| it.error_code).collect(),
    });
    check!(round, |it| it.offset_fetch("orders").partition(0), asked, |version, told| match version {
        ..8 => told.topics[0].partitions.iter().map(|it| it.error_code).collect(),
        _ => told.groups[0].topics[0].partitions.iter().map(|it| it.error_code).collect(),
    });
}

async fn groups(round: &mut Round) {
    let group_id = || text("billing");
    check!(
        round,
        |it| it.find_coordinator(),
        |version| match version {
            ..4 => FindCoordinatorRequest { key: group_id(), ..Default::default() },
            _ => FindCoordinatorRequest { coordinator_keys: vec![group_id()], ..Default::default() },
        },
        |version, told| match version {
            ..4 => vec![told.error_code],
            _ => told.coordinators.iter().map(|it| it.error_code).collect(),
        }
    );
    let join = |version| JoinGroupRequest {
        group_id: format!("billing-{version}"),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: if version >= 1 { 1_000 } else { -1 },
        protocol_type: text("consumer"),
        protocols: vec![Default::default()],
        ..Default::default()
    };
    check!(round, |it| it.join_group(), join, |_, told| vec![told.error_code]);
    check!(
        round,
        |it| it.sync_group(),
        |_| SyncGroupRequest { group_id: group_id(), ..Default::default() },
        |_, told| vec![told.error_code]
    );
    check!(
        round,
        |it| it.heartbeat(),
        |_| HeartbeatRequest { group_id: group_id(), ..Default::default() },
        |_, told| vec![told.error_code]
    );
    check!(
        round,
        |it| it.leave_group(),
        |_| LeaveGroupRequest { group_id: group_id(), ..Default::default() },
        |_, told| vec![told.error_code]
    );
    check!(
        round,
        |it| it.describe_groups(),
        |_| DescribeGroupsRequest { groups: vec![group_id()], ..Default::default() },
        |_, told| told.groups.iter().map(|it| it.error_code).collect()
    );
    check!(
        round,
        |it| it.consumer_group_heartbeat(),
        |_| ConsumerGroupHeartbeatRequest { group_id: group_id(), ..Default::default() },
        |_, told| vec![told.error_code]
    );
    check!(
        round,
        |it| it.consumer_group_describe(),
        |_| ConsumerGroupDescribeRequest { group_ids: vec![group_id()], ..Default::default() },
        |_, told| told.groups.iter().map(|it| it.error_code).collect()
    );
    check!(
        round,
        |it| it.delete_groups(),
        |_| DeleteGroupsRequest { groups_names: vec![group_id()] },
        |_, told| told.results.iter().map(|it| it.error_code).collect()
    );
    check!(round, |it| it.list_groups(), |_| ListGroupsRequest::default(), |_, told| vec![told.error_code]);
}

async fn topics(round: &mut Round) {
    let create = |version| {
        let name = format!("new-{version}");
        let topic = CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
        CreateTopicsRequest { topics: vec![topic], ..Default::default() }
    };
    check!(round, |it| it.create_topics(Topics::All), create, |_, told| told
        .topics
        .iter()
        .map(|it| it.error_code)
        .collect());
    let delete = |version| match format!("new-{version}") {
        name if version < 6 => DeleteTopicsRequest { topic_names: vec![name], ..Default::default() },
        name => {
            let topics = vec![DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO }];
            DeleteTopicsRequest { topics, ..Default::default() }
        }
    };
    check!(round, |it| it.delete_topics(Topics::All), delete, |_, told| told
        .responses
        .iter()
        .map(|it| it.error_code)
        .collect());
    let topic = MetadataRequestTopic { name: Some(text("orders")), ..Default::default() };
    check!(
        round,
        |it| it.metadata("orders"),
        |_| MetadataRequest { topics: Some(vec![topic.clone()]), ..Default::default() },
        |_, told| told.topics.iter().map(|it| it.error_code).collect()
    );
}

async fn configs(round: &mut Round) {
    const TOPIC: i8 = 2;
    check!(
        round,
        |it| it.describe_configs("orders"),
        |_| {
            let resource_name = text("orders");
            let asked =
                DescribeConfigsResource { resource_type: TOPIC, resource_name, configuration_keys: None };
            DescribeConfigsRequest { resources: vec![asked], ..Default::default() }
        },
        |_, told| told.results.iter().map(|it| it.error_code).collect()
    );
    check!(
        round,
        |it| it.alter_configs("orders"),
        |_| {
            let resource_name = text("orders");
            let asked = AlterConfigsResource { resource_type: TOPIC, resource_name, configs: Vec::new() };
            AlterConfigsRequest { resources: vec![asked], ..Default::default() }
        },
        |_, told| told.responses.iter().map(|it| it.error_code).collect()
    );
    check!(
        round,
        |it| it.incremental_alter_configs(Topics::All),
        |_| {
            let resource_name = text("orders");
            let configs = Vec::new();
            let asked = IncrementalAlterConfigsResource { resource_type: TOPIC, resource_name, configs };
            IncrementalAlterConfigsRequest { resources: vec![asked], ..Default::default() }
        },
        |_, told| told.responses.iter().map(|it| it.error_code).collect()
    );
}

async fn rest(round: &mut Round) {
    check!(
        round,
        |it| it.init_producer_id(),
        |_| InitProducerIdRequest { transactional_id: None, ..Default::default() },
        |_, told| vec![told.error_code]
    );
    check!(
        round,
        |it| it.api_versions(),
        |_| ApiVersionsRequest { client_software_name: text("tester"), client_software_version: text("1.0") },
        |_, told| vec![told.error_code]
    );
    assert_eq!(round.broker.faults().any().error(TOLD).once().struck(), 0);
    let told = Caller::of(&round.broker).call(4, HeartbeatRequest::default()).await;
    assert_eq!((told.error_code, HeartbeatRequest::API), (TOLD.code(), Api::Heartbeat));
}
