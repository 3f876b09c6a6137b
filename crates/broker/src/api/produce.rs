//! Produce, versions 0 to 13: batches into partitions, acknowledged when they are settled, whatever `acks` asks for.
//!
//! Versions 0 to 2 are read for the sake of old librdkafka, which infers features from them, and answered with
//! UNSUPPORTED_VERSION. From 13 on topics go by id. A batch is checked before it is stored, see `check`. A copy of
//! one of a producer's last five batches is answered with the offset of the first. Unlike in Kafka, a timestamp may
//! lie in the future. Transactions are refused.

use bytes::Bytes;
use vltava_wire::{
    Compression, ErrorCode,
    messages::{
        ProduceRequest, ProduceResponse,
        produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData, TopicProduceResponse},
    },
    record::{Batch, RecordErrorKind, TimestampType},
};

use crate::{
    call::{Answer, Call},
    denied::Denied,
    ledger::topics::Topic,
    log::{self, Appended, PartitionId, Position},
    node::Node,
    topic_rules,
};

/// The first version with batches in format v2.
const BATCHES_SINCE: i16 = 3;

/// From this version on a client may send zstd.
const ZSTD_SINCE: i16 = 7;

/// From this version on topics go by id.
const IDS_SINCE: i16 = 13;

pub(crate) fn answer(call: Call<'_>, request: ProduceRequest) -> Answer<ProduceResponse> {
    let acks = request.acks;
    let allowed = check_request(call.version, &request);
    let mut last = Position::default();
    let append = |data| append_topic(call.node, call.version, &allowed, data, &mut last);
    let responses = request.topic_data.into_iter().map(append).collect();
    let mut response = ProduceResponse { responses, ..Default::default() };
    if acks == 0 {
        // As Kafka does it: closing the connection is how such a producer learns of an error.
        let failed = partitions(&mut response).any(|it| it.error_code != ErrorCode::None.code());
        return if failed { Answer::Close("a batch was refused") } else { Answer::Silence };
    }
    let settled = call.node.settled(last);
    Answer::Later(Box::pin(async move {
        if let Err(code) = settled.await {
            let appended = |it: &&mut PartitionProduceResponse| it.error_code == ErrorCode::None.code();
            for partition in partitions(&mut response).filter(appended) {
                let log_start_offset = partition.log_start_offset;
                let refused = refused(partition.index, Denied::new(code, "the disk has failed"));
                *partition = PartitionProduceResponse { log_start_offset, ..refused };
            }
        }
        response
    }))
}

fn partitions(response: &mut ProduceResponse) -> impl Iterator<Item = &mut PartitionProduceResponse> {
    response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses)
}

/// What stands in the way of the whole request.
fn check_request(version: i16, request: &ProduceRequest) -> Result<(), Denied> {
    if version < BATCHES_SINCE {
        return Err(Denied::new(ErrorCode::UnsupportedVersion, ""));
    }
    if !(-1..=1).contains(&request.acks) {
        return Err(Denied::new(ErrorCode::InvalidRequiredAcks, "acks is -1, 0 or 1"));
    }
    match &request.transactional_id {
        Some(_) => Err(no_transactions()),
        None => Ok(()),
    }
}

fn no_transactions() -> Denied {
    Denied::new(ErrorCode::InvalidTxnState, "this broker does not serve transactions")
}

fn append_topic(
    node: &Node,
    version: i16,
    allowed: &Result<(), Denied>,
    data: TopicProduceData,
    last: &mut Position,
) -> TopicProduceResponse {
    let topic = allowed.clone().and_then(|()| {
        let topic = node.find_topic(&data.name, data.topic_id, version >= IDS_SINCE);
        topic.map_err(|code| Denied::new(code, "this broker has no such topic"))
    });
    let append = |partition: PartitionProduceData| match &topic {
        Ok(topic) => append(node, version, topic, partition, last),
        Err(error) => refused(partition.index, error.clone()),
    };
    let partition_responses = data.partition_data.into_iter().map(append).collect();
    TopicProduceResponse { name: data.name, topic_id: data.topic_id, partition_responses }
}

fn append(
    node: &Node,
    version: i16,
    topic: &Topic,
    data: PartitionProduceData,
    last: &mut Position,
) -> PartitionProduceResponse {
    let PartitionProduceData { index, records } = data;
    let at = PartitionId { topic: topic.id, partition: index };
    let in_the_log = |refused: log::Refused| {
        tracing::debug!(topic = %topic.name, partition = index, ?refused, "a batch was refused");
        Denied::new(refused.code(), "")
    };
    let batch = check(version, topic, records.unwrap_or_default());
    let appended = batch.and_then(|batch| node.log.append(at, batch.bytes()).map_err(in_the_log));
    // A producer that the partition does not know starts anew only if it is told where the log begins.
    let log_start_offset = node.log.bounds(at).map_or(-1, |bounds| bounds.log_start);
    match appended {
        Ok(Appended { base_offset, position, .. }) => {
            *last = position.max(*last);
            PartitionProduceResponse { index, base_offset, log_start_offset, ..Default::default() }
        }
        Err(error) => PartitionProduceResponse { log_start_offset, ..refused(index, error) },
    }
}

/// The one batch that a partition is sent. Its bytes are as the producer's checksum says, its records take one
/// offset each, and it claims nothing that only a broker may write.
fn check(version: i16, topic: &Topic, records: Bytes) -> Result<Batch, Denied> {
    let bytes = records.len();
    let bytes_max = topic_rules::message_bytes_max(&topic.configs);
    if bytes > bytes_max {
        let message = format!("a batch of {bytes} bytes is larger than max.message.bytes, {bytes_max}");
        return Err(Denied::new(ErrorCode::MessageTooLarge, message));
    }
    let invalid = |message: &str| Err(Denied::new(ErrorCode::InvalidRecord, message));
    if records.is_empty() {
        return invalid("a partition is sent exactly one batch");
    }
    let batch = Batch::parse(records).and_then(|batch| batch.check_produced().map(|()| batch));
    let batch = batch.map_err(|error| Denied::new(code_of(&error.kind), error.to_string()))?;
    if batch.length < bytes {
        return invalid("a partition is sent exactly one batch");
    }
    if batch.is_control() {
        return invalid("only a broker writes control records");
    }
    if batch.is_transactional() {
        return Err(no_transactions());
    }
    if batch.producer_id >= 0 && (batch.producer_epoch < 0 || batch.base_sequence < 0) {
        return invalid("a producer with an id numbers its epochs and batches");
    }
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        let message = "only a broker says when a batch was appended";
        return Err(Denied::new(ErrorCode::InvalidTimestamp, message));
    }
    if batch.compression() == Compression::Zstd && version < ZSTD_SINCE {
        let message = "zstd is allowed from version 7 of Produce on";
        return Err(Denied::new(ErrorCode::UnsupportedCompressionType, message));
    }
    Ok(batch)
}

fn code_of(kind: &RecordErrorKind) -> ErrorCode {
    match kind {
        RecordErrorKind::BadCrc { .. } | RecordErrorKind::Truncated | RecordErrorKind::BadLength(_) => {
            ErrorCode::CorruptMessage
        }
        RecordErrorKind::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
        RecordErrorKind::UnsupportedMagic(_) => ErrorCode::UnsupportedForMessageFormat,
        _ => ErrorCode::InvalidRecord,
    }
}

fn refused(index: i32, refused: Denied) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: refused.code.code(),
        base_offset: -1,
        error_message: (!refused.message.is_empty()).then_some(refused.message),
        ..Default::default()
    }
}
