//! ApiVersions, versions 0 to 4: what is served, in which versions.
//!
//! A version that is not known is answered in version 0 with UNSUPPORTED_VERSION and the whole list, so that the
//! client can choose another. No features are claimed: they would steer clients to what is not served.
//! Produce is advertised from 0 as Kafka does, since clients infer from it what a broker can do.

use std::ops::RangeInclusive;

use vltava_wire::{
    Api,
    messages::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
};

use crate::dispatch::{Answer, Call, SERVED};

const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;

pub(crate) fn answer(call: Call<'_>, request: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
    let named = [&request.client_software_name, &request.client_software_version];
    if call.version >= 3 && !named.into_iter().all(|name| is_software_name(name)) {
        let error_code = INVALID_REQUEST;
        return Answer::Now(ApiVersionsResponse { error_code, ..Default::default() });
    }
    Answer::Now(ApiVersionsResponse { api_keys: list(), ..Default::default() })
}

/// The answer to a version this broker does not know, to be written in version 0.
pub(crate) fn from_the_future() -> ApiVersionsResponse {
    let error_code = UNSUPPORTED_VERSION;
    ApiVersionsResponse { error_code, api_keys: list(), ..Default::default() }
}

/// The versions that clients are told.
pub(crate) fn advertised(api: Api) -> RangeInclusive<i16> {
    match api {
        Api::Produce => 0..=*api.versions().end(),
        _ => api.versions(),
    }
}

fn list() -> Vec<ApiVersion> {
    let entry = |&api: &Api| {
        let versions = advertised(api);
        ApiVersion { api_key: api.key(), min_version: *versions.start(), max_version: *versions.end() }
    };
    SERVED.iter().map(entry).collect()
}

/// As KIP-511 has it: letters, digits, dots and dashes, the outermost of which are letters or digits.
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(inner) && outer(name.chars().next()) && outer(name.chars().next_back())
}
