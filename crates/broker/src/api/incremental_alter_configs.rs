//! IncrementalAlterConfigs, versions 0 and 1: a topic's configs are set, unset, added to or taken from one by one
//! (KIP-339).
//!
//! The other configs stay as they are. All of a topic's changes are made, or none. Otherwise as AlterConfigs.

use std::collections::BTreeSet;

use vltava_wire::{
    ErrorCode,
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterConfigsResponse,
        IncrementallyAlterableConfig,
    },
};

use crate::{
    call::{Answer, Call},
    denied::Denied,
    topic_rules::configs::{self, Given},
};

use super::alter_configs::{all_failed, change, once, result, times};

/// What is done to a config.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn answer(
    call: Call<'_>,
    request: IncrementalAlterConfigsRequest,
) -> Answer<IncrementalAlterConfigsResponse> {
    let validate_only = request.validate_only;
    let named = |it: &IncrementalAlterConfigsResource| (it.resource_type, it.resource_name.clone());
    let times = times(request.resources.iter().map(named));
    let alter = |asked: IncrementalAlterConfigsResource| {
        let resource = named(&asked);
        let changed = once(&times, &resource)
            .and_then(|()| change(&call, &resource, validate_only, |given| changed(given, asked.configs)));
        result(resource, changed)
    };
    let responses = request.resources.into_iter().map(alter).collect();
    let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
    let settled = call.node.ledger_settled();
    Answer::Later(Box::pin(async move {
        match settled.await {
            Ok(()) => response,
            Err(code) => {
                let responses = all_failed(response.responses, code);
                IncrementalAlterConfigsResponse { responses, ..response }
            }
        }
    }))
}

/// What a topic's configs become.
fn changed(given: &Given, changes: Vec<IncrementallyAlterableConfig>) -> Result<Given, Denied> {
    let mut configs = given.clone();
    let mut seen = BTreeSet::new();
    for change in changes {
        if !seen.insert(change.name.clone()) {
            let message = format!("config {} is named more than once", change.name);
            return Err(Denied::new(ErrorCode::InvalidRequest, message));
        }
        apply(&mut configs, change)?;
    }
    Ok(configs)
}

fn apply(configs: &mut Given, change: IncrementallyAlterableConfig) -> Result<(), Denied> {
    let IncrementallyAlterableConfig { name, config_operation, value } = change;
    if config_operation == DELETE {
        configs::check(&name, None)?;
        configs.remove(&name);
        return Ok(());
    }
    let Some(value) = value else {
        let message = format!("config {name} needs a value, null is for taking it away");
        return Err(Denied::new(ErrorCode::InvalidRequest, message));
    };
    let value = match config_operation {
        SET => value,
        APPEND | SUBTRACT => edited(configs, &name, &value, config_operation == APPEND)?,
        other => {
            let message = format!("operation {other} on config {name} is unknown");
            return Err(Denied::new(ErrorCode::InvalidRequest, message));
        }
    };
    configs.insert(name, Some(value));
    Ok(())
}

/// A list with words added, or without them.
fn edited(configs: &Given, name: &str, change: &str, add: bool) -> Result<String, Denied> {
    configs::check(name, None)?;
    let config = configs::named(name).filter(|it| it.is_list()).ok_or_else(|| {
        let message = format!("config {name} is no list, so nothing is added to it or taken from it");
        Denied::new(ErrorCode::InvalidConfig, message)
    })?;
    let current = configs.get(name).and_then(Option::as_deref).unwrap_or(config.default);
    let mut words = configs::words(current);
    let change = configs::words(change);
    words.retain(|it| !change.contains(it));
    if add {
        words.extend(change);
    }
    Ok(words.join(","))
}
