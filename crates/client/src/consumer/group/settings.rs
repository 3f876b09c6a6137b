//! What a member needs to know, in its user's words and in those of its machine.

use std::{collections::BTreeSet, sync::Arc};

use vltava_core::group::member::{Config, Parting, Protocol};

use crate::{config, consumer::subscription::Subscription, context::Context};

/// What a member needs to know.
pub(in crate::consumer) struct Settings {
    pub(in crate::consumer) group: Arc<str>,
    pub(in crate::consumer) subscription: Subscription,
    pub(in crate::consumer) consumer: config::Consumer,
}

/// What the member's machine is told.
pub(super) fn member(
    group: &str,
    topics: BTreeSet<String>,
    consumer: &config::Consumer,
    context: &Context,
) -> Config {
    Config {
        group_id: group.to_owned(),
        topics,
        protocol: match consumer.group_protocol {
            config::GroupProtocol::Auto => Protocol::Auto,
            config::GroupProtocol::Classic => Protocol::Classic,
            config::GroupProtocol::Consumer => Protocol::Consumer,
        },
        assignors: consumer.assignors.iter().cloned().collect(),
        server_assignor: consumer.server_assignor.clone(),
        instance_id: consumer.instance_id.clone(),
        rack: Some(consumer.rack.clone()).filter(|rack| !rack.is_empty()),
        session_timeout: consumer.session_timeout,
        rebalance_timeout: consumer.rebalance_timeout,
        heartbeat_interval: consumer.heartbeat_interval,
        request_timeout: context.connection.request_timeout,
        backoff: context.connection.backoff,
        ..Config::default()
    }
}

/// How the member parts from its group.
pub(super) fn parting(consumer: &config::Consumer) -> Parting {
    match consumer.leave_group {
        None => Parting::Usual,
        Some(true) => Parting::Leave,
        Some(false) => Parting::Remain,
    }
}
