//! DeleteTopics, versions 1 to 6: topics go with their records and with what groups committed for them.
//!
//! From 6 on a topic may be named by its id. The response leaves when the deletion is settled; the request's
//! timeout is not needed.

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse},
};

use crate::{
    call::{Answer, Call},
    denied::Denied,
};

/// From this version on a topic is named by its name or its id.
const IDS_SINCE: i16 = 6;

pub(crate) fn answer(call: Call<'_>, request: DeleteTopicsRequest) -> Answer<DeleteTopicsResponse> {
    let asked = if call.version >= IDS_SINCE {
        request.topics
    } else {
        let named = |name| DeleteTopicState { name: Some(name), topic_id: Uuid::ZERO };
        request.topic_names.into_iter().map(named).collect()
    };
    let responses = asked.into_iter().map(|asked| delete(&call, asked)).collect();
    let response = DeleteTopicsResponse { responses, ..Default::default() };
    let settled = call.node.ledger_settled();
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => all_failed(response, code),
        }
    }))
}

fn delete(call: &Call<'_>, asked: DeleteTopicState) -> DeletableTopicResult {
    let deleted = match (&asked.name, asked.topic_id) {
        (Some(name), Uuid::ZERO) => call.node.find_topic(name, Uuid::ZERO, false).map_err(unknown),
        (None, id) if id != Uuid::ZERO => call.node.find_topic("", id, true).map_err(unknown),
        _ => {
            let message = "a topic is named by its name or its id, not by both";
            Err(Denied::new(ErrorCode::InvalidRequest, message))
        }
    };
    let deleted = deleted.and_then(|topic| call.node.delete_topic(&topic).map(|_| topic));
    match deleted {
        Ok(topic) => DeletableTopicResult {
            name: Some(topic.name.to_string()),
            topic_id: topic.id,
            ..Default::default()
        },
        Err(refused) => DeletableTopicResult {
            name: asked.name,
            topic_id: asked.topic_id,
            error_code: refused.code.code(),
            error_message: Some(refused.message),
        },
    }
}

fn unknown(code: ErrorCode) -> Denied {
    Denied::new(code, "this broker has no such topic")
}

fn all_failed(mut response: DeleteTopicsResponse, code: ErrorCode) -> DeleteTopicsResponse {
    for topic in response.responses.iter_mut().filter(|topic| topic.error_code == ErrorCode::None.code()) {
        topic.error_code = code.code();
    }
    response
}
