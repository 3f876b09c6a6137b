//! Transactions of Kafka's own client: who reads what is committed is handed just that, in order, and nothing from
//! behind a transaction that is open.

use std::{collections::BTreeMap, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};
use vltava_client::{AssignedConsumer, Client, Isolation, NewTopic, Offset, TopicPartition};
use vltava_interop::{Cluster, ends, partitions, write_transactions};

const TOPIC: &str = "ledger";
const PARTITIONS: i32 = 2;

/// The coordinator looks for transactions that are overdue every ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// The values of each partition, in order.
type Values = BTreeMap<TopicPartition, Vec<String>>;

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_committed_is_handed_what_is_committed_and_nothing_else() {
    let cluster = Cluster::up(1);
    let client = Client::connect(&cluster.brokers).await.expect("the cluster answers");
    client.admin().create_topic(NewTopic::new(TOPIC).partitions(PARTITIONS)).await.expect("the topic is new");
    let mut committed = reader(&client, Isolation::ReadCommitted).await;
    let brokers = cluster.brokers.clone();
    let written = spawn_blocking(move || write_transactions(&brokers, TOPIC, PARTITIONS)).await;
    written.expect("Kafka's client writes all of it");

    let ends = ends(&client, partitions(TOPIC, PARTITIONS)).await.expect("the cluster answers");
    let mut everything = reader(&client, Isolation::ReadUncommitted).await;
    everything.stop_at(ends);
    let mut expected = read(&mut everything, None).await;
    for word in ["aborted", "kept", "plain", "open", "last"] {
        assert!(
            expected.values().all(|it| it.iter().any(|it| it.starts_with(word))),
            "{word} is in every log"
        );
    }
    expected
        .values_mut()
        .for_each(|it| it.retain(|it| !it.starts_with("aborted") && !it.starts_with("open")));
    let count = expected.values().map(Vec::len).sum();
    // The last of them come when the coordinator has aborted the open transaction.
    let seen =
        timeout(PATIENCE, read(&mut committed, Some(count))).await.expect("nothing stays open for ever");
    assert_eq!(seen, expected);
}

async fn reader(client: &Client, isolation: Isolation) -> AssignedConsumer {
    let from = partitions(TOPIC, PARTITIONS).map(|it| (it, Offset::Earliest));
    client.consumer().isolation(isolation).assign(from).await.expect("partitions can be named")
}

/// Reads so many records, or to the end.
async fn read(consumer: &mut AssignedConsumer, count: Option<usize>) -> Values {
    let mut values = Values::new();
    while count.is_none_or(|count| values.values().map(Vec::len).sum::<usize>() < count) {
        let Some(batch) = consumer.next().await.expect("reading goes on") else { break };
        let value = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let of_partition = values.entry(batch.topic_partition().clone()).or_default();
        of_partition.extend(batch.iter().map(|it| value(it.value())));
    }
    values
}
