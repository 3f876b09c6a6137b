//! Kafka's own classes decode what we encode, in every version there is, and encode it to the same bytes.
//!
//! They come in the jars of Apache Kafka 4.3, which `kafka/cluster` fetches from Maven Central; nothing is started.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use bytes::Bytes;
use vltava_wire::{
    Api, Compression, Encoder, Wire,
    record::{Batch, BatchBuilder, Limits, Record, RecordSlices, Stamp},
    sample::{Dice, Sample, Visitor, each_message},
};

/// Random contents for each message and version.
const SEEDS: u64 = 20;

/// What Kafka makes of each case.
fn verdicts(cases: &[String]) -> Vec<String> {
    let mut judge = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/cluster"))
        .arg("judge")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash is there");
    let mut cases_in = judge.stdin.take().expect("its input is piped");
    // The judge speaks when all cases are in, so neither waits for the other.
    cases_in.write_all(cases.join("\n").as_bytes()).expect("the judge listens");
    drop(cases_in);
    let heard = judge.wait_with_output().expect("the judge ends");
    assert!(heard.status.success(), "java and maven are there, and Maven Central answers");
    let heard = String::from_utf8(heard.stdout).expect("verdicts are text");
    let verdicts: Vec<_> = heard.lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), cases.len());
    verdicts
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn unhex(text: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_else(|_| panic!("{text}"));
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Messages of every kind, as the judge is told them.
#[derive(Default)]
struct Messages {
    cases: Vec<String>,
    expected: Vec<(String, String)>,
}

impl Visitor for Messages {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        let kind = if name.ends_with("Request") { "request" } else { "response" };
        for number in api.versions() {
            for seed in 0..SEEDS {
                let version = api.version(number);
                let mut out = Encoder::default();
                let message = T::sample(&mut Dice::new(seed), version);
                message.encode(&mut out, version).expect("a sample fits its version");
                let hex = hex(&out.into_bytes());
                self.cases.push(format!("message {} {number} {kind} {hex}", api.key()));
                self.expected.push((format!("{name} {number}, seed {seed}"), hex));
            }
        }
    }
}

#[test]
fn every_message_in_every_version_is_the_same_bytes() {
    let mut messages = Messages::default();
    each_message(&mut messages);
    for (verdict, (what, expected)) in verdicts(&messages.cases).iter().zip(&messages.expected) {
        assert_eq!(verdict, expected, "{what}");
    }
}

type Headers = Vec<(String, Option<Bytes>)>;

fn headers(dice: &mut Dice) -> Headers {
    let value = |dice: &mut Dice| (dice.below(4) > 0).then(|| Bytes::from(dice.roll().to_string()));
    // Names repeat.
    (0..dice.below(4)).map(|_| (format!("h{}", dice.below(2)), value(dice))).collect()
}

fn batch(seed: u64, compression: Compression) -> Bytes {
    let dice = &mut Dice::new(seed);
    let mut batch = BatchBuilder::new();
    for index in 0..1 + dice.below(3_000) {
        let (key, value) = (dice.below(50).to_string(), format!("{index} {} a river", dice.below(3)));
        let record = RecordSlices {
            timestamp: 1_700_000_000_000 + dice.below(10_000) as i64,
            key: (dice.below(4) > 0).then_some(key.as_bytes()),
            value: (dice.below(9) > 0).then_some(value.as_bytes()),
            headers: &headers(dice),
        };
        batch.append(record).expect("the record fits");
    }
    let stamp = Stamp { producer_id: 1 << 40, producer_epoch: 7, base_sequence: 1_000, transactional: true };
    batch.finish(stamp, compression).expect("there are records")
}

/// Every record, as text.
fn records(bytes: Bytes) -> Vec<String> {
    let batch = Batch::parse(bytes).expect("it is a batch");
    batch.check_produced().expect("it is as a producer sends it");
    let said = |record: Record| format!("{record:?} {:?}", record.headers().collect::<Vec<_>>());
    batch.decompress(Limits::default()).expect("its records are sound").owned().map(said).collect()
}

#[test]
fn batches_are_read_by_kafka_and_kafkas_by_us() {
    let all = || Compression::ALL.into_iter().flat_map(|kind| (0..SEEDS).map(move |seed| (kind, seed)));
    let ours: Vec<_> = all().map(|(kind, seed)| batch(seed, kind)).collect();
    let cases: Vec<_> = ours.iter().map(|bytes| format!("batch {}", hex(bytes))).collect();
    for (((kind, seed), ours), verdict) in all().zip(ours).zip(verdicts(&cases)) {
        let theirs = unhex(&verdict);
        if kind == Compression::None {
            assert_eq!(ours, theirs, "seed {seed}");
        }
        assert_eq!(records(ours), records(theirs), "{kind}, seed {seed}");
    }
}
