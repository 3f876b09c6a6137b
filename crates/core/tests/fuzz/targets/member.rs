//! What members of a group tell each other through the coordinator, which passes on any bytes.

use bytes::Bytes;
use vltava_core::{
    TopicPartition,
    group::{assign::Subscriber, classic::protocol},
};
use vltava_wire::{
    DecodeError, Decoder, Encoder, Version, Wire,
    messages::group::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, JoinGroupResponseMember},
    sample::{Dice, Sample},
};

/// The newest version that Kafka has of either.
const VERSION_MAX: i16 = 3;
const BUDGET: usize = 1 << 20;

/// Whatever another member says is a wish or an assignment that can be passed on, or an error that says where it is
/// broken.
pub(crate) fn check(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    match subscribed(bytes.clone()) {
        Ok(mut said) => {
            let again = subscribed(protocol::subscription(&said));
            // Which topic comes first is not kept, the order within a topic is.
            said.owned.sort_by(|one, other| one.topic.cmp(&other.topic));
            assert_eq!(again, Ok(said));
        }
        Err(error) => assert!(error.offset() <= input.len(), "{error}"),
    }
    match protocol::assigned(bytes.clone()) {
        Ok(partitions) => {
            let listed: Vec<TopicPartition> = partitions.iter().cloned().collect();
            assert_eq!(protocol::assigned(protocol::assignment(&listed)), Ok(partitions));
        }
        Err(error) => assert!(error.offset() <= input.len(), "{error}"),
    }
    for number in 0..=VERSION_MAX {
        comes_back::<ConsumerProtocolSubscription>(&bytes, number);
        comes_back::<ConsumerProtocolAssignment>(&bytes, number);
    }
}

fn subscribed(metadata: Bytes) -> Result<Subscriber, DecodeError> {
    protocol::subscribed(JoinGroupResponseMember { metadata, ..JoinGroupResponseMember::default() })
}

fn comes_back<T: Wire + PartialEq + std::fmt::Debug>(bytes: &Bytes, number: i16) {
    let version = Version { number, flexible: false };
    let Ok(said) = T::decode(&mut Decoder::new(bytes.clone(), version, BUDGET)) else { return };
    let again = encoded(&said, version);
    assert!(bytes.starts_with(&again), "{said:?} is written as it was read");
    assert_eq!(T::decode(&mut Decoder::new(again, version, BUDGET)), Ok(said));
}

fn encoded<T: Wire>(said: &T, version: Version) -> Bytes {
    let mut out = Encoder::default();
    said.encode(&mut out, version).expect("what was read in a version can be written in it");
    out.into_bytes()
}

/// Both in every version, and those that are written.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let topics = ["orders".to_owned(), "trades".to_owned()].into();
    let owned = vec![TopicPartition::new("orders", 2), TopicPartition::new("orders", 0)];
    let wish = Subscriber { topics, owned, generation: 4, rack: Some("r".into()), ..Subscriber::default() };
    let mut seeds = vec![
        Vec::new(),
        protocol::subscription(&wish).to_vec(),
        protocol::assignment(&[TopicPartition::new("orders", 2), TopicPartition::new("orders", 0)]).to_vec(),
    ];
    for number in 0..=VERSION_MAX {
        let version = Version { number, flexible: false };
        let mut dice = Dice::new(number as u64);
        let subscription = ConsumerProtocolSubscription::sample(&mut dice, version);
        let assignment = ConsumerProtocolAssignment::sample(&mut dice, version);
        for body in [encoded(&subscription, version), encoded(&assignment, version)] {
            seeds.push([&number.to_be_bytes(), &body[..]].concat());
        }
    }
    seeds
}
