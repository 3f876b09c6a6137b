//! Frames: a length, a header, a message.
//!
//! A request's header is version 1, or 2 in flexible versions; a response's is 0, or 1 in flexible versions.
//! `ApiVersions` responses always have header 0, so that a client can read them before it knows anything.

use bytes::Bytes;

use crate::{
    api::{Api, Request},
    decoder::{DecodeError, Decoder},
    encoder::{EncodeError, Encoder},
    primitive::Wire,
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
    client_id.map(str::to_owned).encode(&mut out, Version { flexible: false, ..version })?;
    if version.flexible {
        schema::put_tags(&mut out, Vec::new());
    }
    body.encode(&mut out, version)?;
    Ok(finished(out))
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
    Ok(finished(out))
}

/// The correlation id of a response, whatever its API: its first four bytes after the length.
pub fn correlation_id(frame: &Bytes) -> Option<i32> {
    frame.get(..4).map(|bytes| i32::from_be_bytes(bytes.try_into().expect("the slice has four bytes")))
}

/// Reads a response to a request of type `R`, all of it, allocating `budget` bytes at most.
pub fn response_body<R: Request>(
    frame: Bytes,
    version: i16,
    budget: usize,
) -> Result<R::Response, DecodeError> {
    let version = R::API.version(version);
    let mut input = Decoder::new(frame, version, budget);
    i32::decode(&mut input)?;
    if response_header_is_flexible(R::API, version) {
        schema::tags(&mut input, |_, _| Ok(false))?;
    }
    let body = R::Response::decode(&mut input)?;
    input.finish()?;
    Ok(body)
}

fn response_header_is_flexible(api: Api, version: Version) -> bool {
    version.flexible && api != Api::ApiVersions
}

fn finished(mut frame: Encoder) -> Encoder {
    let length = (frame.len() - 4) as u32;
    frame.patch_start(length.to_be_bytes());
    frame
}
