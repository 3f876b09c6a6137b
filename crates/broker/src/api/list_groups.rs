//! ListGroups, versions 0 to 5: of the groups that this node coordinates those that have members or committed offsets.
//!
//! From 4 on a request may ask for certain states, from 5 on for certain types; case does not matter.

use vltava_wire::{
    ErrorCode,
    messages::{ListGroupsRequest, ListGroupsResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, request: ListGroupsRequest) -> Answer<ListGroupsResponse> {
    let (node, at) = (call.node.clone(), call.peer.node);
    Answer::Later(Box::pin(async move {
        let with_offsets = node.log.groups_with_offsets();
        let mut groups = node
            .coordinator
            .ask(|groups, _| groups.list(&request, with_offsets.iter().map(String::as_str)))
            .answer;
        let nodes = node.nodes();
        groups.retain(|group| nodes.coordinator(&group.group_id) == at);
        let error_code = node.ledger_settled().await.err().unwrap_or(ErrorCode::None).code();
        ListGroupsResponse { error_code, groups, ..Default::default() }
    }))
}
