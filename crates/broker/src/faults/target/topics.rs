//! Requests that make or remove topics, each of which is answered.

use vltava_wire::{
    Uuid,
    messages::{
        CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse, DeletableTopicResult,
        DeleteTopicsRequest, DeleteTopicsResponse,
    },
};

use super::{At, Judge, Part, Refused, Target, put, replace};

impl Target for CreateTopicsRequest {
    fn refuse(&mut self, _: At<'_>, judge: Judge<'_>) -> Option<Refused<CreateTopicsResponse>> {
        let mut topics = Vec::new();
        self.topics.retain(|asked| {
            let code = judge(Part::new(asked.name.clone(), None));
            topics.extend(code.map(|code| CreatableTopicResult {
                name: asked.name.clone(),
                error_code: code.code(),
                ..Default::default()
            }));
            code.is_none()
        });
        let response = (!topics.is_empty()).then(|| CreateTopicsResponse { topics, ..Default::default() });
        response.map(|response| Refused { response, is_all: self.topics.is_empty() })
    }

    fn tell(response: &mut CreateTopicsResponse, refused: CreateTopicsResponse) {
        put(&mut response.topics, refused.topics, |it| it.name.clone(), replace);
    }

    fn throttle_time_ms(response: &mut CreateTopicsResponse) -> &mut i32 {
        &mut response.throttle_time_ms
    }
}

/// Topics go by name, and from version 6 on also by id.
impl Target for DeleteTopicsRequest {
    fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<DeleteTopicsResponse>> {
        let mut responses = Vec::new();
        let mut is_left = |name: Option<&String>, topic_id: Uuid| {
            let known = at.name(name.map_or("", String::as_str), topic_id);
            let code = judge(Part::new(known, None));
            responses.extend(code.map(|code| DeletableTopicResult {
                name: name.cloned(),
                topic_id,
                error_code: code.code(),
                ..Default::default()
            }));
            code.is_none()
        };
        self.topics.retain(|it| is_left(it.name.as_ref(), it.topic_id));
        self.topic_names.retain(|name| is_left(Some(name), Uuid::ZERO));
        let is_all = self.topics.is_empty() && self.topic_names.is_empty();
        let response = DeleteTopicsResponse { responses, ..Default::default() };
        (!response.responses.is_empty()).then_some(Refused { response, is_all })
    }

    fn tell(response: &mut DeleteTopicsResponse, refused: DeleteTopicsResponse) {
        // A topic that was deleted by its id is answered with its name too.
        for answer in refused.responses {
            let same = |it: &&mut DeletableTopicResult| match answer.topic_id {
                Uuid::ZERO => it.name == answer.name,
                id => it.topic_id == id,
            };
            match response.responses.iter_mut().find(same) {
                Some(told) => *told = answer,
                None => response.responses.push(answer),
            }
        }
    }

    fn throttle_time_ms(response: &mut DeleteTopicsResponse) -> &mut i32 {
        &mut response.throttle_time_ms
    }
}
