//! ListOffsets, versions 1 to 11: where a partition begins and ends, and what was there at a time.
//!
//! A timestamp is a time, or asks for something else: the end (-1), the start (-2), the record with the latest
//! timestamp (-3, from 7), the start of what is stored locally (-4, from 8), which is all. Nothing is stored
//! elsewhere, so what was uploaded last (-5, from 9) or is to be uploaded first (-6, from 11) is no record at all.
//! There are no transactions: both isolation levels see the same. A partition is asked about once in a request, so
//! that a small one does not have the same batch unpacked over and over.

use std::{collections::BTreeSet, sync::Arc};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
        ListOffsetsTopic, ListOffsetsTopicResponse,
    },
};

use crate::{
    call::{Answer, Call},
    leadership,
    ledger::topics::Topic,
    log::{Bounds, Found, PartitionId, Refused},
    node::Node,
};

/// From this version on clients know of leader epochs.
const EPOCHS_SINCE: i16 = 4;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

pub(crate) fn answer(call: Call<'_>, request: ListOffsetsRequest) -> Answer<ListOffsetsResponse> {
    let mut asked_before = BTreeSet::new();
    let list = |topic: ListOffsetsTopic| {
        let found = call.node.find_topic(&topic.name, Uuid::ZERO, false);
        let list = |asked: ListOffsetsPartition| {
            let first = asked_before.insert((topic.name.clone(), asked.partition_index));
            let found = if first { found.clone() } else { Err(ErrorCode::InvalidRequest) };
            list(&call, &found, asked)
        };
        let partitions = topic.partitions.into_iter().map(list).collect();
        ListOffsetsTopicResponse { name: topic.name, partitions }
    };
    let topics = request.topics.into_iter().map(list).collect();
    Answer::Now(ListOffsetsResponse { topics, ..Default::default() })
}

fn list(
    call: &Call<'_>,
    topic: &Result<Arc<Topic>, ErrorCode>,
    asked: ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let (node, version) = (call.node, call.version);
    let outcome = topic.as_ref().map_err(|code| *code).and_then(|topic| {
        let at = PartitionId { topic: topic.id, partition: asked.partition_index };
        let bounds = node.log.bounds(at).map_err(|refused| refused.code())?;
        leadership::check(call.peer.node, asked.current_leader_epoch, bounds.leader)?;
        find(node, version, at, &bounds, asked.timestamp)
    });
    let found = Found { offset: -1, timestamp: -1, leader_epoch: -1 };
    let (error_code, found) = match outcome {
        Ok(outcome) => (ErrorCode::None, outcome.unwrap_or(found)),
        Err(code) => (code, found),
    };
    ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: error_code.code(),
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: if version >= EPOCHS_SINCE { found.leader_epoch } else { -1 },
    }
}

fn find(
    node: &Node,
    version: i16,
    at: PartitionId,
    bounds: &Bounds,
    timestamp: i64,
) -> Result<Option<Found>, ErrorCode> {
    let place = |offset, leader_epoch| Ok(Some(Found { offset, timestamp: -1, leader_epoch }));
    let start_epoch = bounds.log_start_epoch.unwrap_or(bounds.leader.epoch);
    let told = |refused: Refused| {
        tracing::warn!(%at, timestamp, ?refused, "a record cannot be found by its time");
        refused.code()
    };
    match timestamp {
        LATEST => place(bounds.high_watermark, bounds.leader.epoch),
        EARLIEST => place(bounds.log_start, start_epoch),
        EARLIEST_LOCAL if version >= 8 => place(bounds.log_start, start_epoch),
        MAX_TIMESTAMP if version >= 7 => node.log.find_latest_timestamp(at).map_err(told),
        LATEST_TIERED if version >= 9 => Ok(None),
        EARLIEST_PENDING_UPLOAD if version >= 11 => Ok(None),
        0.. => node.log.find_timestamp(at, timestamp).map_err(told),
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}
