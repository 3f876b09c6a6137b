//! DescribeGroups, versions 0 to 6: state, protocol, members and their assignments.
//!
//! A group that is not there is Dead, from 6 on an error. Nobody is denied anything, so whoever asks for authorized
//! operations (3) is told all that groups have.

use std::collections::BTreeSet;

use vltava_wire::{
    ErrorCode,
    messages::{DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup},
};

use crate::{
    call::{Answer, Call},
    node::Node,
};

/// READ, DELETE and DESCRIBE, each a bit by its code.
pub(super) const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

pub(crate) fn answer(call: Call<'_>, request: DescribeGroupsRequest) -> Answer<DescribeGroupsResponse> {
    let (node, version) = (call.node.clone(), call.version);
    let operations = if request.include_authorized_operations { OPERATIONS } else { i32::MIN };
    // A group that is asked for many times is told once, so that a small request gets no huge response.
    let mut seen = BTreeSet::new();
    let asked = request.groups.into_iter().filter(move |group_id| seen.insert(group_id.clone()));
    let at = call.peer.node;
    let describe = move |node: &Node, group_id: &str| {
        if node.coordinator_of(group_id) != at {
            let error_code = ErrorCode::NotCoordinator.code();
            return DescribedGroup { error_code, group_id: group_id.to_owned(), ..Default::default() };
        }
        let has_offsets = node.log.has_committed(group_id);
        let asked = node.coordinator.ask(|groups, _| groups.describe(version, group_id, has_offsets));
        DescribedGroup { authorized_operations: operations, ..asked.answer }
    };
    Answer::Later(Box::pin(async move {
        let mut groups: Vec<_> = asked.map(|group_id| describe(&node, &group_id)).collect();
        if let Err(code) = node.ledger_settled().await {
            groups.iter_mut().for_each(|group| group.error_code = code.code());
        }
        DescribeGroupsResponse { groups, ..Default::default() }
    }))
}
