//! SyncGroup, versions 0 to 5: the leader hands in all assignments, everyone gets its own.
//!
//! The rules are those of `core::group::classic`.

use vltava_wire::{
    ErrorCode,
    messages::{SyncGroupRequest, SyncGroupResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, request: SyncGroupRequest) -> Answer<SyncGroupResponse> {
    let parked = call.node.coordinator.sync(request);
    Answer::Parked(Box::pin(async move {
        let refused = |code: ErrorCode| SyncGroupResponse { error_code: code.code(), ..Default::default() };
        parked.answer().await.unwrap_or_else(refused)
    }))
}
