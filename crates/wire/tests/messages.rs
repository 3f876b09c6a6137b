//! Every message in every version, with random content: it comes back, and no bytes make a decoder panic.

use bytes::Bytes;
use proptest::prelude::*;
use vltava_wire::{
    Api, DecodeErrorKind, Decoder, EncodeErrorKind, Encoder, Version, Wire,
    limits::NESTING_MAX,
    messages::{
        FindCoordinatorRequest, HeartbeatRequest, MetadataRequest, ProduceRequest,
        produce::{PartitionProduceData, TopicProduceData},
    },
    sample::{Dice, Sample, Visitor, each_message, same},
};

/// Enough for any sample.
const BUDGET: usize = 1 << 24;

fn encoded<T: Wire>(message: &T, version: Version) -> Bytes {
    let mut out = Encoder::default();
    message.encode(&mut out, version).expect("a sample fits its version");
    let length = out.len();
    let bytes = out.into_bytes();
    assert_eq!(bytes.len(), length);
    bytes
}

fn decoded<T: Wire>(bytes: Bytes, version: Version) -> Result<T, DecodeErrorKind> {
    let mut input = Decoder::new(bytes, version, BUDGET);
    let message = T::decode(&mut input).map_err(|error| error.kind())?;
    input.finish().map_err(|error| error.kind())?;
    Ok(message)
}

struct RoundTrip {
    seed: u64,
    messages: usize,
}

impl Visitor for RoundTrip {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        for number in api.versions() {
            let version = api.version(number);
            let message = T::sample(&mut Dice::new(self.seed), version);
            let bytes = encoded(&message, version);
            let comes_back = |bytes| decoded(bytes, version).is_ok_and(|back| same(&back, &message));
            let half = bytes.slice(..bytes.len() / 2);
            assert!(comes_back(bytes.clone()), "{name} {number}, seed {}", self.seed);
            assert!(bytes.is_empty() || !comes_back(half), "{name} {number} cut, seed {}", self.seed);
        }
        self.messages += 1;
    }
}

#[test]
fn every_message_comes_back_in_every_version() {
    for seed in 0..200 {
        let mut visitor = RoundTrip { seed, messages: 0 };
        each_message(&mut visitor);
        assert_eq!(visitor.messages, 2 * Api::ALL.len());
    }
}

/// Decodes the same bytes as every message.
struct AsEvery {
    bytes: Bytes,
}

impl Visitor for AsEvery {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, _: &'static str) {
        for number in api.versions() {
            let _ = decoded::<T>(self.bytes.clone(), api.version(number));
        }
    }
}

/// Decodes every message with one byte changed.
struct Flip {
    seed: u64,
    at: prop::sample::Index,
    to: u8,
}

impl Visitor for Flip {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        for number in api.versions() {
            let version = api.version(number);
            let mut bytes = encoded(&T::sample(&mut Dice::new(self.seed), version), version).to_vec();
            let Some(end) = bytes.len().checked_sub(1) else { continue };
            bytes[self.at.index(end + 1)] = self.to;
            if let Ok(message) = decoded::<T>(bytes.into(), version) {
                let again = encoded(&message, version);
                let back = decoded(again, version).expect("what was written can be read");
                assert!(same(&back, &message), "{name} {number}, seed {}", self.seed);
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        each_message(&mut AsEvery { bytes: bytes.into() });
    }

    #[test]
    fn small_numbers_lead_deep_and_never_panic(bytes in prop::collection::vec(0u8..4, 0..300)) {
        each_message(&mut AsEvery { bytes: bytes.into() });
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_message(seed: u64, at: prop::sample::Index, to: u8) {
        each_message(&mut Flip { seed, at, to });
    }
}

/// Cuts every message off in up to 500 places.
struct CutOff {
    seed: u64,
    deepest: usize,
}

impl Visitor for CutOff {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        for number in api.versions() {
            let version = api.version(number);
            let bytes = encoded(&T::sample(&mut Dice::new(self.seed), version), version);
            for end in (0..bytes.len()).step_by(1 + bytes.len() / 500) {
                let mut input = Decoder::new(bytes.slice(..end), version, BUDGET);
                let Err(error) = T::decode(&mut input) else { continue };
                assert_ne!(error.path(), "", "{name} {number} cut at {end}, seed {}", self.seed);
                assert!(error.offset() <= end, "{name} {number}: {error}");
                self.deepest = self.deepest.max(error.nesting());
            }
        }
    }
}

#[test]
fn messages_are_no_deeper_than_the_limit_and_every_error_has_a_path() {
    let mut visitor = CutOff { seed: 0, deepest: 0 };
    for seed in 0..6 {
        visitor.seed = seed;
        each_message(&mut visitor);
    }
    assert_eq!(visitor.deepest, NESTING_MAX);
}

#[test]
fn an_error_names_the_whole_path_the_byte_and_the_limit() {
    let partition = PartitionProduceData { index: 7, records: Some(Bytes::from_static(b"batch")) };
    let topic = |name: &str| TopicProduceData {
        name: name.into(),
        partition_data: vec![partition.clone(), partition.clone()],
        ..Default::default()
    };
    let request = ProduceRequest { topic_data: vec![topic("a"), topic("b")], ..Default::default() };
    let version = Api::Produce.version(3);
    let bytes = encoded(&request, version);
    let cut = bytes.slice(..bytes.len() - 1);
    let error =
        ProduceRequest::decode(&mut Decoder::new(cut.clone(), version, BUDGET)).expect_err("it is cut off");
    let at = bytes.len() - b"batch".len();
    let expected =
        format!("the frame ends too early, at byte {at} in topic_data[1].partition_data[1].records");
    assert_eq!(error.to_string(), expected);
    let poor = ProduceRequest::decode(&mut Decoder::new(bytes, version, 0)).expect_err("topics cost memory");
    let expected = format!(
        "memory for a message would be {}, the limit is 0, at byte 12 in topic_data",
        2 * size_of::<TopicProduceData>()
    );
    assert_eq!(poor.to_string(), expected);
}

#[test]
fn a_tagged_section_has_limits() {
    let version = Api::Heartbeat.version(4);
    let decoded = |section: &[u8]| {
        let mut bytes = encoded(&HeartbeatRequest::default(), version).to_vec();
        bytes.pop();
        bytes.extend(section);
        HeartbeatRequest::decode(&mut Decoder::new(bytes.into(), version, BUDGET))
    };
    let many = |count: u8| [&[count][..], &[99, 0].repeat(count.into())].concat();
    assert_eq!(decoded(&many(64)), Ok(HeartbeatRequest::default()));
    let refused = decoded(&many(65)).expect_err("one too many").to_string();
    let expected = "tagged fields of a struct would be 65, the limit is 64, at byte 8 in _tagged_fields";
    assert_eq!(refused, expected);
    let large = |bytes: usize, length: [u8; 3]| [&[1, 99][..], &length, &vec![0; bytes]].concat();
    assert_eq!(decoded(&large(1 << 20, [0x80, 0x80, 0x40])), Ok(HeartbeatRequest::default()));
    let refused = decoded(&large((1 << 20) + 1, [0x81, 0x80, 0x40])).expect_err("a byte too many");
    assert!(matches!(refused.kind(), DecodeErrorKind::OverLimit(_)), "{refused}");
}

#[test]
fn a_lying_count_costs_nothing() {
    // 2^20 topics, of which none comes.
    let frame = Bytes::from_static(&[0x00, 0x10, 0x00, 0x00]);
    let refused = decoded::<MetadataRequest>(frame, Api::Metadata.version(1));
    assert_eq!(refused, Err(DecodeErrorKind::Truncated));
}

#[test]
fn a_field_that_the_version_lacks_is_refused_if_it_matters() {
    let version = Api::Heartbeat.version(2);
    let request = HeartbeatRequest { group_instance_id: Some("i".into()), ..Default::default() };
    let refused =
        request.encode(&mut Encoder::default(), version).expect_err("version 2 has no static members");
    assert_eq!((refused.field, refused.kind), ("group_instance_id", EncodeErrorKind::NotInVersion));
    let all = MetadataRequest { topics: None, ..Default::default() };
    let refused = all.encode(&mut Encoder::default(), Api::Metadata.version(0)).expect_err("0 has no null");
    assert_eq!((refused.field, refused.kind), ("topics", EncodeErrorKind::NullNotInVersion));
    let keys = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    assert!(keys.encode(&mut Encoder::default(), Api::FindCoordinator.version(3)).is_err());
    assert!(keys.encode(&mut Encoder::default(), Api::FindCoordinator.version(4)).is_ok());
}

#[test]
fn tags_from_the_future_are_skipped() {
    let version = Api::Heartbeat.version(4);
    let request = HeartbeatRequest { group_id: "g".into(), ..Default::default() };
    let mut bytes = encoded(&request, version).to_vec();
    assert_eq!(bytes.pop(), Some(0), "it ends with no tags");
    bytes.extend([1, 99, 3, b'n', b'e', b'w']);
    assert_eq!(decoded(bytes.into(), version), Ok(request));
}
