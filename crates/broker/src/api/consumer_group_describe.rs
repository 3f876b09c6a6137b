//! ConsumerGroupDescribe, versions 0 and 1: groups of KIP-848, with what each member has and is to have.
//!
//! A group of the classic protocol is not found. Nobody is denied anything, so whoever asks for authorized operations
//! is told all that groups have.

use std::collections::BTreeSet;

use vltava_wire::{
    ErrorCode,
    messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, next_group::DescribedGroup},
};

use super::describe_groups::OPERATIONS;
use crate::{
    call::{Answer, Call},
    node::Node,
};

pub(crate) fn answer(
    call: Call<'_>,
    request: ConsumerGroupDescribeRequest,
) -> Answer<ConsumerGroupDescribeResponse> {
    let (node, at) = (call.node.clone(), call.peer.node);
    let authorized_operations = if request.include_authorized_operations { OPERATIONS } else { i32::MIN };
    // A group that is asked for many times is told once, so that a small request gets no huge response.
    let mut seen = BTreeSet::new();
    let asked = request.group_ids.into_iter().filter(move |group_id| seen.insert(group_id.clone()));
    let describe = move |node: &Node, group_id: String| {
        if node.coordinator_of(&group_id) != at {
            let error_code = ErrorCode::NotCoordinator.code();
            return DescribedGroup { error_code, group_id, ..Default::default() };
        }
        let group = node.coordinator.ask(|groups, _| groups.describe_next(&group_id)).answer;
        DescribedGroup { authorized_operations, ..group }
    };
    Answer::Later(Box::pin(async move {
        let mut groups: Vec<_> = asked.map(|group_id| describe(&node, group_id)).collect();
        if let Err(code) = node.ledger_settled().await {
            groups.iter_mut().for_each(|group| group.error_code = code.code());
        }
        ConsumerGroupDescribeResponse { groups, ..Default::default() }
    }))
}
