//! A leader is elected that does not have all that was read (KIP-320): the reader says so, and goes on with the first
//! record that is another's.

use std::time::Duration;

use tokio::{
    task::block_in_place,
    time::{sleep, timeout},
};
use vltava_client::{
    AssignedConsumer, Client, Jump, JumpCause, NewTopic, Notice, Offset, PartitionDescription, Producer,
    ProducerRecord, TopicPartition,
};
use vltava_interop::Cluster;

const TOPIC: &str = "forgotten";

/// Three Java processes on a loaded machine may take this long to notice and elect.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_says_what_an_unclean_election_took_from_it() {
    let cluster = Cluster::up(3);
    let client = Client::connect(&cluster.brokers).await.expect("the cluster answers");
    let mut topic = NewTopic::new(TOPIC).partitions(1).replication_factor(2);
    for (name, value) in [("unclean.leader.election.enable", "true"), ("min.insync.replicas", "1")] {
        topic.configs.insert(name.into(), value.into());
    }
    client.admin().create_topic(topic).await.expect("the topic is new");
    let partition = TopicPartition::new(TOPIC, 0);
    let mut consumer = client
        .consumer()
        .assign([(partition.clone(), Offset::Earliest)])
        .await
        .expect("partitions can be named");
    let mut notices = consumer.notices();
    produce(&client, "kept", 0..100).await;
    assert_eq!(read(&mut consumer, 100).await, values("kept", 0..100));

    // What only the leader has, and then nobody who leads.
    let of_all = until(&client, |it| it.in_sync.len() == 2).await;
    let leader = of_all.leader.expect("somebody leads it");
    let follower = *of_all.replicas.iter().find(|it| **it != leader).expect("there are two");
    block_in_place(|| cluster.node(follower as u32).kill());
    until(&client, |it| it.in_sync == [leader]).await;
    produce(&client, "lost", 100..200).await;
    assert_eq!(read(&mut consumer, 100).await, values("lost", 100..200));
    block_in_place(|| cluster.node(leader as u32).kill());
    block_in_place(|| cluster.node(follower as u32).start());
    until(&client, |it| it.leader == Some(follower)).await;

    produce(&client, "new", 0..150).await;
    assert_eq!(read(&mut consumer, 150).await, values("new", 0..150));
    let told = timeout(PATIENCE, notices.next()).await.expect("it is told").expect("the consumer is there");
    let jump = Jump { topic_partition: partition, from: Some(200), to: 100, cause: JumpCause::Truncated };
    assert_eq!(told, Notice::Jumped(jump));
}

fn values(name: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{name} {number}")).collect()
}

async fn produce(client: &Client, name: &str, numbers: std::ops::Range<u32>) {
    let producer = Producer::builder(client).delivery_timeout(PATIENCE).build().expect("it is set up well");
    let records = values(name, numbers).into_iter().map(|value| ProducerRecord::to(TOPIC).value(value));
    for delivery in producer.send_many(records).await {
        delivery.await.expect("every record is delivered");
    }
}

/// The values of so many records.
async fn read(consumer: &mut AssignedConsumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let batch = timeout(PATIENCE, consumer.next()).await.expect("there is more");
        let batch = batch.expect("reading goes on").expect("it has no end");
        let value = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        values.extend(batch.iter().map(|it| value(it.value())));
    }
    values
}

/// Asks until the partition is as it should be.
async fn until(client: &Client, is_so: impl Fn(&PartitionDescription) -> bool) -> PartitionDescription {
    let ask = async {
        loop {
            // While nodes come and go there may be nobody to tell.
            if let Ok(topic) = client.admin().topic(TOPIC).await
                && let Some(it) = topic.partitions.into_iter().find(|it| is_so(it))
            {
                return it;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(PATIENCE, ask).await.expect("the partition comes to be so")
}
