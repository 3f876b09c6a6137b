//! Has a request meet what the rules decide: which parts of it are refused, what is told of the rest, and what is left
//! to the connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tracing::warn;
use vltava_core::cluster::NodeId;
use vltava_wire::ErrorCode;

use super::{
    Asked, Errors, Strikes, Target,
    rules::{Part, Way},
    target::{At, is_of_session},
};
use crate::{
    call::{Answer, Call},
    dispatch::{Refusal, Reply},
    node::Node,
};

/// From this version on there are fetch sessions, and a response has a place for their errors.
const SESSIONS_SINCE: i16 = 7;

/// A request that met something. Its connection has what happens on the way.
pub(crate) struct Struck<'a> {
    pub(crate) way_there: Way,
    /// Partitions, with who leads each before the request takes effect.
    pub(crate) leaders: BTreeMap<Part, i32>,
    /// Has the request take effect, as far as it does.
    pub(crate) act: Box<dyn FnOnce() -> Result<Option<Reply>, Refusal> + Send + 'a>,
    /// How long nothing is read after the reply.
    pub(crate) rest: Option<Duration>,
    pub(crate) way_back: Way,
}

/// Decides what a request meets.
pub(crate) fn meet<R: Target>(call: &Call<'_>, request: &mut R) -> Strikes {
    let mut parts = BTreeSet::new();
    request.refuse(At { node: call.node, version: call.version }, &mut |part| {
        parts.insert(part);
        None
    });
    call.node.faults.on_request(&Asked {
        api: R::API,
        client_id: call.client_id.as_deref().unwrap_or_default(),
        node: call.peer.node.0,
        parts: &parts,
        is_answered: request.is_answered(),
    })
}

/// Has a request take effect, but for what is refused, and puts into its response what is to be told.
pub(crate) fn carry_out<R: Target>(
    mut call: Call<'_>,
    mut request: R,
    strikes: Strikes,
    answer: impl FnOnce(Call<'_>, R) -> Answer<R::Response>,
) -> Answer<R::Response> {
    let Strikes { refused, denied, throttle, .. } = strikes;
    let at = At { node: call.node, version: call.version };
    let denied_response = match denied.is_empty() {
        true => None,
        false => request.clone().refuse(at, &mut |part| denied.get(&part).copied()),
    };
    let refused_response = request.refuse(at, &mut |part| refused.get(&part).copied());
    let is_answered = request.is_answered();
    let failed = denied_response.is_some() || refused_response.is_some();
    let (answered, refused_response) = match refused_response {
        Some(all) if all.is_all => (Answer::Now(all.response), None),
        part => {
            call.refused = refused;
            call.refused.extend(denied);
            (answer(call, request), part)
        }
    };
    if failed && !is_answered {
        return Answer::Close("a fault had a batch refused");
    }
    answered.map(move |mut response| {
        for told in [denied_response, refused_response].into_iter().flatten() {
            R::tell(&mut response, told.response);
        }
        if let Some(throttle) = throttle {
            *R::throttle_time_ms(&mut response) = i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX);
        }
        response
    })
}

/// Has partitions led by who is to lead them.
pub(crate) async fn move_leaders(node: &Node, leaders: BTreeMap<Part, i32>) {
    if leaders.is_empty() {
        return;
    }
    let of_partition = |(part, to): (&Part, &i32)| Some((part.topic.clone(), part.partition?, NodeId(*to)));
    let moves: Vec<_> = leaders.iter().filter_map(of_partition).collect();
    if let Err(error) = node.move_leaders(&moves).await {
        warn!(%error, ?leaders, "a fault did not move all leaders");
    }
}

/// The error of a fetch as a whole, if it is to be told one.
pub(crate) fn of_session(refused: &Errors, version: i16) -> Option<ErrorCode> {
    let code = refused.values().copied().find(|code| is_of_session(*code));
    code.filter(|_| version >= SESSIONS_SINCE)
}

/// The errors of a topic's partitions.
pub(crate) fn of_topic(refused: &Errors, topic: &str) -> BTreeMap<i32, ErrorCode> {
    let of_topic = |(part, code): (&Part, &ErrorCode)| Some((part.partition?, *code));
    refused.iter().filter(|(part, _)| part.topic == topic).filter_map(of_topic).collect()
}
