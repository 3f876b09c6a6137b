//! ConsumerGroupHeartbeat, versions 0 and 1: a member of KIP-848 joins, lives, says what it has and is told what it may
//! have, and leaves. From 1 on it names itself, and subscribes by a pattern.
//!
//! The rules are those of `core::group::coordinator`.

use vltava_core::group::coordinator::Beat;
use vltava_wire::{
    ErrorCode,
    messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(
    call: Call<'_>,
    request: ConsumerGroupHeartbeatRequest,
) -> Answer<ConsumerGroupHeartbeatResponse> {
    let refused =
        |code: ErrorCode| ConsumerGroupHeartbeatResponse { error_code: code.code(), ..Default::default() };
    if let Err(code) = call.check_coordinator(&request.group_id) {
        return Answer::Now(refused(code));
    }
    let (version, client_host) = (call.version, call.peer.host.clone());
    let client_id = call.client_id.unwrap_or_default();
    let beat = Beat { version, client_id, client_host, request };
    let asked = call.node.coordinator.ask(|groups, now| groups.on_next_heartbeat(now, beat));
    asked.once_settled(&call.node.log, refused)
}
