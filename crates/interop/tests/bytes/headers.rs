//! What stands before every request and response: the header that others would send before them, and read by us.

use bytes::Bytes;
use vltava_wire::{
    Api, Decoder, Encoder, Request, Wire, frame,
    sample::{Dice, Sample, Visitor, each_message},
};

use crate::oracles::{Oracle, Side};

const BUDGET: usize = 1 << 24;

const CORRELATION_IDS: [i32; 4] = [i32::MIN, -1, 0, i32::MAX];

const CLIENT_IDS: [Option<&str>; 4] = [None, Some(""), Some("řeka"), Some(LONG)];

/// Longer than one byte of a compact length can say: a header's client id has none.
const LONG: &str = "a name that is rather long, as if somebody had put the host, the process, the thread and what not into it, \
                    which happens with names that are made up by machines";

fn body<T: Wire>(api: Api, version: i16, message: &T) -> Bytes {
    let mut out = Encoder::default();
    message.encode(&mut out, api.version(version)).expect("a sample fits its version");
    out.into_bytes()
}

/// A frame of ours is its length, the header that an oracle writes, and the body.
fn check(frame: &Bytes, header: &Bytes, body: &Bytes, what: &str) {
    let length = (header.len() + body.len()) as u32;
    assert!(frame[..] == [&length.to_be_bytes(), &header[..], &body[..]].concat(), "{what}");
}

struct Frames;

impl Visitor for Frames {
    fn ask<R: Request + Sample>(&mut self) {
        for version in R::API.versions() {
            let message = R::sample(&mut Dice::new(7), R::API.version(version));
            let body = body(R::API, version, &message);
            for (id, client_id) in CORRELATION_IDS.into_iter().zip(CLIENT_IDS) {
                let what = format!("{:?} {version} of {client_id:?}", R::API);
                let frame = frame::request(version, id, client_id, &message).expect("it fits").into_bytes();
                for oracle in Oracle::knowing(R::API, Side::Request, version) {
                    check(&frame, &oracle.request_header(R::API, version, id, client_id), &body, &what);
                }
                let mut input = Decoder::new(frame.slice(4..), R::API.version(version), BUDGET);
                let header = frame::request_header(&mut input).expect("a header of ours can be read");
                assert_eq!((header.api_key, header.api_version), (R::API.key(), version), "{what}");
                assert_eq!((header.correlation_id, header.client_id.as_deref()), (id, client_id), "{what}");
                assert_eq!(input.remaining(), body.len(), "{what}");
            }
        }
    }

    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        if name.ends_with("Request") {
            return;
        }
        for version in api.versions() {
            let message = T::sample(&mut Dice::new(7), api.version(version));
            let body = body(api, version, &message);
            for id in CORRELATION_IDS {
                let frame = frame::response(api, version, id, &message).expect("it fits").into_bytes();
                for oracle in Oracle::knowing(api, Side::Response, version) {
                    let header = oracle.response_header(api, version, id);
                    check(&frame, &header, &body, &format!("{name} {version}"));
                }
                assert_eq!(frame::correlation_id(&frame.slice(4..)), Some(id), "{name} {version}");
            }
        }
    }
}

#[test]
fn headers_are_the_same_bytes() {
    each_message(&mut Frames);
}
