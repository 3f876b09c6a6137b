//! OffsetForLeaderEpoch, versions 2 to 4: how far a leader epoch reached, by which a client learns that a log was cut
//! (KIP-320).
//!
//! An epoch that is later than all is told as none. The end of the epoch that is not over yet is the high watermark:
//! nothing beyond it is certain. A partition is asked about once in a request.

use std::collections::BTreeSet;

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
        OffsetForLeaderTopic, OffsetForLeaderTopicResult,
    },
};

use crate::{
    call::{Answer, Call},
    leadership,
    log::PartitionId,
};

pub(crate) fn answer(
    call: Call<'_>,
    request: OffsetForLeaderEpochRequest,
) -> Answer<OffsetForLeaderEpochResponse> {
    let mut asked_before = BTreeSet::new();
    let tell = |topic: OffsetForLeaderTopic| {
        let found = call.node.find_topic(&topic.topic, Uuid::ZERO, false).map(|topic| topic.id);
        let tell = |asked: OffsetForLeaderPartition| {
            let first = asked_before.insert((topic.topic.clone(), asked.partition));
            tell(&call, if first { found } else { Err(ErrorCode::InvalidRequest) }, &asked)
        };
        let partitions = topic.partitions.into_iter().map(tell).collect();
        OffsetForLeaderTopicResult { topic: topic.topic, partitions }
    };
    let topics = request.topics.into_iter().map(tell).collect();
    Answer::Now(OffsetForLeaderEpochResponse { topics, ..Default::default() })
}

fn tell(call: &Call<'_>, topic: Result<Uuid, ErrorCode>, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let node = call.node;
    let partition = asked.partition;
    let end = topic.and_then(|topic| {
        let at = PartitionId { topic, partition };
        let bounds = node.log.bounds(at).map_err(|refused| refused.code())?;
        leadership::check(call.peer.node, asked.current_leader_epoch, bounds.leader)?;
        node.log.epoch_end(at, asked.leader_epoch).map_err(|refused| refused.code())
    });
    let none = EpochEndOffset { partition, ..Default::default() };
    match end {
        Ok(Some((leader_epoch, end_offset))) => EpochEndOffset { leader_epoch, end_offset, ..none },
        Ok(None) => none,
        Err(code) => EpochEndOffset { error_code: code.code(), ..none },
    }
}
