//! InitProducerId, versions 0 to 5: an identity for an idempotent producer, never given to another.
//!
//! Every call gives a new id with epoch 0, whatever identity the producer had (3). Transactions are not served: a
//! transactional id is denied, which every client takes as final.

use vltava_wire::{
    ErrorCode,
    messages::{InitProducerIdRequest, InitProducerIdResponse},
};

use crate::call::{Answer, Call};

pub(crate) fn answer(call: Call<'_>, request: InitProducerIdRequest) -> Answer<InitProducerIdResponse> {
    match request.transactional_id.as_deref() {
        None => (),
        Some("") => return Answer::Now(refused(ErrorCode::InvalidRequest)),
        Some(id) => {
            tracing::warn!(transactional_id = id, "transactions are not served, a producer was turned away");
            return Answer::Now(refused(ErrorCode::TransactionalIdAuthorizationFailed));
        }
    }
    let (producer_id, position) = match call.node.log.new_producer_id() {
        Ok(new) => new,
        Err(error) => return Answer::Now(refused(error.code())),
    };
    let settled = call.node.settled(position);
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
            Err(code) => refused(code),
        }
    }))
}

fn refused(code: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: code.code(), producer_epoch: -1, ..Default::default() }
}
