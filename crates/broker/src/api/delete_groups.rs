//! DeleteGroups, versions 0 to 2: groups without members go, with all that they have committed.
//!
//! The response leaves when the deletion is settled. A group that is named twice is there once only.

use vltava_wire::{
    ErrorCode,
    messages::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, request: DeleteGroupsRequest) -> Answer<DeleteGroupsResponse> {
    let results = request.groups_names.into_iter().map(|group_id| {
        let outcome = delete(&call, &group_id);
        DeletableGroupResult { group_id, error_code: outcome.err().unwrap_or(ErrorCode::None).code() }
    });
    let response = DeleteGroupsResponse { results: results.collect(), ..Default::default() };
    let settled = call.node.ledger_settled();
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => all_failed(response, code),
        }
    }))
}

fn delete(call: &Call<'_>, group_id: &str) -> Result<(), ErrorCode> {
    call.check_coordinator(group_id)?;
    let has_offsets = call.node.log.has_committed(group_id);
    let asked = call.node.coordinator.ask(|groups, _| groups.on_delete(group_id, has_offsets));
    asked.answer?;
    asked.position?;
    tracing::info!(group = group_id, "group deleted");
    Ok(())
}

fn all_failed(mut response: DeleteGroupsResponse, code: ErrorCode) -> DeleteGroupsResponse {
    for result in response.results.iter_mut().filter(|it| it.error_code == ErrorCode::None.code()) {
        result.error_code = code.code();
    }
    response
}
