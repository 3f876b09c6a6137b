//! Creating, deleting and describing topics.

use std::{collections::BTreeMap, sync::Arc};

use vltava_core::cluster::{Ask, Target};
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicState,
        DeleteTopicsRequest, DeleteTopicsResponse, MetadataResponse, MetadataResponsePartition,
        MetadataResponseTopic,
    },
};

use super::Admin;
use crate::{
    Address,
    error::{Error, ErrorKind, Result},
};

/// So long the controller may take to have a change known; less than a request is waited for.
pub(super) const CHANGE_MS: i32 = 20_000;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it is to have; none leaves it to the broker.
    pub partitions: Option<i32>,
    /// How many brokers are to hold each partition; none leaves it to the broker.
    pub replication_factor: Option<i16>,
    /// Settings that are to differ from the broker's, by Kafka's names.
    pub configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic as the broker would have it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: None, replication_factor: None, configs: BTreeMap::new() }
    }

    /// Sets the number of partitions.
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Sets how many brokers hold each partition.
    #[must_use]
    pub fn replication_factor(mut self, replication_factor: i16) -> Self {
        self.replication_factor = Some(replication_factor);
        self
    }

    fn request(&self) -> CreateTopicsRequest {
        let config = |(name, value): (&String, &String)| CreatableTopicConfig {
            name: name.clone(),
            value: Some(value.clone()),
        };
        let topic = CreatableTopic {
            name: self.name.clone(),
            num_partitions: self.partitions.unwrap_or(-1),
            replication_factor: self.replication_factor.unwrap_or(-1),
            configs: self.configs.iter().map(config).collect(),
            ..Default::default()
        };
        CreateTopicsRequest { topics: vec![topic], timeout_ms: CHANGE_MS, ..Default::default() }
    }
}

/// A topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero where brokers are too old for ids.
    pub id: Uuid,
    /// Whether it is one of Kafka's own.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them that are in sync.
    pub in_sync: Vec<i32>,
}

impl Admin {
    /// Creates a topic. That it is there already is an error, code `TOPIC_ALREADY_EXISTS`.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<()> {
        let doing = format!("creating topic {}", topic.name);
        let judge = |answer: &CreateTopicsResponse| retriable(answer.topics.first().map(|it| it.error_code));
        let call = self.client.cluster.call(Target::Controller, &doing, |_| topic.request(), judge);
        let created = call.await?.topics.into_iter().next();
        let created = created.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        refusal(created.error_code, created.error_message).map_or(Ok(()), |refusal| Err(refusal.doing(doing)))
    }

    /// Deletes a topic and all its records.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let doing = format!("deleting topic {name}");
        let judge =
            |answer: &DeleteTopicsResponse| retriable(answer.responses.first().map(|it| it.error_code));
        let build = |version| deletion(name, version);
        let call = self.client.cluster.call(Target::Controller, &doing, build, judge);
        let deleted = call.await?.responses.into_iter().next();
        let deleted = deleted.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        refusal(deleted.error_code, deleted.error_message).map_or(Ok(()), |refusal| Err(refusal.doing(doing)))
    }

    /// Every topic, by name.
    pub async fn topics(&self) -> Result<Vec<TopicDescription>> {
        let answer = self.metadata(Ask::All, "listing topics").await?;
        let mut topics: Vec<_> =
            answer.topics.into_iter().filter(|it| it.error_code == 0).map(described).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic.
    pub async fn topic(&self, name: &str) -> Result<TopicDescription> {
        let doing = format!("describing topic {name}");
        let answer = self.metadata(Ask::Topics(vec![name.into()]), &doing).await?;
        let topic = answer.topics.into_iter().next();
        let topic = topic.ok_or_else(|| Error::new(ErrorKind::Malformed).doing(&doing))?;
        match ErrorCode::from(topic.error_code) {
            ErrorCode::None => Ok(described(topic)),
            ErrorCode::UnknownTopicOrPartition => {
                Err(Error::new(ErrorKind::UnknownTopic).what(format!("topic {name} is not there")))
            }
            code => Err(Error::refused(code).doing(doing)),
        }
    }

    /// The brokers by node id, and where they say they are reached.
    pub async fn brokers(&self) -> Result<BTreeMap<i32, Address>> {
        let answer = self.metadata(Ask::Topics(Vec::new()), "listing brokers").await?;
        let port = |port: i32| u16::try_from(port).unwrap_or_default();
        let address = |host, number| Address { host, port: port(number) };
        Ok(answer.brokers.into_iter().map(|it| (it.node_id, address(it.host, it.port))).collect())
    }

    async fn metadata(&self, ask: Ask, doing: &str) -> Result<MetadataResponse> {
        let cluster = &self.client.cluster;
        let judge = |answer: &MetadataResponse| ErrorCode::from(answer.error_code);
        cluster.call(Target::Any, doing, |version| ask.request(version < 4), judge).await
    }
}

fn deletion(name: &str, version: i16) -> DeleteTopicsRequest {
    let request = DeleteTopicsRequest { timeout_ms: CHANGE_MS, ..Default::default() };
    let name = name.to_owned();
    match version {
        ..6 => DeleteTopicsRequest { topic_names: vec![name], ..request },
        _ => {
            let topic = DeleteTopicState { name: Some(name), ..Default::default() };
            DeleteTopicsRequest { topics: vec![topic], ..request }
        }
    }
}

/// The error to try again for. The controller knows every topic: that one is unknown to it is an answer.
pub(super) fn retriable(code: Option<i16>) -> ErrorCode {
    match code.map_or(ErrorCode::None, ErrorCode::from) {
        ErrorCode::UnknownTopicOrPartition => ErrorCode::None,
        code if code.is_retriable() => code,
        _ => ErrorCode::None,
    }
}

/// The error of an answer, with what the broker says about it.
pub(super) fn refusal(code: i16, message: Option<String>) -> Option<Error> {
    let code = ErrorCode::from(code);
    let error = (code != ErrorCode::None).then(|| Error::refused(code))?;
    Some(match message.filter(|message| !message.is_empty()) {
        Some(message) => error.what(format!("{code}: {message}")),
        None => error,
    })
}

fn described(topic: MetadataResponseTopic) -> TopicDescription {
    let partition = |it: MetadataResponsePartition| PartitionDescription {
        partition: it.partition_index,
        leader: (it.leader_id >= 0).then_some(it.leader_id),
        replicas: it.replica_nodes,
        in_sync: it.isr_nodes,
    };
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_by_key(|it| it.partition);
    let name = topic.name.unwrap_or_default().into();
    TopicDescription { name, id: topic.topic_id, is_internal: topic.is_internal, partitions }
}
