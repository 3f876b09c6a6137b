//! Our client administers topics, groups and offsets of a real cluster.

use std::collections::BTreeMap;

use rdkafka::{
    ClientConfig, Offset as TheirOffset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use vltava_client::{Client, ErrorCode, GroupFilter, NewTopic, Offset, TopicPartition};

use vltava_interop::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn topics_groups_and_offsets_are_as_another_client_left_them() {
    let cluster = Cluster::up(3);
    let client = Client::connect(&cluster.brokers).await.expect("the cluster answers");
    let admin = client.admin();
    let topic = || NewTopic::new("orders").partitions(4).replication_factor(3);
    admin.create_topic(topic()).await.expect("the topic is new");
    let refused = admin.create_topic(topic()).await.expect_err("the topic is there");
    assert_eq!(refused.code(), Some(ErrorCode::TopicAlreadyExists));
    assert_eq!(admin.brokers().await.expect("the cluster answers").len(), 3);
    let described = admin.topic("orders").await.expect("the topic is there");
    assert_eq!(described.partitions.len(), 4);
    assert!(described.partitions.iter().all(|partition| partition.replicas.len() == 3));

    let brokers = cluster.brokers.clone();
    tokio::task::spawn_blocking(move || write_and_commit(&brokers)).await.expect("librdkafka does not panic");
    let places = (0..4).map(|partition| (TopicPartition::new("orders", partition), Offset::Latest));
    let ends = admin.offsets(places).await.expect("the cluster answers");
    assert_eq!(ends.values().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    let committed = admin.committed_offsets("billing").await.expect("the group is there");
    let committed: BTreeMap<_, _> = committed.into_iter().map(|(at, it)| (at.partition, it.offset)).collect();
    assert_eq!(committed, BTreeMap::from([(2, 1), (3, 3)]));
    let groups = admin.list_groups(&GroupFilter::default()).await.expect("the cluster answers");
    assert!(groups.iter().any(|listing| listing.group == "billing"), "{groups:?}");
    assert!(admin.describe_group("billing").await.expect("the group is there").members.is_empty());

    admin.delete_topic("orders").await.expect("the topic is there");
}

/// Writes as many records to each partition as its number says, and commits for two of them.
fn write_and_commit(brokers: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "billing");
    let producer: BaseProducer = config.create().expect("librdkafka starts");
    for partition in (0..4).flat_map(|partition| (0..partition).map(move |_| partition)) {
        let record = BaseRecord::<(), _>::to("orders").partition(partition).payload("paid");
        producer.send(record).expect("there is room");
    }
    producer.flush(std::time::Duration::from_secs(30)).expect("all is acknowledged in time");
    let consumer: BaseConsumer = config.create().expect("librdkafka starts");
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in [(2, 1), (3, 3)] {
        offsets.add_partition_offset("orders", partition, TheirOffset::Offset(offset)).expect("an offset");
    }
    consumer.commit(&offsets, CommitMode::Sync).expect("the commit is stored");
}
