//! Produce, versions 0 to 13: batches into partitions, acknowledged when they are settled, whatever `acks` asks for.
//!
//! Versions 0 to 2 are read for the sake of old librdkafka, which infers features from them, and answered with
//! UNSUPPORTED_VERSION. From 13 on topics go by id. A batch is checked before it is stored, see `check`; from 8 on
//! the records at fault are named. A copy of one of a producer's last five batches is answered with the offset of
//! the first. Transactions are refused.

mod check;

use vltava_core::planted::{Plant, planted};
use vltava_wire::{
    ErrorCode,
    messages::{
        ProduceRequest, ProduceResponse,
        produce::{
            BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData,
            PartitionProduceResponse, TopicProduceData, TopicProduceResponse,
        },
    },
};

use crate::{
    call::{Advertised, Answer, Call, Peer},
    denied::Denied,
    ledger::topics::Topic,
    log::{self, Appended, PartitionId, Position},
};

use check::{Rejected, check};

/// The first version with batches in format v2.
const BATCHES_SINCE: i16 = 3;

/// From this version on a response says who leads (KIP-951).
const LEADERS_SINCE: i16 = 10;

/// From this version on topics go by id.
const IDS_SINCE: i16 = 13;

pub(crate) fn answer(call: Call<'_>, request: ProduceRequest) -> Answer<ProduceResponse> {
    let acks = request.acks;
    let allowed = check_request(call.version, &request);
    let mut last = Position::default();
    let append = |data| append_topic(&call, &allowed, data, &mut last);
    let responses = request.topic_data.into_iter().map(append).collect();
    let mut response = ProduceResponse { responses, ..Default::default() };
    response.node_endpoints = leaders(&mut response, call.peer);
    if !response.node_endpoints.is_empty() {
        // Who leads is told once it cannot change back.
        last = last.max(call.node.log.ledger_position());
    }
    if acks == 0 {
        // As Kafka does it: closing the connection is how such a producer learns of an error.
        let failed = partitions(&mut response).any(|it| it.error_code != ErrorCode::None.code());
        return if failed { Answer::Close("a batch was refused") } else { Answer::Silence };
    }
    if planted(Plant::AcknowledgedUnsynced) {
        last = Position::default();
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

/// Where the leaders are that the response names.
fn leaders(response: &mut ProduceResponse, peer: &Peer) -> Vec<NodeEndpoint> {
    let leaders = partitions(response).map(|it| it.current_leader.leader_id);
    let endpoint = |(node_id, at): (i32, &Advertised)| NodeEndpoint {
        node_id,
        host: at.host.clone(),
        port: at.port.into(),
        rack: None,
    };
    peer.advertised.named(leaders).map(endpoint).collect()
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

/// Said of whatever belongs to a transaction.
fn no_transactions() -> Denied {
    Denied::new(ErrorCode::InvalidTxnState, "this broker does not serve transactions")
}

fn append_topic(
    call: &Call<'_>,
    allowed: &Result<(), Denied>,
    data: TopicProduceData,
    last: &mut Position,
) -> TopicProduceResponse {
    let topic = allowed.clone().and_then(|()| {
        let topic = call.node.find_topic(&data.name, data.topic_id, call.version >= IDS_SINCE);
        topic.map_err(|code| Denied::new(code, "this broker has no such topic"))
    });
    let append = |partition: PartitionProduceData| match &topic {
        Ok(topic) => append(call, topic, partition, last),
        Err(error) => refused(partition.index, error.clone()),
    };
    let partition_responses = data.partition_data.into_iter().map(append).collect();
    TopicProduceResponse { name: data.name, topic_id: data.topic_id, partition_responses }
}

fn append(
    call: &Call<'_>,
    topic: &Topic,
    data: PartitionProduceData,
    last: &mut Position,
) -> PartitionProduceResponse {
    let Call { node, version, .. } = *call;
    let PartitionProduceData { index, records } = data;
    let at = PartitionId { topic: topic.id, partition: index };
    let in_the_log = |refused: log::Refused| {
        tracing::debug!(topic = %topic.name, partition = index, ?refused, "a batch was refused");
        Denied::new(refused.code(), "")
    };
    let admitted = check(version, topic, node.clock.wall(), records.unwrap_or_default());
    let appended = admitted.and_then(|it| {
        let appended = node.log.append(at, call.peer.node, &it.batch).map_err(in_the_log)?;
        Ok((appended, it.append_time))
    });
    // A producer whose batches went with the beginning of the log is told where that is.
    let bounds = node.log.bounds(at).ok();
    let log_start_offset = bounds.map_or(-1, |bounds| bounds.log_start);
    match appended {
        Ok((Appended { base_offset, position, duplicate }, append_time)) => {
            *last = position.max(*last);
            let log_append_time_ms = append_time.filter(|_| !duplicate).unwrap_or(-1);
            PartitionProduceResponse {
                index,
                base_offset,
                log_append_time_ms,
                log_start_offset,
                ..Default::default()
            }
        }
        Err(error) => {
            let refused = refused(index, error);
            let elsewhere = refused.error_code == ErrorCode::NotLeaderOrFollower.code();
            let leader = bounds.filter(|_| elsewhere && version >= LEADERS_SINCE).map(|it| it.leader);
            let current_leader = leader.map_or_else(LeaderIdAndEpoch::default, |it| LeaderIdAndEpoch {
                leader_id: it.node.0,
                leader_epoch: it.epoch,
            });
            PartitionProduceResponse { log_start_offset, current_leader, ..refused }
        }
    }
}

fn refused(index: i32, refused: impl Into<Rejected>) -> PartitionProduceResponse {
    let Rejected { denied: Denied { code, message }, records } = refused.into();
    let told =
        |(batch_index, why)| BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(why) };
    PartitionProduceResponse {
        index,
        error_code: code.code(),
        base_offset: -1,
        record_errors: records.into_iter().map(told).collect(),
        error_message: (!message.is_empty()).then_some(message),
        ..Default::default()
    }
}
