//! A response's body as a client gets it, behind the key and the version of the request that it asked, two bytes each.

use bytes::Bytes;
use vltava_wire::Api;

use super::message::{check_as, decoder, samples};

/// Whatever a broker answers is a response that can be sent on, or an error that says where it is broken.
pub(crate) fn check(input: &[u8]) {
    let Some((&[key_high, key_low, number_high, number_low], body)) = input.split_first_chunk() else {
        return;
    };
    let number = i16::from_be_bytes([number_high, number_low]);
    let Some(api) = Api::from_key(i16::from_be_bytes([key_high, key_low])) else { return };
    if api.versions().contains(&number) {
        let input = decoder(Bytes::copy_from_slice(body), api.version(number));
        check_as(api, "Response", input, body.len());
    }
}

/// Every response in every version.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let input = |(api, number, body): (Api, i16, Bytes)| {
        [&api.key().to_be_bytes(), &number.to_be_bytes(), &body[..]].concat()
    };
    samples("Response").into_iter().map(input).collect()
}
