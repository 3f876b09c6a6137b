//! CreateTopics, versions 2 to 7: topics with a replica of each partition on every node, which is one broker.
//!
//! Whatever replication factor is asked for, there are as many replicas as nodes; if that is fewer, there is a warning
//! in the log. Who says where replicas go says who leads: the first. What becomes of configs is told by
//! `topic_rules::configs`; the response (5) lists all of them. The response leaves when the topics are settled;
//! the request's timeout is not needed. Unlike in Kafka, names that differ in '.' and '_' alone do not collide.

use std::collections::{BTreeMap, BTreeSet};

use vltava_core::cluster::NodeId;
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicConfigs,
        CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
    },
};

use crate::{
    call::{Answer, Call},
    denied::Denied,
    node::NewTopic,
    topic_rules::{
        self,
        configs::{self, CONFIGS, Given},
    },
};

/// Where a config of a topic comes from: it was set on the topic.
const TOPIC_CONFIG: i8 = 1;

/// Where a config of a topic comes from: nobody set it.
const DEFAULT_CONFIG: i8 = 5;

/// Kafka takes a topic's replicas from its default with this.
const DEFAULT: i16 = -1;

pub(crate) fn answer(call: Call<'_>, request: CreateTopicsRequest) -> Answer<CreateTopicsResponse> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.clone()).or_default() += 1;
    }
    let mut topics = Vec::new();
    for asked in request.topics {
        // One that is named twice is answered once.
        let Some(times) = times.remove(&asked.name) else { continue };
        let outcome = if times > 1 {
            Err(Denied::new(
                ErrorCode::InvalidRequest,
                format!("topic {} is named {times} times", asked.name),
            ))
        } else {
            create(&call, &asked, request.validate_only)
        };
        topics.push(result(asked, outcome));
    }
    let response = CreateTopicsResponse { topics, ..Default::default() };
    let settled = call.node.ledger_settled();
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => all_failed(response, code),
        }
    }))
}

/// What was created, or would have been.
struct Created {
    id: Uuid,
    partitions: u16,
    replicas: usize,
}

fn create(call: &Call<'_>, asked: &CreatableTopic, validate_only: bool) -> Result<Created, Denied> {
    topic_rules::check_name(&asked.name)?;
    let nodes: Vec<_> = call.node.nodes().all().collect();
    let (partitions, leaders) = partitions(asked, &nodes)?;
    let replicas = nodes.len();
    for config in &asked.configs {
        configs::check(&config.name, config.value.as_deref())?;
    }
    if call.node.find_topic(&asked.name, Uuid::ZERO, false).is_ok() {
        let message = format!("topic {} exists", asked.name);
        return Err(Denied::new(ErrorCode::TopicAlreadyExists, message));
    }
    if validate_only {
        return Ok(Created { id: Uuid::ZERO, partitions, replicas });
    }
    let wanted = asked.replication_factor;
    if usize::try_from(wanted).is_ok_and(|wanted| wanted > replicas) {
        tracing::warn!(topic = asked.name, wanted, replicas, "a topic has one replica on each node");
    }
    let configs = given(&asked.configs);
    let new = NewTopic { name: &asked.name, partitions: partitions.into(), leaders, configs };
    let (topic, _) = call.node.create_topic(new)?;
    Ok(Created { id: topic.id, partitions, replicas })
}

/// How many partitions are asked for, by number or by saying where each replica goes, and then who leads them.
fn partitions(asked: &CreatableTopic, nodes: &[NodeId]) -> Result<(u16, Vec<NodeId>), Denied> {
    if asked.assignments.is_empty() {
        return match asked.replication_factor {
            DEFAULT | 1.. => Ok((topic_rules::partitions(asked.num_partitions)?, Vec::new())),
            factor => {
                let message = format!("topic {} cannot have {factor} replicas", asked.name);
                Err(Denied::new(ErrorCode::InvalidReplicationFactor, message))
            }
        };
    }
    if asked.num_partitions != -1 || asked.replication_factor != DEFAULT {
        let message =
            format!("topic {} has both assignments and numbers of partitions or replicas", asked.name);
        return Err(Denied::new(ErrorCode::InvalidRequest, message));
    }
    let mut assignments: Vec<_> = asked.assignments.iter().collect();
    assignments.sort_by_key(|it| it.partition_index);
    let in_a_row = assignments.iter().zip(0..).all(|(it, expected)| it.partition_index == expected);
    let leaders = assignments.iter().map(|it| first_replica(it, nodes)).collect::<Option<Vec<_>>>();
    let Some(leaders) = leaders.filter(|_| in_a_row) else {
        let brokers = match nodes {
            [only] => format!("broker {only} alone"),
            [first, .., last] => format!("different brokers of {first} to {last}"),
            [] => unreachable!("a broker has a node"),
        };
        let message = format!("topic {}: partitions go from 0 without a gap, each to {brokers}", asked.name);
        return Err(Denied::new(ErrorCode::InvalidReplicaAssignment, message));
    };
    Ok((topic_rules::partitions(i32::try_from(leaders.len()).unwrap_or(i32::MAX))?, leaders))
}

/// The first of a partition's replicas, which leads, if all of them are different nodes.
fn first_replica(assigned: &CreatableReplicaAssignment, nodes: &[NodeId]) -> Option<NodeId> {
    let mut seen = BTreeSet::new();
    let replicas = &assigned.broker_ids;
    let all_good = replicas.iter().all(|it| nodes.contains(&NodeId(*it)) && seen.insert(it));
    replicas.first().map(|it| NodeId(*it)).filter(|_| all_good)
}

fn result(asked: CreatableTopic, outcome: Result<Created, Denied>) -> CreatableTopicResult {
    let name = asked.name;
    match outcome {
        Ok(Created { id, partitions, replicas }) => CreatableTopicResult {
            name,
            topic_id: id,
            error_message: None,
            num_partitions: partitions.into(),
            replication_factor: replicas as i16,
            configs: Some(described(&given(&asked.configs))),
            ..Default::default()
        },
        Err(refused) => failed(name, refused.code, Some(refused.message)),
    }
}

fn given(configs: &[CreatableTopicConfig]) -> Given {
    configs.iter().map(|it| (it.name.clone(), it.value.clone())).collect()
}

/// All configs, those that were not given with their defaults.
fn described(given: &Given) -> Vec<CreatableTopicConfigs> {
    let described = |config: &configs::Config| {
        let set = given.get(config.name).and_then(Option::as_deref);
        CreatableTopicConfigs {
            name: config.name.to_owned(),
            value: Some(set.unwrap_or(config.default).to_owned()),
            read_only: false,
            config_source: if set.is_some() { TOPIC_CONFIG } else { DEFAULT_CONFIG },
            is_sensitive: false,
        }
    };
    CONFIGS.iter().map(described).collect()
}

fn failed(name: String, code: ErrorCode, error_message: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult { name, error_code: code.code(), error_message, ..Default::default() }
}

fn all_failed(mut response: CreateTopicsResponse, code: ErrorCode) -> CreateTopicsResponse {
    for topic in response.topics.iter_mut().filter(|topic| topic.error_code == ErrorCode::None.code()) {
        *topic = failed(std::mem::take(&mut topic.name), code, None);
    }
    response
}
