//! What several commands ask about topics.

use vltava::{
    Offset, TopicPartition,
    client::{self, ErrorKind, TopicDescription},
};

use crate::{brokers::Cluster, report::Failure};

/// What a partition holds: offsets from `start`, up to but without `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// A topic. That it is not there is reported with how to create it.
pub(crate) async fn described(cluster: &Cluster, name: &str) -> Result<TopicDescription, Failure> {
    cluster.client.admin().topic(name).await.map_err(|error| not_there(cluster, name, error))
}

fn not_there(cluster: &Cluster, name: &str, error: client::Error) -> Failure {
    let Cluster { name: place, flag, .. } = cluster;
    match error.kind() {
        ErrorKind::UnknownTopic => Failure::not_found(format!("topic {name} is not there on {place}"))
            .fix(format!("create it: vltava topic create {name} --partitions 6{flag}")),
        _ => vltava::Error::from(error).into(),
    }
}

/// What the partitions of a topic hold, by their numbers; all of them if none is named.
pub(crate) async fn ranges(cluster: &Cluster, name: &str, wanted: &[i32]) -> Result<Vec<Range>, Failure> {
    let topic = described(cluster, name).await?;
    if let Some(unknown) =
        wanted.iter().find(|it| !topic.partitions.iter().any(|known| known.partition == **it))
    {
        let last = topic.partitions.len().saturating_sub(1);
        return Err(Failure::not_found(format!("{name} has no partition {unknown}"))
            .fix(format!("its partitions are 0 to {last}")));
    }
    let partitions: Vec<TopicPartition> = topic
        .partitions
        .iter()
        .filter(|it| wanted.is_empty() || wanted.contains(&it.partition))
        .map(|it| TopicPartition::new(topic.name.clone(), it.partition))
        .collect();
    let admin = cluster.client.admin();
    let at = |offset: Offset| partitions.iter().cloned().map(move |partition| (partition, offset));
    let starts = admin.offsets(at(Offset::Earliest)).await.map_err(vltava::Error::from)?;
    let ends = admin.offsets(at(Offset::Latest)).await.map_err(vltava::Error::from)?;
    let range = |topic_partition: TopicPartition| {
        let (start, end) = (*starts.get(&topic_partition)?, *ends.get(&topic_partition)?);
        Some(Range { topic_partition, start, end })
    };
    Ok(partitions.iter().cloned().filter_map(range).collect())
}
