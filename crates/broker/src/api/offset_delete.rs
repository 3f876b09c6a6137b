//! OffsetDelete, version 0: what a group has committed for some partitions goes, if no member needs it.
//!
//! Members of consumer groups need the topics that they are subscribed to, those of other groups everything. The
//! response leaves when the deletion is settled.

use vltava_core::{
    TopicPartition,
    group::coordinator::{Groups, Needs},
};
use vltava_wire::{
    ErrorCode,
    messages::{
        OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
        OffsetDeleteResponseTopic,
    },
};

use crate::{
    call::{Answer, Call},
    node::Node,
};

pub(crate) fn answer(call: Call<'_>, request: OffsetDeleteRequest) -> Answer<OffsetDeleteResponse> {
    let refused = |code: ErrorCode| OffsetDeleteResponse { error_code: code.code(), ..Default::default() };
    if let Err(code) = call.check_coordinator(&request.group_id) {
        return Answer::Now(refused(code));
    }
    // Under the lock of the groups: nobody subscribes or commits meanwhile.
    let asked = call.node.coordinator.ask(|groups, _| delete(call.node, groups, request));
    let (response, settled) = (asked.answer.unwrap_or_else(refused), call.node.ledger_settled());
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => refused(code),
        }
    }))
}

fn delete(
    node: &Node,
    groups: &Groups,
    request: OffsetDeleteRequest,
) -> Result<OffsetDeleteResponse, ErrorCode> {
    let group_id = &request.group_id;
    let has_offsets = node.log.has_committed(group_id);
    if group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    if !has_offsets && !groups.has(group_id) {
        return Err(ErrorCode::GroupIdNotFound);
    }
    let needs = groups.needs(group_id);
    if needs == Needs::All {
        return Err(ErrorCode::NonEmptyGroup);
    }
    let mut gone = Vec::new();
    let mut topic = |asked: OffsetDeleteRequestTopic| {
        let topic = node.log.topic(&asked.name);
        let partition = |index: i32| {
            let there = topic.as_ref().filter(|it| (0..it.partitions()).contains(&index));
            let there = there.ok_or(ErrorCode::UnknownTopicOrPartition);
            let outcome = there.and_then(|_| needs.allow_deletion(&asked.name));
            if outcome.is_ok() {
                gone.push(TopicPartition::new(asked.name.as_str(), index));
            }
            let error_code = outcome.err().unwrap_or(ErrorCode::None).code();
            OffsetDeleteResponsePartition { partition_index: index, error_code }
        };
        let partitions = asked.partitions.iter().map(|it| it.partition_index).map(partition).collect();
        OffsetDeleteResponseTopic { name: asked.name, partitions }
    };
    let topics = request.topics.into_iter().map(&mut topic).collect();
    gone.retain(|at| node.log.committed(group_id, at).is_some());
    if !gone.is_empty() {
        node.log.forget_offsets(group_id, &gone).map_err(|refused| refused.code())?;
    }
    Ok(OffsetDeleteResponse { topics, ..Default::default() })
}
