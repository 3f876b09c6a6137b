//! AlterConfigs, versions 0 to 2: a topic gets the configs that are said, and no others.
//!
//! The broker's own configs cannot be changed. A resource that is named twice is refused. The response leaves when
//! the change is settled.

use std::collections::BTreeMap;

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
    },
};

use crate::{
    call::{Answer, Call},
    denied::Denied,
    topic_rules::configs::{self, Given},
};

use super::describe_configs::{BROKER, TOPIC};

pub(crate) fn answer(call: Call<'_>, request: AlterConfigsRequest) -> Answer<AlterConfigsResponse> {
    let validate_only = request.validate_only;
    let named = |it: &AlterConfigsResource| (it.resource_type, it.resource_name.clone());
    let times = times(request.resources.iter().map(named));
    let alter = |asked: AlterConfigsResource| {
        let resource = named(&asked);
        let changed = once(&times, &resource).and_then(|()| {
            change(&call, &resource, validate_only, |_| {
                asked.configs.into_iter().map(|it| Ok((it.name, it.value))).collect()
            })
        });
        result(resource, changed)
    };
    let responses = request.resources.into_iter().map(alter).collect();
    let response = AlterConfigsResponse { responses, ..Default::default() };
    let settled = call.node.ledger_settled();
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => AlterConfigsResponse { responses: all_failed(response.responses, code), ..response },
        }
    }))
}

/// A resource by kind and name.
pub(super) type Resource = (i8, String);

/// How often each resource is named.
pub(super) fn times(named: impl Iterator<Item = Resource>) -> BTreeMap<Resource, usize> {
    let mut times = BTreeMap::new();
    named.for_each(|it| *times.entry(it).or_default() += 1);
    times
}

/// Refuses a resource that is named more than once.
pub(super) fn once(times: &BTreeMap<Resource, usize>, resource: &Resource) -> Result<(), Denied> {
    match times.get(resource) {
        Some(2..) => {
            let message = format!("resource {} is named more than once", resource.1);
            Err(Denied::new(ErrorCode::InvalidRequest, message))
        }
        _ => Ok(()),
    }
}

/// Gives a topic what `make` makes of the configs it has.
pub(super) fn change(
    call: &Call<'_>,
    (kind, name): &Resource,
    validate_only: bool,
    make: impl FnOnce(&Given) -> Result<Given, Denied>,
) -> Result<(), Denied> {
    match *kind {
        TOPIC => (),
        BROKER => {
            let message = "the broker's own configs are not changed while it runs";
            return Err(Denied::new(ErrorCode::InvalidRequest, message));
        }
        other => {
            let message = format!("resources of kind {other} have no configs here, only topics");
            return Err(Denied::new(ErrorCode::InvalidRequest, message));
        }
    }
    let topic = call.node.find_topic(name, Uuid::ZERO, false);
    let topic = topic.map_err(|code| Denied::new(code, format!("topic {name} is not there")))?;
    let make_checked = |given: &Given| {
        let configs = make(given)?;
        for (name, value) in &configs {
            configs::check(name, value.as_deref())?;
        }
        Ok(configs)
    };
    match validate_only {
        true => make_checked(&topic.configs).map(drop),
        false => call.node.configure_topic(&topic, make_checked).map(drop),
    }
}

pub(super) fn result(
    (resource_type, resource_name): Resource,
    changed: Result<(), Denied>,
) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = match changed {
        Ok(()) => (ErrorCode::None, None),
        Err(denied) => (denied.code, Some(denied.message)),
    };
    AlterConfigsResourceResponse {
        error_code: error_code.code(),
        error_message,
        resource_type,
        resource_name,
    }
}

/// Nothing was kept: what had been accepted fails, what had been refused stays so.
pub(super) fn all_failed(
    mut responses: Vec<AlterConfigsResourceResponse>,
    code: ErrorCode,
) -> Vec<AlterConfigsResourceResponse> {
    for response in responses.iter_mut().filter(|it| it.error_code == ErrorCode::None.code()) {
        response.error_code = code.code();
    }
    responses
}
