//! Heartbeat, versions 0 to 4: a member lives, and learns whether its group rebalances.

use vltava_wire::{
    ErrorCode,
    messages::{HeartbeatRequest, HeartbeatResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, request: HeartbeatRequest) -> Answer<HeartbeatResponse> {
    let refused = |code: ErrorCode| HeartbeatResponse { error_code: code.code(), ..Default::default() };
    if let Err(code) = call.check_coordinator(&request.group_id) {
        return Answer::Now(refused(code));
    }
    let asked = call.node.coordinator.ask(|groups, now| groups.on_heartbeat(now, &request));
    asked.once_settled(&call.node.log, refused)
}
