//! DescribeConfigs, versions 1 to 4: what topics are configured to, and what holds for all topics by default.
//!
//! The broker's own configs are the defaults of topics under Kafka's names for them; they cannot be changed. What is
//! asked about twice is told once. Other resources are refused by name.

use std::collections::BTreeSet;

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
        DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
    },
};

use crate::{
    call::{Answer, Call},
    denied::Denied,
    node::Node,
    topic_rules::configs::{CONFIGS, Config, Given},
};

/// Kinds of resources.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// Where a value comes from: it was set on the topic.
const SET_ON_TOPIC: i8 = 1;
/// Where a value comes from: nobody set it.
const DEFAULT: i8 = 5;

pub(crate) fn answer(call: Call<'_>, request: DescribeConfigsRequest) -> Answer<DescribeConfigsResponse> {
    let (synonyms, documentation) = (request.include_synonyms, request.include_documentation);
    let mut seen = BTreeSet::new();
    let first = |it: &DescribeConfigsResource| seen.insert((it.resource_type, it.resource_name.clone()));
    let asked: Vec<_> = request.resources.into_iter().filter(first).collect();
    let node = call.node.clone();
    // Much may be told of little that is asked, so it is put together when its turn has come.
    Answer::Later(Box::pin(async move {
        let describe = |asked| describe(&node, asked, Detail { synonyms, documentation });
        let results = asked.into_iter().map(describe).collect();
        // A config that is told must not be forgotten by a crash.
        let _ = node.ledger_settled().await;
        DescribeConfigsResponse { results, ..Default::default() }
    }))
}

/// What else is told of a config.
#[derive(Clone, Copy)]
struct Detail {
    synonyms: bool,
    documentation: bool,
}

fn describe(node: &Node, asked: DescribeConfigsResource, detail: Detail) -> DescribeConfigsResult {
    let DescribeConfigsResource { resource_type, resource_name, configuration_keys } = asked;
    let keys = configuration_keys.filter(|keys| !keys.is_empty());
    let wanted = |name: &str| keys.as_ref().is_none_or(|keys| keys.iter().any(|it| it == name));
    let configs = match resource_type {
        TOPIC => node
            .find_topic(&resource_name, Uuid::ZERO, false)
            .map_err(|code| Denied::new(code, format!("topic {resource_name} is not there")))
            .map(|topic| {
                let wanted = CONFIGS.iter().filter(|it| wanted(it.name));
                wanted.map(|it| of_topic(it, &topic.configs, detail)).collect()
            }),
        BROKER if resource_name.is_empty() => Ok(Vec::new()),
        BROKER if node.nodes().all().any(|it| resource_name == it.to_string()) => {
            let wanted = CONFIGS.iter().filter(|it| wanted(it.broker_name));
            Ok(wanted.map(|it| of_broker(it, detail)).collect())
        }
        BROKER => {
            let nodes: Vec<_> = node.nodes().all().map(|it| it.to_string()).collect();
            let message = format!("there is no broker {resource_name:?}, only {}", nodes.join(", "));
            Err(Denied::new(ErrorCode::InvalidRequest, message))
        }
        other => {
            let message = format!("resources of kind {other} have no configs here, only topics and brokers");
            Err(Denied::new(ErrorCode::InvalidRequest, message))
        }
    };
    let (error_code, error_message, configs) = match configs {
        Ok(configs) => (ErrorCode::None, None, configs),
        Err(denied) => (denied.code, Some(denied.message), Vec::new()),
    };
    DescribeConfigsResult {
        error_code: error_code.code(),
        error_message,
        resource_type,
        resource_name,
        configs,
    }
}

fn of_topic(config: &Config, given: &Given, detail: Detail) -> DescribeConfigsResourceResult {
    let set = given.get(config.name).and_then(Option::as_deref);
    let by_default = synonym(config.broker_name, config.default, DEFAULT);
    let of_the_topic = set.map(|value| synonym(config.name, value, SET_ON_TOPIC));
    DescribeConfigsResourceResult {
        name: config.name.to_owned(),
        value: Some(set.unwrap_or(config.default).to_owned()),
        config_source: if set.is_some() { SET_ON_TOPIC } else { DEFAULT },
        synonyms: match detail.synonyms {
            true => of_the_topic.into_iter().chain([by_default]).collect(),
            false => Vec::new(),
        },
        ..described(config, detail)
    }
}

fn of_broker(config: &Config, detail: Detail) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult {
        name: config.broker_name.to_owned(),
        value: Some(config.default.to_owned()),
        read_only: true,
        config_source: DEFAULT,
        synonyms: match detail.synonyms {
            true => vec![synonym(config.broker_name, config.default, DEFAULT)],
            false => Vec::new(),
        },
        ..described(config, detail)
    }
}

fn described(config: &Config, detail: Detail) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult {
        is_sensitive: false,
        config_type: config.type_code(),
        documentation: detail.documentation.then(|| config.doc.to_owned()),
        ..Default::default()
    }
}

fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: name.to_owned(), value: Some(value.to_owned()), source }
}
