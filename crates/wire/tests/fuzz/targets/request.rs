//! A request's frame as a broker gets it, without its length: a header, then the body it announces.

use bytes::Bytes;
use vltava_wire::{Api, Version, frame};

use super::message::{check_as, decoder, is_told, samples};

/// Only the header says what follows, so it is read in a version of its own.
const HEADER: Version = Version { number: 0, flexible: false };

/// Whatever a client sends is a request that can be sent on, or an error that says where it is broken.
pub(crate) fn check(frame: &[u8]) {
    let mut input = decoder(Bytes::copy_from_slice(frame), HEADER);
    match frame::request_header(&mut input) {
        Ok(header) => {
            let spoken =
                Api::from_key(header.api_key).filter(|it| it.versions().contains(&header.api_version));
            if let Some(api) = spoken {
                check_as(api, "Request", input, frame.len());
            }
        }
        Err(error) => is_told(error, frame.len()),
    }
}

/// Every request in every version.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let frame = |(api, number, body): (Api, i16, Bytes)| {
        let mut frame = Vec::new();
        frame.extend(api.key().to_be_bytes());
        frame.extend(number.to_be_bytes());
        frame.extend(7i32.to_be_bytes());
        frame.extend(b"\0\x04seed");
        if api.version(number).flexible {
            frame.push(0);
        }
        frame.extend(body);
        frame
    };
    samples("Request").into_iter().map(frame).collect()
}
