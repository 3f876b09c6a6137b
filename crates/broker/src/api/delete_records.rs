//! DeleteRecords, versions 0 to 2: a partition begins at another offset, what is before it is gone.
//!
//! -1 stands for the high watermark. An offset before the beginning changes nothing. A topic that is compacted and
//! not deleted from is refused, as in Kafka. The response leaves when all is settled; the request's timeout is not
//! needed.

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
        DeleteRecordsTopic, DeleteRecordsTopicResult,
    },
};

use crate::{
    call::{Answer, Call},
    leadership,
    log::PartitionId,
};

/// The offset that stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;

pub(crate) fn answer(call: Call<'_>, request: DeleteRecordsRequest) -> Answer<DeleteRecordsResponse> {
    let delete = |topic: DeleteRecordsTopic| {
        let found = match call.node.find_topic(&topic.name, Uuid::ZERO, false) {
            Ok(found) if found.rules.deletes => Ok(found.id),
            Ok(_) => Err(ErrorCode::PolicyViolation),
            Err(code) => Err(code),
        };
        let partitions = topic.partitions.into_iter().map(|asked| delete(&call, found, asked));
        DeleteRecordsTopicResult { name: topic.name, partitions: partitions.collect() }
    };
    let topics = request.topics.into_iter().map(delete).collect();
    let response = DeleteRecordsResponse { topics, ..Default::default() };
    let settled = call.node.ledger_settled();
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => all_failed(response, code),
        }
    }))
}

fn delete(
    call: &Call<'_>,
    topic: Result<Uuid, ErrorCode>,
    asked: DeleteRecordsPartition,
) -> DeleteRecordsPartitionResult {
    let DeleteRecordsPartition { partition_index, offset } = asked;
    let trimmed = topic.and_then(|topic| {
        let at = PartitionId { topic, partition: partition_index };
        let leader = call.node.log.bounds(at).map_err(|refused| refused.code())?.leader;
        leadership::check(call.peer.node, leader.epoch, leader)?;
        let until = if offset == HIGH_WATERMARK { None } else { Some(offset) };
        call.node.log.delete_records(at, until).map_err(|refused| refused.code())
    });
    match trimmed {
        Ok(low_watermark) => DeleteRecordsPartitionResult { partition_index, low_watermark, error_code: 0 },
        Err(code) => failed(partition_index, code),
    }
}

fn failed(partition_index: i32, code: ErrorCode) -> DeleteRecordsPartitionResult {
    DeleteRecordsPartitionResult { partition_index, low_watermark: -1, error_code: code.code() }
}

fn all_failed(mut response: DeleteRecordsResponse, code: ErrorCode) -> DeleteRecordsResponse {
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|it| it.error_code == ErrorCode::None.code()) {
        *partition = failed(partition.partition_index, code);
    }
    response
}
