//! What the stub says of itself, of its log and of what it was sent.

use vltava_core::session::greeting;
use vltava_wire::{Api, Decoder, Encoder, ErrorCode, Uuid, Wire, messages::*};

use super::{Shared, TOPIC, connection::Asked};

/// The APIs that are served.
const SERVED: &[Api] = &[
    Api::Produce,
    Api::Fetch,
    Api::ListOffsets,
    Api::Metadata,
    Api::OffsetCommit,
    Api::OffsetFetch,
    Api::FindCoordinator,
    Api::JoinGroup,
    Api::Heartbeat,
    Api::LeaveGroup,
    Api::SyncGroup,
    Api::ApiVersions,
    Api::InitProducerId,
    Api::OffsetForLeaderEpoch,
];

const TOPIC_ID: Uuid = Uuid(0x1234_5678_9abc_def0_1234_5678_9abc_def0);

pub(super) fn versions(asked: Asked, body: &mut Decoder) -> Result<Encoder, String> {
    if !Api::ApiVersions.versions().contains(&asked.version()) {
        return asked.answer_in::<ApiVersionsRequest>(0, &greeting::from_the_future(SERVED));
    }
    let request = ApiVersionsRequest::decode(body).map_err(|error| error.to_string())?;
    asked.answer::<ApiVersionsRequest>(&greeting::answer(SERVED, asked.version(), &request))
}

pub(super) fn metadata(request: &MetadataRequest, shared: &Shared) -> MetadataResponse {
    let nodes = shared.ports.iter().zip(0..);
    let broker = |(port, node_id): (&u16, i32)| MetadataResponseBroker {
        node_id,
        host: String::from("127.0.0.1"),
        port: i32::from(*port),
        rack: None,
    };
    let known = |topic: &MetadataRequestTopic| {
        topic.name.as_deref().is_none_or(|name| name.is_empty() || name == TOPIC)
    };
    let topics = match &request.topics {
        Some(topics) => topics.iter().map(|it| if known(it) { topic(shared) } else { unknown(it) }).collect(),
        None => vec![topic(shared)],
    };
    MetadataResponse {
        brokers: nodes.map(broker).collect(),
        cluster_id: Some(String::from("stub")),
        controller_id: 0,
        topics,
        ..Default::default()
    }
}

fn topic(shared: &Shared) -> MetadataResponseTopic {
    let partition = |partition_index: i32| {
        let leader_id = partition_index % shared.ports.len() as i32;
        MetadataResponsePartition {
            partition_index,
            leader_id,
            leader_epoch: 0,
            replica_nodes: vec![leader_id],
            isr_nodes: vec![leader_id],
            ..Default::default()
        }
    };
    MetadataResponseTopic {
        name: Some(String::from(TOPIC)),
        topic_id: TOPIC_ID,
        partitions: (0..shared.partitions as i32).map(partition).collect(),
        ..Default::default()
    }
}

fn unknown(asked: &MetadataRequestTopic) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        ..Default::default()
    }
}

pub(super) fn producer() -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id: 1_000, producer_epoch: 0, ..Default::default() }
}

pub(super) fn list_offsets(request: ListOffsetsRequest, shared: &Shared) -> ListOffsetsResponse {
    const EARLIEST: i64 = -2;
    let partition = |it: ListOffsetsPartition| ListOffsetsPartitionResponse {
        partition_index: it.partition_index,
        offset: if it.timestamp == EARLIEST { 0 } else { shared.log.end() },
        leader_epoch: 0,
        ..Default::default()
    };
    let topic = |it: ListOffsetsTopic| ListOffsetsTopicResponse {
        name: it.name,
        partitions: it.partitions.into_iter().map(partition).collect(),
    };
    ListOffsetsResponse { topics: request.topics.into_iter().map(topic).collect(), ..Default::default() }
}

pub(super) fn epochs(request: OffsetForLeaderEpochRequest, shared: &Shared) -> OffsetForLeaderEpochResponse {
    let partition = |it: OffsetForLeaderPartition| EpochEndOffset {
        partition: it.partition,
        leader_epoch: 0,
        end_offset: shared.log.end(),
        ..Default::default()
    };
    let topic = |it: OffsetForLeaderTopic| OffsetForLeaderTopicResult {
        topic: it.topic,
        partitions: it.partitions.into_iter().map(partition).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    OffsetForLeaderEpochResponse { topics, ..Default::default() }
}

/// What is asked for, and whether there is any.
pub(super) fn fetch(request: FetchRequest, shared: &Shared) -> (FetchResponse, bool) {
    let mut room = request.max_bytes.max(1) as usize;
    let mut any = false;
    let mut responses = Vec::new();
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for it in topic.partitions {
            let bytes_max = (it.partition_max_bytes.max(0) as usize).min(room);
            let wanted = room > 0 || !any;
            let records =
                if wanted { shared.log.read(it.fetch_offset, bytes_max) } else { Default::default() };
            room = room.saturating_sub(records.len());
            any |= !records.is_empty();
            partitions.push(fetch::PartitionData {
                partition_index: it.partition,
                high_watermark: shared.log.end(),
                last_stable_offset: shared.log.end(),
                log_start_offset: 0,
                aborted_transactions: None,
                records: Some(records),
                ..Default::default()
            });
        }
        let (topic, topic_id) = (topic.topic, topic.topic_id);
        responses.push(fetch::FetchableTopicResponse { topic, topic_id, partitions });
    }
    (FetchResponse { responses, ..Default::default() }, any)
}

pub(super) fn produce(request: ProduceRequest, shared: &Shared) -> ProduceResponse {
    shared.produced.on_request();
    let partition = |it: produce::PartitionProduceData| {
        let appended = shared.produced.append(it.index, it.records.unwrap_or_default());
        let (base_offset, error_code) = match appended {
            Ok(offset) => (offset, 0),
            Err(error) => (-1, error.code()),
        };
        produce::PartitionProduceResponse {
            index: it.index,
            error_code,
            base_offset,
            log_start_offset: 0,
            ..Default::default()
        }
    };
    let topic = |it: produce::TopicProduceData| produce::TopicProduceResponse {
        name: it.name,
        topic_id: it.topic_id,
        partition_responses: it.partition_data.into_iter().map(partition).collect(),
    };
    ProduceResponse { responses: request.topic_data.into_iter().map(topic).collect(), ..Default::default() }
}
