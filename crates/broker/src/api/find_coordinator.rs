//! FindCoordinator, versions 0 to 6: every group has its node, see `nodes`.
//!
//! From 4 on a request names many keys. Transactions and share groups (6) are not served, where Kafka would name a
//! coordinator: a transactional id is denied, which every client takes as final, and a share group is an
//! INVALID_REQUEST; the message says why.

use vltava_wire::{
    ErrorCode,
    messages::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse},
};

use crate::call::{Advertised, Answer, Call};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// From this version on a request names many keys.
const MANY_SINCE: i16 = 4;

pub(crate) fn answer(call: Call<'_>, request: FindCoordinatorRequest) -> Answer<FindCoordinatorResponse> {
    if call.version >= MANY_SINCE {
        let find = |key| find(&call, request.key_type, key);
        let coordinators = request.coordinator_keys.into_iter().map(find).collect();
        return Answer::Now(FindCoordinatorResponse { coordinators, ..Default::default() });
    }
    let Coordinator { node_id, host, port, error_code, error_message, .. } =
        find(&call, request.key_type, request.key);
    Answer::Now(FindCoordinatorResponse {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..Default::default()
    })
}

fn find(call: &Call<'_>, key_type: i8, key: String) -> Coordinator {
    let refused = |error_code: ErrorCode, message: &str| Coordinator {
        key: key.clone(),
        node_id: -1,
        host: String::new(),
        port: -1,
        error_code: error_code.code(),
        error_message: Some(message.to_owned()),
    };
    match key_type {
        GROUP => {
            let node = call.node.coordinator_of(&key);
            let Advertised { host, port } = call.peer.advertised.of(node).clone();
            Coordinator {
                node_id: node.0,
                host,
                port: port.into(),
                error_code: ErrorCode::None.code(),
                error_message: None,
                key,
            }
        }
        TRANSACTION => {
            tracing::warn!(transactional_id = key, "transactions are not served, a producer was turned away");
            let message = "this broker does not serve transactions";
            refused(ErrorCode::TransactionalIdAuthorizationFailed, message)
        }
        SHARE => refused(ErrorCode::InvalidRequest, "this broker does not serve share groups"),
        _ => refused(ErrorCode::InvalidRequest, "this type of coordinator is not known"),
    }
}
