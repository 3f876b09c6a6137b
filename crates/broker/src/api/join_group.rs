//! JoinGroup, versions 0 to 9: waits until the group is complete, and learns who assigns.
//!
//! The rules are those of `core::group::coordinator`. Unlike Kafka's, the first rebalance of a group does not wait for
//! members that might come.

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{JoinGroupRequest, JoinGroupResponse},
};

use crate::call::{Answer, Call};

/// From this version on there may be no protocol to name.
const NULL_PROTOCOL_SINCE: i16 = 7;

pub(crate) fn answer(call: Call<'_>, mut request: JoinGroupRequest) -> Answer<JoinGroupResponse> {
    let version = call.version;
    let told = move |mut response: JoinGroupResponse| {
        if version < NULL_PROTOCOL_SINCE {
            response.protocol_name.get_or_insert_default();
        }
        response
    };
    let refused = |code: ErrorCode| JoinGroupResponse { error_code: code.code(), ..Default::default() };
    if let Err(code) = call.check_coordinator(&request.group_id) {
        return Answer::Now(told(refused(code)));
    }
    // The group keeps it for as long as it has the member, but not the frame around it.
    for protocol in &mut request.protocols {
        protocol.metadata = Bytes::copy_from_slice(&protocol.metadata);
    }
    let client_id = call.client_id.unwrap_or_default();
    let parked = call.node.coordinator.join(version, client_id, call.peer.host.clone(), request);
    Answer::Parked(Box::pin(async move { told(parked.answer().await.unwrap_or_else(refused)) }))
}
