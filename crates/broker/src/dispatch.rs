//! Which request is answered by whom: one table.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use vltava_core::session::greeting;
use vltava_wire::{
    Api, DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Permit, Wire, frame,
    messages::ApiVersionsRequest,
};

use crate::{
    api,
    call::{Answer, Call, Later, Peer},
    faults::{self, Errors, Strikes, Struck, Target},
    node::Node,
};

/// A response on its way.
pub(crate) enum Reply {
    Now(Encoder),
    Later(Later<Result<Encoder, Refusal>>),
    /// One that waits for what others do.
    Parked(Later<Result<Encoder, Refusal>>),
}

/// What became of a request.
pub(crate) enum Dispatched<'a> {
    /// It took effect. What there is no reply to needs none.
    Done(Option<Reply>),
    /// It met a fault, and has no effect yet.
    Struck(Struck<'a>),
}

/// Why a connection is closed.
#[derive(Debug)]
pub(crate) enum Refusal {
    UnknownApi(i16),
    UnknownVersion(Api, i16),
    Decode(Api, DecodeError),
    Header(DecodeError),
    Encode(Api, EncodeError),
    Asked(Api, &'static str),
}

impl Refusal {
    /// Whether the request needs more memory than it had to be decoded in. Then it had no effect.
    pub(crate) fn is_over_budget(&self) -> bool {
        let (Self::Decode(_, error) | Self::Header(error)) = self else { return false };
        matches!(error.kind(), DecodeErrorKind::OverBudget(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownApi(key) => write!(f, "API {key} is not served"),
            Self::UnknownVersion(api, version) => write!(f, "{api:?} is not served in version {version}"),
            Self::Decode(api, error) => write!(f, "a {api:?} request makes no sense: {error}"),
            Self::Header(error) => write!(f, "a request's header makes no sense: {error}"),
            Self::Encode(api, error) => write!(f, "a {api:?} response cannot be written: {error}"),
            Self::Asked(api, reason) => write!(f, "{api:?} without a response: {reason}"),
        }
    }
}

macro_rules! table {
    ($($api:ident => $module:ident;)*) => {
        /// Every API that is served.
        pub(crate) const SERVED: &[Api] = &[$(Api::$api,)*];

        fn answer<'a>(
            api: Api,
            call: Call<'a>,
            correlation_id: i32,
            input: Decoder,
        ) -> Result<Dispatched<'a>, Refusal> {
            match api {
                $(Api::$api => serve(call, correlation_id, input, api::$module::answer),)*
                unserved => Err(Refusal::UnknownApi(unserved.key())),
            }
        }
    };
}

table! {
    Produce => produce;
    Fetch => fetch;
    ListOffsets => list_offsets;
    Metadata => metadata;
    OffsetCommit => offset_commit;
    OffsetFetch => offset_fetch;
    FindCoordinator => find_coordinator;
    JoinGroup => join_group;
    Heartbeat => heartbeat;
    LeaveGroup => leave_group;
    SyncGroup => sync_group;
    DescribeGroups => describe_groups;
    ListGroups => list_groups;
    ApiVersions => api_versions;
    CreateTopics => create_topics;
    DeleteTopics => delete_topics;
    DeleteRecords => delete_records;
    InitProducerId => init_producer_id;
    OffsetForLeaderEpoch => offset_for_leader_epoch;
    DescribeConfigs => describe_configs;
    AlterConfigs => alter_configs;
    DeleteGroups => delete_groups;
    IncrementalAlterConfigs => incremental_alter_configs;
    OffsetDelete => offset_delete;
    ConsumerGroupHeartbeat => consumer_group_heartbeat;
    ConsumerGroupDescribe => consumer_group_describe;
}

/// The API of a key, if it is served.
pub(crate) fn served(key: i16) -> Option<Api> {
    Api::from_key(key).filter(|api| SERVED.contains(api))
}

/// Has the request in `frame` take effect, unless a fault holds it up, and says how it is answered. The permit pays for
/// what it is decoded into, until it is answered.
pub(crate) fn dispatch<'a>(
    node: &'a Arc<Node>,
    peer: &'a Peer,
    frame: Bytes,
    memory: Permit,
) -> Result<Dispatched<'a>, Refusal> {
    let mut input = Decoder::new(frame, vltava_wire::Version { number: 0, flexible: false }, memory);
    let header = frame::request_header(&mut input).map_err(Refusal::Header)?;
    let api = served(header.api_key).ok_or(Refusal::UnknownApi(header.api_key))?;
    let version = header.api_version;
    let call = Call { node, peer, version, client_id: header.client_id, refused: Errors::new() };
    if greeting::advertised(api).contains(&version) {
        return answer(api, call, header.correlation_id, input);
    }
    if api != Api::ApiVersions {
        return Err(Refusal::UnknownVersion(api, version));
    }
    // What it says nobody knows; the first version was made for that.
    let to = Asker { version: 0, correlation_id: header.correlation_id, memory: input.into_permit() };
    let told = |_: Call<'_>, _| Answer::Now(greeting::from_the_future(SERVED));
    meet(Call { version: 0, ..call }, to, ApiVersionsRequest::default(), told)
}

fn serve<'a, R: Target>(
    call: Call<'a>,
    correlation_id: i32,
    mut input: Decoder,
    answer: impl FnOnce(Call<'_>, R) -> Answer<R::Response> + Send + 'static,
) -> Result<Dispatched<'a>, Refusal> {
    let (api, version) = (R::API, call.version);
    // What follows a request is let go, as Kafka does: librdkafka asks for all topics with three bytes too many.
    let request = R::decode(&mut input).map_err(|error| Refusal::Decode(api, error))?;
    // What members of groups leave with the coordinator is counted against a limit of its own.
    let memory = input.into_permit().filter(|_| !matches!(api, Api::JoinGroup | Api::SyncGroup));
    meet(call, Asker { version, correlation_id, memory }, request, answer)
}

/// Has a request take effect, unless it meets a fault.
fn meet<'a, R: Target>(
    call: Call<'a>,
    to: Asker,
    mut request: R,
    answer: impl FnOnce(Call<'_>, R) -> Answer<R::Response> + Send + 'static,
) -> Result<Dispatched<'a>, Refusal> {
    let mut strikes = match call.node.faults.is_armed() {
        false => Strikes::default(),
        true => faults::meet(&call, &mut request),
    };
    if strikes == Strikes::default() {
        return respond::<R>(to, answer(call, request)).map(Dispatched::Done);
    }
    let (way_there, rest, way_back) = (strikes.way_there, strikes.throttle, strikes.way_back);
    let leaders = std::mem::take(&mut strikes.leaders);
    let act = Box::new(move || respond::<R>(to, faults::carry_out(call, request, strikes, answer)));
    Ok(Dispatched::Struck(Struck { way_there, leaders, act, rest, way_back }))
}

/// How a response is to be written, and what pays for its request until then.
struct Asker {
    version: i16,
    correlation_id: i32,
    memory: Option<Permit>,
}

fn respond<R: Target>(to: Asker, answer: Answer<R::Response>) -> Result<Option<Reply>, Refusal> {
    let Asker { version, correlation_id, memory } = to;
    let encoded = move |response: R::Response| {
        encoded(R::API, R::version_of(&response, version), correlation_id, &response)
    };
    let later = |response: Later<R::Response>| -> Later<_> {
        Box::pin(async move {
            let response = response.await;
            drop(memory);
            encoded(response)
        })
    };
    match answer {
        Answer::Now(response) => encoded(response).map(|frame| Some(Reply::Now(frame))),
        Answer::Later(response) => Ok(Some(Reply::Later(later(response)))),
        Answer::Parked(response) => Ok(Some(Reply::Parked(later(response)))),
        Answer::Silence => Ok(None),
        Answer::Close(reason) => Err(Refusal::Asked(R::API, reason)),
    }
}

fn encoded<T: Wire>(api: Api, version: i16, correlation_id: i32, body: &T) -> Result<Encoder, Refusal> {
    frame::response(api, version, correlation_id, body).map_err(|error| Refusal::Encode(api, error))
}
