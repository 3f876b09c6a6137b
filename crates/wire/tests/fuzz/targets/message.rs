//! What holds for any bytes that are read as any message.

use std::fmt::Debug;

use bytes::Bytes;
use vltava_wire::{
    Api, Budget, DecodeError, Decoder, Encoder, Version, Wire,
    sample::{Dice, Sample, Visitor, each_message},
};

/// What a message may take. Small, so that inputs of a fuzzer reach it.
const BUDGET: usize = 64 << 10;

/// What is allocated besides the message, and is not charged: the count of those that refer to the frame.
const OVERHEAD: usize = 1 << 10;

/// Reads `frame` within the budget, and holds what it charges.
pub(crate) fn decoder(frame: Bytes, version: Version) -> Decoder {
    let budget = Budget::new("what a fuzzed message takes", BUDGET);
    Decoder::new(frame, version, budget.take(0).expect("nothing is within any budget"))
}

/// Reads the rest of a frame as a message and checks what came of it.
fn check<T: Wire + PartialEq + Debug>(mut input: Decoder, frame_bytes: usize) {
    let version = input.version();
    let body_bytes = input.remaining();
    let mut read = None;
    let allocated = allocation_counter::measure(|| {
        read = Some(T::decode(&mut input).and_then(|message| input.finish().map(|()| message)));
    });
    let (most, kept) = (allocated.bytes_max as usize, allocated.bytes_current as usize);
    let charged = input.into_permit().expect("it was handed in").bytes();
    assert!(most <= BUDGET + OVERHEAD, "{most} bytes were allocated");
    assert!(kept <= charged + OVERHEAD, "{kept} bytes are kept, {charged} were charged");
    match read.expect("it was read") {
        Ok(message) => comes_back(&message, version, body_bytes),
        Err(error) => is_told(error, frame_bytes),
    }
}

/// An error says where in the frame.
pub(crate) fn is_told(error: DecodeError, frame_bytes: usize) {
    assert!(error.offset() <= frame_bytes, "{error}, which has {frame_bytes}");
    assert!(!error.to_string().is_empty());
}

fn comes_back<T: Wire + PartialEq + Debug>(message: &T, version: Version, body_bytes: usize) {
    let bytes = encoded(message, version);
    assert!(bytes.len() <= body_bytes, "{body_bytes} bytes were read, {} are written", bytes.len());
    let mut input = Decoder::new(bytes.clone(), version, BUDGET);
    let again = T::decode(&mut input).expect("what was written is read");
    assert_eq!(input.finish(), Ok(()));
    // A number that is not one is not even itself.
    #[allow(clippy::eq_op)]
    let is_itself = message == message;
    assert!(again == *message || !is_itself, "{again:?} was {message:?}");
    assert_eq!(encoded(&again, version), bytes);
}

fn encoded<T: Wire>(message: &T, version: Version) -> Bytes {
    let mut out = Encoder::default();
    message.encode(&mut out, version).expect("what was read in a version can be written in it");
    out.into_bytes()
}

/// Reads the rest of a frame as the API's `Request` or `Response` and checks what came of it.
pub(crate) fn check_as(api: Api, kind: &'static str, input: Decoder, frame_bytes: usize) {
    let mut find = Find { api, kind, input: Some(input), frame_bytes };
    each_message(&mut find);
    assert!(find.input.is_none(), "{api:?} has a {kind}");
}

struct Find {
    api: Api,
    kind: &'static str,
    input: Option<Decoder>,
    frame_bytes: usize,
}

impl Visitor for Find {
    fn visit<T: Wire + Sample + PartialEq + Debug>(&mut self, api: Api, name: &'static str) {
        if api == self.api && name.ends_with(self.kind) {
            check::<T>(self.input.take().expect("an API has one message of a kind"), self.frame_bytes);
        }
    }
}

/// A sample of every message of a kind in every version: API, version and body.
pub(crate) fn samples(kind: &'static str) -> Vec<(Api, i16, Bytes)> {
    let mut samples = Samples { kind, made: Vec::new() };
    each_message(&mut samples);
    samples.made
}

struct Samples {
    kind: &'static str,
    made: Vec<(Api, i16, Bytes)>,
}

impl Visitor for Samples {
    fn visit<T: Wire + Sample + PartialEq + Debug>(&mut self, api: Api, name: &'static str) {
        if !name.ends_with(self.kind) {
            return;
        }
        for number in api.versions() {
            let version = api.version(number);
            let message = T::sample(&mut Dice::new(number as u64), version);
            self.made.push((api, number, encoded(&message, version)));
        }
    }
}
