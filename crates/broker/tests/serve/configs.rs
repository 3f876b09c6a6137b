//! Configs of topics: told, changed, kept, and obeyed by what is appended.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use vltava_broker::{Broker, SystemClock, disk::Memory};
use vltava_core::{Clock, Moment, Timestamp};
use vltava_wire::{
    Api, Compression, ErrorCode,
    messages::{
        AlterConfigsRequest, AlterConfigsResource, AlterableConfig, CreatableTopic, CreatableTopicConfig,
        CreateTopicsRequest, DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
        FetchRequest, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
        IncrementallyAlterableConfig, produce::PartitionProduceResponse,
    },
    record::{BatchBuilder, RecordSlices, Stamp, patch_timestamps},
};

use crate::caller::{Caller, batch, fetch, fetched, produce, records, text};

/// The day on which all of this happens.
const TODAY: i64 = 1_700_000_000_000;

/// A clock of that day, on which no time passes but the tests' own.
struct Calendar(SystemClock);

impl Clock for Calendar {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(TODAY)
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep_until(at)
    }
}

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// A broker with the topic `orders`, configured so.
async fn broker(configs: &[(&str, &str)]) -> (Broker, Caller) {
    let clock = Arc::new(Calendar(SystemClock::new()));
    let broker = Broker::in_memory().clock(clock).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    create(&mut caller, configs).await;
    (broker, caller)
}

async fn create(caller: &mut Caller, configs: &[(&str, &str)]) {
    let config =
        |(name, value): &(&str, &str)| CreatableTopicConfig { name: text(name), value: Some(text(value)) };
    let configs = configs.iter().map(config).collect();
    let topic = CreatableTopic {
        name: text("orders"),
        num_partitions: 1,
        replication_factor: 1,
        configs,
        ..Default::default()
    };
    let created = caller.call(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
    assert_eq!(created.topics[0].error_code, 0, "{:?}", created.topics[0].error_message);
}

async fn describe(caller: &mut Caller, keys: Option<Vec<String>>) -> Vec<DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: text("orders"),
        configuration_keys: keys,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource],
        include_synonyms: true,
        include_documentation: true,
    };
    let described = caller.call(4, request).await;
    assert_eq!((described.results.len(), described.results[0].error_code), (1, 0));
    described.results.into_iter().next().unwrap().configs
}

/// A config's value and where it comes from.
async fn told(caller: &mut Caller, name: &str) -> (String, i8) {
    let found = describe(caller, Some(vec![text(name)])).await.remove(0);
    (found.value.unwrap(), found.config_source)
}

async fn alter(caller: &mut Caller, configs: &[(&str, &str)]) -> ErrorCode {
    let config =
        |(name, value): &(&str, &str)| AlterableConfig { name: text(name), value: Some(text(value)) };
    let configs = configs.iter().map(config).collect();
    let resource = AlterConfigsResource { resource_type: TOPIC, resource_name: text("orders"), configs };
    let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
    caller.call(2, request).await.responses[0].error_code.into()
}

async fn incrementally(
    caller: &mut Caller,
    changes: &[(i8, &str, Option<&str>)],
    validate_only: bool,
) -> ErrorCode {
    let change = |(operation, name, value): &(i8, &str, Option<&str>)| IncrementallyAlterableConfig {
        name: text(name),
        config_operation: *operation,
        value: value.map(text),
    };
    let configs = changes.iter().map(change).collect();
    let resource =
        IncrementalAlterConfigsResource { resource_type: TOPIC, resource_name: text("orders"), configs };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only };
    caller.call(1, request).await.responses[0].error_code.into()
}

async fn produced(caller: &mut Caller, batch: Bytes) -> PartitionProduceResponse {
    let response = caller.call(12, produce(-1, batch)).await;
    response.responses[0].partition_responses[0].clone()
}

fn code(response: &PartitionProduceResponse) -> ErrorCode {
    response.error_code.into()
}

#[tokio::test(start_paused = true)]
async fn every_config_is_told_with_where_it_comes_from() {
    let (_broker, mut caller) = broker(&[("retention.ms", "60000")]).await;
    let all = describe(&mut caller, None).await;
    assert!(all.len() > 30);
    let retention = all.iter().find(|it| it.name == "retention.ms").unwrap();
    let synonyms: Vec<_> = retention.synonyms.iter().map(|it| (it.name.as_str(), it.source)).collect();
    assert_eq!(synonyms, [("retention.ms", 1), ("log.retention.ms", 5)]);
    assert_eq!((retention.value.as_deref(), retention.config_type), (Some("60000"), 5));
    assert!(retention.documentation.as_deref().unwrap().contains("segment"));
    for version in Api::DescribeConfigs.versions() {
        let ask = |resource_type, name| DescribeConfigsResource {
            resource_type,
            resource_name: text(name),
            configuration_keys: None,
        };
        let resources =
            vec![ask(BROKER, "1"), ask(BROKER, "7"), ask(TOPIC, "nobody"), ask(9, "x"), ask(BROKER, "1")];
        let told = caller.call(version, DescribeConfigsRequest { resources, ..Default::default() }).await;
        let codes: Vec<_> = told.results.iter().map(|it| ErrorCode::from(it.error_code)).collect();
        let expected = [
            ErrorCode::None,
            ErrorCode::InvalidRequest,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidRequest,
        ];
        assert_eq!(codes, expected, "version {version}: what is asked twice is told once");
        assert!(told.results[0].configs.iter().any(|it| it.name == "log.retention.ms" && it.read_only));
    }
}

#[tokio::test(start_paused = true)]
async fn configs_are_replaced_or_changed_one_by_one() {
    let (_broker, mut caller) = broker(&[("retention.ms", "1"), ("segment.bytes", "2000")]).await;
    assert_eq!(alter(&mut caller, &[("retention.ms", "5")]).await, ErrorCode::None);
    assert_eq!(told(&mut caller, "retention.ms").await, (text("5"), 1));
    assert_eq!(told(&mut caller, "segment.bytes").await, (text("134217728"), 5), "it was not said again");
    let changes =
        [(0, "segment.ms", Some("7")), (1, "retention.ms", None), (2, "cleanup.policy", Some("compact"))];
    assert_eq!(incrementally(&mut caller, &changes, true).await, ErrorCode::None);
    assert_eq!(told(&mut caller, "segment.ms").await.1, 5, "it was to be validated only");
    assert_eq!(incrementally(&mut caller, &changes, false).await, ErrorCode::None);
    assert_eq!(told(&mut caller, "segment.ms").await, (text("7"), 1));
    assert_eq!(told(&mut caller, "retention.ms").await, (text("604800000"), 5));
    assert_eq!(told(&mut caller, "cleanup.policy").await, (text("delete,compact"), 1));
    assert_eq!(
        incrementally(&mut caller, &[(3, "cleanup.policy", Some("delete"))], false).await,
        ErrorCode::None
    );
    assert_eq!(told(&mut caller, "cleanup.policy").await, (text("compact"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_makes_no_sense_changes_nothing() {
    let (_broker, mut caller) = broker(&[]).await;
    for configs in [&[("no.such", "1")][..], &[("retention.ms", "1"), ("segment.ms", "soon")]] {
        assert_eq!(alter(&mut caller, configs).await, ErrorCode::InvalidConfig);
    }
    for (changes, expected) in [
        (&[(0, "retention.ms", Some("x"))][..], ErrorCode::InvalidConfig),
        (&[(0, "retention.ms", None)], ErrorCode::InvalidRequest),
        (&[(9, "retention.ms", Some("1"))], ErrorCode::InvalidRequest),
        (&[(2, "retention.ms", Some("1"))], ErrorCode::InvalidConfig),
        (&[(1, "no.such", None)], ErrorCode::InvalidConfig),
        (&[(3, "cleanup.policy", Some("delete"))], ErrorCode::InvalidConfig),
        (&[(0, "retention.ms", Some("1")), (1, "retention.ms", None)], ErrorCode::InvalidRequest),
        (&[(0, "retention.ms", Some("1")), (0, "segment.ms", Some("0"))], ErrorCode::InvalidConfig),
    ] {
        assert_eq!(incrementally(&mut caller, changes, false).await, expected, "{changes:?}");
    }
    assert_eq!(told(&mut caller, "retention.ms").await, (text("604800000"), 5));
    let twice = AlterConfigsResource { resource_type: TOPIC, resource_name: text("orders"), configs: vec![] };
    let broker = AlterConfigsResource { resource_type: BROKER, resource_name: text("1"), configs: vec![] };
    let request = AlterConfigsRequest { resources: vec![twice.clone(), broker, twice], validate_only: false };
    let refused = caller.call(2, request).await;
    assert!(refused.responses.iter().all(|it| ErrorCode::from(it.error_code) == ErrorCode::InvalidRequest));
}

#[tokio::test(start_paused = true)]
async fn configs_are_there_after_a_stop_and_after_a_loss_of_power() {
    let disk = Memory::unreliable();
    let start = |disk: &Memory| Broker::in_memory().disk(Arc::new(disk.clone())).start();
    let broker = start(&disk).await.unwrap();
    let mut caller = Caller::of(&broker);
    create(&mut caller, &[("retention.ms", "1")]).await;
    assert_eq!(alter(&mut caller, &[("segment.ms", "77")]).await, ErrorCode::None);
    for life in 0..2 {
        let cut = disk.after_power_loss(&mut vltava_core::Rng::new(life));
        let after = start(&cut).await.unwrap();
        let mut caller = Caller::of(&after);
        assert_eq!(told(&mut caller, "segment.ms").await, (text("77"), 1), "life {life}");
        assert_eq!(told(&mut caller, "retention.ms").await.1, 5);
    }
    broker.shutdown().await.unwrap();
    let broker = start(&disk).await.unwrap();
    assert_eq!(told(&mut Caller::of(&broker), "segment.ms").await, (text("77"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_be_as_large_as_the_topic_says() {
    let (_broker, mut caller) = broker(&[("max.message.bytes", "300")]).await;
    let of = |bytes: usize| batch(TODAY, &[&"x".repeat(bytes)], Stamp::NONE, Compression::None);
    let overhead = of(100).len() - 100;
    assert_eq!(code(&produced(&mut caller, of(300 - overhead)).await), ErrorCode::None);
    assert_eq!(code(&produced(&mut caller, of(301 - overhead)).await), ErrorCode::MessageTooLarge);
    assert_eq!(alter(&mut caller, &[("max.message.bytes", "301")]).await, ErrorCode::None);
    assert_eq!(code(&produced(&mut caller, of(301 - overhead)).await), ErrorCode::None);
}

#[tokio::test(start_paused = true)]
async fn records_get_the_time_of_their_append_if_the_topic_says_so() {
    let (_broker, mut caller) = broker(&[("message.timestamp.type", "LogAppendTime")]).await;
    for compression in [Compression::None, Compression::Lz4] {
        let told = produced(&mut caller, batch(1_000, &["a", "b"], Stamp::NONE, compression)).await;
        assert_eq!(code(&told), ErrorCode::None, "a producer's time of long ago counts for nothing");
        assert_eq!(told.log_append_time_ms, TODAY);
        let response = caller.call(12, fetch(told.base_offset, 0)).await;
        assert_eq!(records(fetched(&response)).len(), 2, "the checksum was renewed");
        let batch = vltava_wire::record::Batch::parse(fetched(&response).records.clone().unwrap()).unwrap();
        let records = batch.decompress(Default::default()).unwrap();
        assert!(records.iter().all(|it| it.timestamp() == told.log_append_time_ms));
    }
}

#[tokio::test(start_paused = true)]
async fn timestamps_out_of_bounds_are_refused_record_by_record() {
    let (_broker, mut caller) = broker(&[("message.timestamp.before.max.ms", "60000")]).await;
    let (now, hour) = (TODAY, 3_600_000);
    let of = |timestamps: &[i64], compression| {
        let mut builder = BatchBuilder::new();
        for timestamp in timestamps {
            builder.append(RecordSlices::new(*timestamp, Some(b"key"), Some(b"value"))).unwrap();
        }
        builder.finish(Stamp::NONE, compression).unwrap()
    };
    let good = [now, now - 50_000, -1, now + hour - 60_000];
    assert_eq!(code(&produced(&mut caller, of(&good, Compression::None)).await), ErrorCode::None);
    let bad = produced(&mut caller, of(&[now, now + 2 * hour, now, now - 70_000], Compression::None)).await;
    assert_eq!(code(&bad), ErrorCode::InvalidTimestamp);
    assert_eq!(bad.record_errors.iter().map(|it| it.batch_index).collect::<Vec<_>>(), [1, 3]);
    for timestamps in [&[now - 70_000, now][..], &[now, now + 2 * hour]] {
        let bad = produced(&mut caller, of(timestamps, Compression::Gzip)).await;
        assert_eq!(code(&bad), ErrorCode::InvalidTimestamp);
    }
    assert_eq!(
        code(&produced(&mut caller, of(&[now, now + hour - 60_000], Compression::Gzip)).await),
        ErrorCode::None
    );
}

#[tokio::test(start_paused = true)]
async fn the_latest_timestamp_of_a_batch_is_not_believed() {
    let (_broker, mut caller) = broker(&[]).await;
    let mut liar = Vec::from(batch(1_000, &["a", "b"], Stamp::NONE, Compression::None));
    patch_timestamps(&mut liar, vltava_wire::record::TimestampType::CreateTime, i64::MAX - 1);
    assert_eq!(code(&produced(&mut caller, liar.into()).await), ErrorCode::None);
    let response = caller.call(12, fetch(0, 0)).await;
    let stored = vltava_wire::record::Batch::parse(fetched(&response).records.clone().unwrap()).unwrap();
    assert_eq!(stored.max_timestamp, 1_001);
    assert_eq!(records(fetched(&response)).len(), 2, "the checksum was renewed");
}

#[tokio::test(start_paused = true)]
async fn a_compacted_topic_refuses_records_without_keys() {
    let (_broker, mut caller) = broker(&[("cleanup.policy", "compact")]).await;
    for compression in [Compression::None, Compression::Zstd] {
        let mut builder = BatchBuilder::new();
        for key in [Some(b"a".as_slice()), None, Some(b"b"), None] {
            builder.append(RecordSlices::new(TODAY, key, Some(b"value"))).unwrap();
        }
        let refused = produced(&mut caller, builder.finish(Stamp::NONE, compression).unwrap()).await;
        assert_eq!(code(&refused), ErrorCode::InvalidRecord, "{compression:?}");
        assert_eq!(refused.record_errors.iter().map(|it| it.batch_index).collect::<Vec<_>>(), [1, 3]);
    }
    let keyed = batch(TODAY, &["a"], Stamp::NONE, Compression::None);
    assert_eq!(code(&produced(&mut caller, keyed).await), ErrorCode::None);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_configs_is_put_together_when_its_turn_has_come() {
    let (broker, mut caller) = broker(&[("retention.ms", "1000")]).await;
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: text("orders"),
            configuration_keys: Some(vec![text("retention.ms")]),
        }],
        ..Default::default()
    };
    let waiting = caller.send(12, &fetch(0, 5_000)).await;
    let described = caller.send(4, &request).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(alter(&mut Caller::of(&broker), &[("retention.ms", "2000")]).await, ErrorCode::None);
    caller.receive::<FetchRequest>(12, waiting).await;
    let described = caller.receive::<DescribeConfigsRequest>(4, described).await;
    assert_eq!(described.results[0].configs[0].value.as_deref(), Some("2000"), "nothing was kept before");
}
