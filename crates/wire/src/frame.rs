//! Frames: a length, a header, a message.
//!
//! A request's header is version 1, or 2 in flexible versions; a response's is 0, or 1 in flexible versions.
//! `ApiVersions` responses always have header 0, so that a client can read them before it knows anything.

use bytes::Bytes;

use crate::{
    api::{Api, Request},
    decode_error::DecodeError,
    decoder::{Allowance, Decoder},
    encoder::{EncodeError, EncodeErrorKind, Encoder},
    primitive::{Wire, put_text},
    schema,
    version::Version,
};

/// What comes before the body of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API's key, which need not be one that this crate speaks.
    pub api_key: i16,
    /// The version of header and body.
    pub api_version: i16,
    /// Given back in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

/// A whole request, its length included, ready for a vectored write.
pub fn request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    body: &R,
) -> Result<Encoder, EncodeError> {
    let version = R::API.version(version);
    let mut out = Encoder::default();
    out.put(&[0; 4]);
    R::API.key().encode(&mut out, version)?;
    version.number.encode(&mut out, version)?;
    correlation_id.encode(&mut out, version)?;
    // The client id keeps its two-byte length in every header version.
    put_text(&mut out, client_id, Version { flexible: false, ..version })
        .map_err(|error| EncodeError { field: "client_id", ..error })?;
    if version.flexible {
        schema::put_tags(&mut out, Vec::new());
    }
    body.encode(&mut out, version)?;
    finished(out, version)
}

/// Reads a request's header; the decoder then stands at the body. The decoder's version is set to the API's, if the
/// API is known.
pub fn request_header(input: &mut Decoder) -> Result<RequestHeader, DecodeError> {
    let api_key = schema::field(input, "request_api_key")?;
    let api_version = schema::field(input, "request_api_version")?;
    let correlation_id = schema::field(input, "correlation_id")?;
    input.set_version(Version { number: 1, flexible: false });
    let client_id = schema::field(input, "client_id")?;
    if let Some(api) = Api::from_key(api_key) {
        let version = api.version(api_version);
        input.set_version(version);
        // An ApiVersions request from the future may have any layout; it is answered by its header alone.
        if version.flexible && api.versions().contains(&api_version) {
            schema::tags(input, |_, _| Ok(false))?;
        }
    }
    Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
}

/// A whole response, its length included, ready for a vectored write.
pub fn response<T: Wire>(
    api: Api,
    version: i16,
    correlation_id: i32,
    body: &T,
) -> Result<Encoder, EncodeError> {
    let version = api.version(version);
    let mut out = Encoder::default();
    out.put(&[0; 4]);
    correlation_id.encode(&mut out, version)?;
    if response_header_is_flexible(api, version) {
        schema::put_tags(&mut out, Vec::new());
    }
    body.encode(&mut out, version)?;
    finished(out, version)
}

/// The correlation id of a response, whatever its API: its first four bytes after the length.
pub fn correlation_id(frame: &Bytes) -> Option<i32> {
    frame.get(..4).map(|bytes| i32::from_be_bytes(bytes.try_into().expect("the slice has four bytes")))
}

/// Reads a response to a request of type `R`, allocating so much at most: a number of bytes, or a permit and its
/// budget, which is given back. What follows behind the response is passed over, as other clients do: there are brokers
/// that end theirs with a byte too many (librdkafka's mock of one does, from version 9 of Metadata on).
pub fn response_body<R: Request>(
    frame: Bytes,
    version: i16,
    allowance: impl Into<Allowance>,
) -> Result<R::Response, DecodeError> {
    let version = R::API.version(version);
    let mut input = Decoder::new(frame, version, allowance);
    i32::decode(&mut input)?;
    if response_header_is_flexible(R::API, version) {
        schema::tags(&mut input, |_, _| Ok(false))?;
    }
    R::Response::decode(&mut input)
}

fn response_header_is_flexible(api: Api, version: Version) -> bool {
    version.flexible && api != Api::ApiVersions
}

fn finished(mut frame: Encoder, version: Version) -> Result<Encoder, EncodeError> {
    let too_long =
        |_| EncodeError { field: "frame", version: version.number, kind: EncodeErrorKind::TooLong };
    let length = i32::try_from(frame.len() - 4).map_err(too_long)?;
    frame.patch_start(length.to_be_bytes());
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ApiVersionsRequest, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse};

    fn body_of(frame: Encoder) -> Bytes {
        let frame = frame.into_bytes();
        let (length, body) = frame.split_first_chunk().expect("a frame has a length");
        assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
        frame.slice(4..)
    }

    #[test]
    fn a_request_comes_back_in_every_version() {
        let sent = HeartbeatRequest { group_id: "g".into(), member_id: "m".into(), ..Default::default() };
        for version in Api::Heartbeat.versions() {
            let frame = body_of(request(version, 7, Some("tests"), &sent).expect("every version has this"));
            let mut input = Decoder::new(frame, Api::Heartbeat.version(version), 1_000);
            let header = request_header(&mut input).expect("the header is sound");
            assert_eq!((header.api_key, header.api_version), (Api::Heartbeat.key(), version));
            assert_eq!((header.correlation_id, header.client_id.as_deref()), (7, Some("tests")));
            assert_eq!(HeartbeatRequest::decode(&mut input), Ok(sent.clone()));
            assert_eq!(input.finish(), Ok(()));
        }
    }

    #[test]
    fn a_response_comes_back_in_every_version() {
        let sent = HeartbeatResponse { error_code: 27, ..Default::default() };
        for version in Api::Heartbeat.versions() {
            let frame = body_of(response(Api::Heartbeat, version, 9, &sent).expect("every version has this"));
            assert_eq!(correlation_id(&frame), Some(9));
            assert_eq!(response_body::<HeartbeatRequest>(frame, version, 1_000), Ok(sent.clone()));
        }
    }

    #[test]
    fn an_api_versions_response_has_the_oldest_header() {
        let sent = ApiVersionsResponse::default();
        let frame = body_of(response(Api::ApiVersions, 4, 1, &sent).expect("it can be sent"));
        // The correlation id, then at once the error code.
        assert_eq!(frame[..6], [0, 0, 0, 1, 0, 0]);
        assert_eq!(response_body::<ApiVersionsRequest>(frame, 4, 1_000), Ok(sent));
    }

    #[test]
    fn a_request_of_an_unknown_api_has_a_header_all_the_same() {
        let frame = Bytes::from_static(&[0x7f, 0, 0, 3, 0, 0, 0, 5, 0, 1, b'c', 0xff]);
        let header = request_header(&mut Decoder::new(frame, Api::Heartbeat.version(0), 100));
        let header = header.expect("the header is whole");
        assert_eq!((header.api_key, header.correlation_id), (0x7f00, 5));
    }

    #[test]
    fn what_follows_behind_a_response_is_passed_over() {
        let sent = HeartbeatResponse { error_code: 27, ..Default::default() };
        let frame = body_of(response(Api::Heartbeat, 0, 9, &sent).expect("it fits"));
        let longer = Bytes::from([&frame[..], &[0]].concat());
        assert_eq!(response_body::<HeartbeatRequest>(longer, 0, 1_000), Ok(sent));
    }
}
