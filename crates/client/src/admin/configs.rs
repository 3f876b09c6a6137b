//! What topics are configured to.

use std::collections::BTreeMap;

use vltava_core::{TopicPartition, cluster::Target};
use vltava_wire::{
    ErrorCode,
    messages::{
        DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
        DescribeConfigsResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
        IncrementalAlterConfigsResponse, IncrementallyAlterableConfig,
    },
};

use super::{
    Admin,
    topics::{CHANGE_MS, refusal, retriable},
};
use crate::error::{Error, ErrorKind, Result};

/// The kind of resource that a topic is.
const TOPIC: i8 = 2;

/// Where a value comes from if it was set on the topic.
const SET_ON_TOPIC: i8 = 1;

/// A config of a topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    /// The value that holds; none if the cluster keeps it to itself.
    pub value: Option<String>,
    /// Whether it was set on the topic; otherwise it is as for all topics.
    pub is_set: bool,
}

/// What is done to a config of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// It gets this value.
    Set(String),
    /// It becomes as for all topics.
    Reset,
    /// Of a list: it has these words too, comma-separated.
    Append(String),
    /// Of a list: it has these words no more, comma-separated.
    Subtract(String),
}

impl Admin {
    /// All configs of a topic, by Kafka's names.
    pub async fn topic_configs(&self, topic: &str) -> Result<BTreeMap<String, TopicConfig>> {
        let doing = format!("asking for the configs of topic {topic}");
        let judge =
            |answer: &DescribeConfigsResponse| retriable(answer.results.first().map(|it| it.error_code));
        let answer = self.client.cluster.call(Target::Any, &doing, |_| description(topic), judge).await?;
        let described = answer.results.into_iter().next();
        let described = described.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        if let Some(refusal) = refusal(described.error_code, described.error_message) {
            return Err(refusal.doing(doing));
        }
        let config = |it: DescribeConfigsResourceResult| {
            (it.name, TopicConfig { value: it.value, is_set: it.config_source == SET_ON_TOPIC })
        };
        Ok(described.configs.into_iter().map(config).collect())
    }

    /// Changes some configs of a topic, all of them or none. Brokers before Kafka 2.3 cannot, and say so.
    pub async fn alter_topic_configs(
        &self,
        topic: &str,
        changes: impl IntoIterator<Item = (String, ConfigChange)>,
    ) -> Result<()> {
        let doing = format!("changing the configs of topic {topic}");
        let request = alteration(topic, changes);
        let judge = |answer: &IncrementalAlterConfigsResponse| {
            retriable(answer.responses.first().map(|it| it.error_code))
        };
        let call = self.client.cluster.call(Target::Controller, &doing, |_| request.clone(), judge);
        let altered = call.await?.responses.into_iter().next();
        let altered = altered.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        refusal(altered.error_code, altered.error_message).map_or(Ok(()), |refusal| Err(refusal.doing(doing)))
    }

    /// Deletes the records of a partition before an offset, or all there are if none is said. Says at which offset
    /// it begins then.
    pub async fn delete_records(&self, partition: &TopicPartition, before: Option<i64>) -> Result<i64> {
        let doing = format!("deleting records of {partition}");
        let cluster = &self.client.cluster;
        let context = &self.client.context;
        let deadline = context.now() + context.connection.call_timeout;
        // Whoever asks first knows no leaders yet; they are known as long as someone is interested.
        let (_, _interest) = cluster.topic(&partition.topic, false, deadline).await?;
        let code = |answer: &DeleteRecordsResponse| {
            answer.topics.first().and_then(|topic| topic.partitions.first()).map(|it| it.error_code)
        };
        let judge =
            |answer: &DeleteRecordsResponse| match code(answer).map_or(ErrorCode::None, ErrorCode::from) {
                it if it.is_retriable() => it,
                _ => ErrorCode::None,
            };
        let build = |_| deletion(partition, before.unwrap_or(-1));
        let answer = cluster.call(Target::Leader(partition.clone()), &doing, build, judge).await?;
        let deleted = answer.topics.first().and_then(|topic| topic.partitions.first());
        let deleted = deleted.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        match refusal(deleted.error_code, None) {
            Some(refusal) => Err(refusal.doing(doing)),
            None => Ok(deleted.low_watermark),
        }
    }
}

fn description(topic: &str) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned(),
        configuration_keys: None,
    };
    DescribeConfigsRequest { resources: vec![resource], ..Default::default() }
}

fn alteration(
    topic: &str,
    changes: impl IntoIterator<Item = (String, ConfigChange)>,
) -> IncrementalAlterConfigsRequest {
    let config = |(name, change): (String, ConfigChange)| {
        let (config_operation, value) = match change {
            ConfigChange::Set(value) => (0, Some(value)),
            ConfigChange::Reset => (1, None),
            ConfigChange::Append(words) => (2, Some(words)),
            ConfigChange::Subtract(words) => (3, Some(words)),
        };
        IncrementallyAlterableConfig { name, config_operation, value }
    };
    let resource = IncrementalAlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned(),
        configs: changes.into_iter().map(config).collect(),
    };
    IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

fn deletion(of: &TopicPartition, before: i64) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition { partition_index: of.partition, offset: before };
    let topic = DeleteRecordsTopic { name: of.topic.to_string(), partitions: vec![partition] };
    DeleteRecordsRequest { topics: vec![topic], timeout_ms: CHANGE_MS }
}
