//! Every message in every version, with random content: what we encode, others decode and encode to the same bytes.

use bytes::{Bytes, BytesMut};
use kacrab_protocol::generated as kacrab;
use kafka_protocol::messages as kafka_protocol;
use vltava_wire::{
    Api, Decoder, Encoder, Version, Wire, messages as ours,
    sample::{self, Dice, Sample, Visitor, each_message},
};

use crate::oracles::{NOT_KNOWN_AFTER_ALL, Oracle, Side, Verdict, kacrab_message, kafka_protocol_message};

/// Random contents for each message and version.
const SEEDS: u64 = 1_000;

/// Enough for any sample.
const BUDGET: usize = 1 << 24;

fn encoded<T: Wire>(message: &T, version: Version) -> Bytes {
    let mut out = Encoder::default();
    message.encode(&mut out, version).expect("a sample fits its version");
    out.into_bytes()
}

/// Whether a verdict on a message is its bytes; if not, how the two differ.
fn compare(bytes: &Bytes, verdict: Verdict) -> Result<(), String> {
    let again = verdict?;
    if *bytes == again {
        return Ok(());
    }
    let at = bytes.iter().zip(&again).take_while(|(one, other)| one == other).count();
    Err(format!("{} bytes of ours, {} of theirs, which differ from byte {at} on", bytes.len(), again.len()))
}

/// The messages of one side before their judges.
struct Court {
    side: Side,
    /// How many messages each oracle has judged.
    judged: [u64; Oracle::ALL.len()],
    /// Versions that no more than one oracle knows.
    alone: Vec<String>,
    failures: Vec<String>,
}

impl Court {
    /// Judges a version of a message with one content after the other, up to the first that is not the same.
    fn judge<T>(&mut self, api: Api, number: i16, oracles: &[Oracle]) -> Result<(), String>
    where
        T: Wire + Sample + PartialEq + std::fmt::Debug,
    {
        let version = api.version(number);
        for seed in 0..SEEDS {
            let message = T::sample(&mut Dice::new(seed), version);
            let bytes = encoded(&message, version);
            for &oracle in oracles {
                let verdict = oracle.again(api, self.side, number, bytes.clone());
                compare(&bytes, verdict).map_err(|why| format!("seed {seed}, {}: {why}", oracle.name()))?;
                self.judged[oracle as usize] += 1;
            }
            let mut input = Decoder::new(bytes, version, BUDGET);
            let back = T::decode(&mut input).map_err(|error| format!("seed {seed}: {error}"))?;
            input.finish().map_err(|error| format!("seed {seed}: {error}"))?;
            if !sample::same(&back, &message) {
                return Err(format!("seed {seed}: it does not come back"));
            }
        }
        Ok(())
    }
}

impl Visitor for Court {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        if name.ends_with("Request") != (self.side == Side::Request) {
            return;
        }
        for number in api.versions() {
            let oracles = Oracle::knowing(api, self.side, number);
            assert!(!oracles.is_empty(), "nobody knows {name} {number}");
            if let [oracle] = oracles[..] {
                self.alone.push(format!("{name} {number} by {}", oracle.name()));
            }
            if let Err(failure) = self.judge::<T>(api, number, &oracles) {
                self.failures.push(format!("{name} {number}, {failure}"));
            }
        }
        for &(oracle, listed, side, number) in NOT_KNOWN_AFTER_ALL {
            if (listed, side) == (api, self.side) {
                let bytes = encoded(&T::sample(&mut Dice::new(0), api.version(number)), api.version(number));
                let verdict = oracle.again(api, side, number, bytes);
                assert!(verdict.is_err(), "{} does know {name} {number}: delete it", oracle.name());
            }
        }
    }
}

fn court(side: Side) {
    let mut court = Court { side, judged: [0; _], alone: Vec::new(), failures: Vec::new() };
    each_message(&mut court);
    for (oracle, judged) in Oracle::ALL.iter().zip(court.judged) {
        println!("{} judged {judged} messages, {side:?}", oracle.name());
    }
    println!("judged by one alone: {}", court.alone.join(", "));
    assert!(court.failures.is_empty(), "{}", court.failures.join("\n"));
}

#[test]
fn requests_are_the_same_bytes() {
    court(Side::Request);
}

#[test]
fn responses_are_the_same_bytes() {
    court(Side::Response);
}

/// Judges what members of a group tell each other, which no API has.
macro_rules! among_members {
    ($message:ident, $kacrab:ident) => {
        for number in 0..=3 {
            let version = Version { number, flexible: false };
            for seed in 0..SEEDS {
                let bytes = encoded(&ours::$message::sample(&mut Dice::new(seed), version), version);
                let verdict = kafka_protocol_message::<kafka_protocol::$message>(number, bytes.clone());
                assert_eq!(compare(&bytes, verdict), Ok(()), "{number}, seed {seed}");
                let mut again = BytesMut::new();
                let verdict = kacrab_message!($kacrab, number, &mut bytes.clone(), &mut again);
                let verdict = verdict.map(|()| again.freeze());
                assert_eq!(compare(&bytes, verdict), Ok(()), "{number}, seed {seed}");
            }
        }
    };
}

#[test]
fn what_members_tell_each_other_is_the_same_bytes() {
    among_members!(ConsumerProtocolSubscription, ConsumerProtocolSubscriptionData);
    among_members!(ConsumerProtocolAssignment, ConsumerProtocolAssignmentData);
}
