//! LeaveGroup, versions 0 to 5: members leave by their own word or an administrator's; from 3 on many at once.

use vltava_wire::{
    ErrorCode,
    messages::{LeaveGroupRequest, LeaveGroupResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, request: LeaveGroupRequest) -> Answer<LeaveGroupResponse> {
    let refused = |code: ErrorCode| LeaveGroupResponse { error_code: code.code(), ..Default::default() };
    if let Err(code) = call.check_coordinator(&request.group_id) {
        return Answer::Now(refused(code));
    }
    let asked = call.node.coordinator.ask(|groups, now| groups.on_leave(now, call.version, request));
    asked.once_settled(&call.node.log, refused)
}
