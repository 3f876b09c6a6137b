//! Metadata, versions 0 to 13: the nodes that run, and which of them leads which partition.
//!
//! All nodes are one broker, so each has a replica of every partition, in sync while it runs; one that was stopped is
//! offline. Nothing needs a controller: it is told who would be.
//!
//! A topic that is asked for by name and missing is created with one partition, if the broker does that and the
//! client does not object (4); unlike Kafka's, the response already has it. From 10 on topics may be asked for by
//! id. Nobody is denied anything: whoever asks for authorized operations (8) is told all there are.

use std::{collections::BTreeSet, sync::Arc};

use vltava_core::cluster::{Leader, NodeId};
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
        MetadataResponsePartition, MetadataResponseTopic,
    },
};

use crate::{
    call::{Advertised, Answer, Call},
    ledger::topics::Topic,
    nodes::Nodes,
    topic_rules,
};

/// Before this version an empty list of topics means all of them.
const EMPTY_IS_NONE_SINCE: i16 = 1;

/// From this version on a topic in the response need not have a name.
const NULL_NAME_SINCE: i16 = 12;

/// READ, WRITE, CREATE, DELETE and DESCRIBE, each a bit by its code.
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8;

/// CREATE, DESCRIBE and IDEMPOTENT_WRITE, each a bit by its code.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 8 | 1 << 12;

pub(crate) fn answer(call: Call<'_>, request: MetadataRequest) -> Answer<MetadataResponse> {
    let asked = request.topics.filter(|topics| !topics.is_empty() || call.version >= EMPTY_IS_NONE_SINCE);
    let create = request.allow_auto_topic_creation && call.node.auto_create_topics;
    let asked = asked.map(|asked| once_each(asked).map(|it| Asked::new(&call, it, create)).collect());
    let (found, nodes) = look(&call, asked);
    let settled = call.node.ledger_settled();
    let mut response = MetadataResponse {
        brokers: nodes.running().map(|it| broker(&call, it)).collect(),
        cluster_id: Some(call.node.log.cluster_id().to_string()),
        controller_id: nodes.controller().0,
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    let operations = if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { i32::MIN };
    let version = call.version;
    let topic = move |found: Found| MetadataResponseTopic {
        topic_authorized_operations: operations,
        ..described(found, version, &nodes)
    };
    Answer::Later(Box::pin(async move {
        // Topics that are known stay known if the disk has failed: what is settled can still be read.
        let _ = settled.await;
        response.topics = found.into_iter().map(topic).collect();
        response
    }))
}

/// A topic that is asked for many times is told once, so that a small request gets no huge response.
fn once_each(asked: Vec<MetadataRequestTopic>) -> impl Iterator<Item = MetadataRequestTopic> {
    let mut seen = BTreeSet::new();
    asked.into_iter().filter(move |topic| seen.insert((topic.name.clone(), topic.topic_id)))
}

/// A topic that is asked for, and why it is not there if it was to be created.
struct Asked {
    topic: MetadataRequestTopic,
    refused: Option<ErrorCode>,
}

impl Asked {
    /// Creates the topic by the way, if that is wanted and it is missing.
    fn new(call: &Call<'_>, topic: MetadataRequestTopic, create: bool) -> Self {
        let name = topic.name.as_deref().unwrap_or_default();
        let is_missing = create && topic.topic_id == Uuid::ZERO && call.node.log.topic(name).is_none();
        let refused = is_missing.then(|| call.node.create_by_the_way(name).err()).flatten();
        Self { topic, refused }
    }
}

/// All topics, or those that are asked for, with the nodes: at one moment, so that whoever leads is told to run.
fn look(call: &Call<'_>, asked: Option<Vec<Asked>>) -> (Vec<Found>, Nodes) {
    let nodes = call.node.lock_nodes();
    let found = match asked {
        None => call.node.log.topics().into_iter().map(Found::Topic).collect(),
        Some(asked) => asked.into_iter().map(|asked| find(call, asked)).collect(),
    };
    (found, nodes.clone())
}

/// What came of the search for one topic.
enum Found {
    Topic(Arc<Topic>),
    Nothing(MetadataRequestTopic, ErrorCode),
}

fn find(call: &Call<'_>, asked: Asked) -> Found {
    let Asked { topic, refused } = asked;
    let by_id = topic.topic_id != Uuid::ZERO;
    let name = topic.name.as_deref().unwrap_or_default();
    match call.node.find_topic(name, topic.topic_id, by_id) {
        Ok(found) => Found::Topic(found),
        Err(ErrorCode::UnknownTopicOrPartition) if topic_rules::check_name(name).is_err() => {
            Found::Nothing(topic, ErrorCode::InvalidTopicException)
        }
        Err(code) => Found::Nothing(topic, refused.unwrap_or(code)),
    }
}

fn described(found: Found, version: i16, nodes: &Nodes) -> MetadataResponseTopic {
    match found {
        Found::Topic(topic) => MetadataResponseTopic {
            name: Some(topic.name.to_string()),
            topic_id: topic.id,
            partitions: (0..).zip(&topic.leaders).map(|(it, leader)| partition(it, *leader, nodes)).collect(),
            ..Default::default()
        },
        Found::Nothing(asked, code) => MetadataResponseTopic {
            error_code: code.code(),
            // Only from 12 on may a topic that was asked for by id remain without a name.
            name: if version < NULL_NAME_SINCE {
                asked.name.or_else(|| Some(String::new()))
            } else {
                asked.name
            },
            topic_id: asked.topic_id,
            ..Default::default()
        },
    }
}

fn partition(partition_index: i32, leader: Leader, nodes: &Nodes) -> MetadataResponsePartition {
    MetadataResponsePartition {
        partition_index,
        leader_id: leader.node.0,
        leader_epoch: leader.epoch,
        replica_nodes: nodes.all().map(|it| it.0).collect(),
        isr_nodes: nodes.running().map(|it| it.0).collect(),
        offline_replicas: nodes.stopped().map(|it| it.0).collect(),
        ..Default::default()
    }
}

fn broker(call: &Call<'_>, node: NodeId) -> MetadataResponseBroker {
    let Advertised { host, port } = call.peer.advertised.of(node).clone();
    MetadataResponseBroker { node_id: node.0, host, port: port.into(), rack: None }
}
