//! The broker's end of the first exchange: which versions it says it speaks.
//!
//! Clients infer more from these ranges than versions: what a broker can do, and how old it is. So they are those
//! of Apache Kafka, even where Kafka (and this crate) no longer reads the lowest. No features are claimed: they
//! would steer clients to what is not served.

use std::ops::RangeInclusive;

use vltava_wire::{
    Api, ErrorCode,
    messages::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse},
};

/// The first version of ApiVersions in which a client introduces itself.
const INTRODUCED_SINCE: i16 = 3;

/// The versions that clients are told. Produce from 0, though it is read from 3 on: older builds of librdkafka
/// would take compression and timestamps for missing (KAFKA-18659). JoinGroup from 0, as Kafka since 4.1.
pub fn advertised(api: Api) -> RangeInclusive<i16> {
    match api {
        Api::Produce | Api::JoinGroup => 0..=*api.versions().end(),
        // The last version is not stable in Kafka 4.3, which keeps it to itself.
        Api::InitProducerId => 0..=5,
        _ => api.versions(),
    }
}

/// The answer to a client's first question, by a broker that serves these APIs.
pub fn answer(served: &[Api], version: i16, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let introduced = [&request.client_software_name, &request.client_software_version];
    if version >= INTRODUCED_SINCE && !introduced.into_iter().all(|it| is_software_name(it)) {
        return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    ApiVersionsResponse { api_keys: list(served), ..Default::default() }
}

/// The answer to a question in a version from the future. It is to be written in version 0, which every client
/// reads, and has the list, so that the client can choose another (KIP-511).
pub fn from_the_future(served: &[Api]) -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: list(served),
        ..Default::default()
    }
}

fn list(served: &[Api]) -> Vec<ApiVersion> {
    let entry = |&api: &Api| {
        let versions = advertised(api);
        ApiVersion { api_key: api.key(), min_version: *versions.start(), max_version: *versions.end() }
    };
    served.iter().map(entry).collect()
}

/// As KIP-511 has it: letters, digits, dots and dashes, the outermost of which are letters or digits.
fn is_software_name(name: &str) -> bool {
    let inner = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '.';
    let outer = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
    name.chars().all(inner) && outer(name.chars().next()) && outer(name.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introduced(name: &str, version: &str) -> i16 {
        let request =
            ApiVersionsRequest { client_software_name: name.into(), client_software_version: version.into() };
        answer(Api::ALL, 3, &request).error_code
    }

    #[test]
    fn produce_and_joining_are_advertised_from_version_zero() {
        assert_eq!(*advertised(Api::Produce).start(), 0);
        assert_eq!(*advertised(Api::JoinGroup).start(), 0);
        assert_eq!(*advertised(Api::Fetch).start(), 4);
    }

    #[test]
    fn only_what_is_served_is_listed() {
        let list = answer(&[Api::Fetch, Api::ApiVersions], 0, &ApiVersionsRequest::default()).api_keys;
        assert_eq!(list.iter().map(|it| it.api_key).collect::<Vec<_>>(), [1, 18]);
    }

    #[test]
    fn a_client_introduces_itself_by_a_name_that_can_be_shown() {
        assert_eq!(introduced("apache-kafka-java", "4.3.0"), 0);
        for (name, version) in [("", "1"), ("vltava", ""), ("-vltava", "1"), ("vltava", "1."), ("a b", "1")] {
            assert_eq!(introduced(name, version), ErrorCode::InvalidRequest.code(), "{name:?} {version:?}");
        }
    }

    #[test]
    fn before_version_three_nobody_introduces_himself() {
        assert_eq!(answer(Api::ALL, 2, &ApiVersionsRequest::default()).error_code, 0);
    }
}
