//! SyncGroup, versions 0 to 5: the leader hands in all assignments, everyone gets its own.
//!
//! The rules are those of `core::group::coordinator`.

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{SyncGroupRequest, SyncGroupResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, mut request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
    let refused = |code: ErrorCode| SyncGroupResponse { error_code: code.code(), ..Default::default() };
    if let Err(code) = call.check_coordinator(&request.group_id) {
        return Answer::Now(refused(code));
    }
    // The group keeps it for as long as it has the member, but not the frame around it.
    for it in &mut request.assignments {
        it.assignment = Bytes::copy_from_slice(&it.assignment);
    }
    let parked = call.node.coordinator.sync(request);
    Answer::Parked(Box::pin(async move { parked.answer().await.unwrap_or_else(refused) }))
}
