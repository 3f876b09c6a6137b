//! Kafka's own classes decode what we encode, in every version there is, and encode it to the same bytes; and its
//! assignors still answer what ours are tested by.
//!
//! They come in the jars of Apache Kafka 4.3, which `kafka/cluster` fetches from Maven Central; nothing is started.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    ops::RangeInclusive,
    process::{Command, Stdio},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use vltava_wire::{
    Api, Compression, EncodeErrorKind, Encoder, Version, Wire,
    record::{Batch, BatchBuilder, BatchHeader, Limits, Record, RecordSlices, Stamp},
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

/// What the judge says of a message that would lose something.
const REFUSED: &str = "refused: not in this version";

/// Messages of every kind, as the judge is told them: made up in one version, then to be written in others.
struct Messages {
    seeds: u64,
    others: fn(Api, i16) -> RangeInclusive<i16>,
    cases: Vec<String>,
    expected: Vec<(String, String)>,
}

impl Messages {
    fn of(seeds: u64, others: fn(Api, i16) -> RangeInclusive<i16>) -> Self {
        let mut messages = Self { seeds, others, cases: Vec::new(), expected: Vec::new() };
        each_message(&mut messages);
        messages
    }

    fn judge(&self) {
        for (verdict, (what, expected)) in verdicts(&self.cases).iter().zip(&self.expected) {
            assert_eq!(verdict, expected, "{what}");
        }
    }
}

impl Visitor for Messages {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        let kind = if name.ends_with("Request") { "request" } else { "response" };
        for (number, seed) in
            api.versions().flat_map(|number| (0..self.seeds).map(move |seed| (number, seed)))
        {
            let message = T::sample(&mut Dice::new(seed), api.version(number));
            let told = written(&message, api.version(number)).expect("a sample fits its version");
            for other in (self.others)(api, number) {
                self.cases.push(format!("message {} {number} {other} {kind} {told}", api.key()));
                let expected = written(&message, api.version(other)).unwrap_or_else(|| REFUSED.to_owned());
                self.expected.push((format!("{name} of {number} in {other}, seed {seed}"), expected));
            }
        }
    }
}

/// The bytes of a message; none if it would lose something in this version.
fn written(message: &impl Wire, version: Version) -> Option<String> {
    let mut out = Encoder::default();
    match message.encode(&mut out, version).map_err(|error| error.kind) {
        Ok(()) => Some(hex(&out.into_bytes())),
        Err(EncodeErrorKind::NotInVersion | EncodeErrorKind::NullNotInVersion) => None,
        Err(other) => panic!("a sample is not {other:?}"),
    }
}

#[test]
fn every_message_in_every_version_is_the_same_bytes() {
    Messages::of(SEEDS, |_, number| number..=number).judge();
}

#[test]
fn what_another_version_lacks_is_dropped_or_refused_as_kafka_does() {
    let messages = Messages::of(SEEDS / 4, |api, _| api.versions());
    let refused = messages.expected.iter().filter(|(_, expected)| expected == REFUSED).count();
    assert!(
        (1_000..messages.cases.len() - 1_000).contains(&refused),
        "{refused} of {}",
        messages.cases.len()
    );
    messages.judge();
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
    let stamp = match dice.below(3) {
        0 => Stamp::NONE,
        some => {
            let transactional = some == 1;
            Stamp { producer_id: 1 << 40, producer_epoch: 7, base_sequence: 1_000, transactional }
        }
    };
    batch.finish(stamp, compression).expect("there are records")
}

/// The header but for what the packing decides, and every record, as text.
fn records(bytes: Bytes) -> Vec<String> {
    let batch = Batch::parse(bytes).expect("it is a batch");
    batch.check_produced().expect("it is as a producer sends it");
    let header = format!("{:?}", BatchHeader { length: 0, crc: 0, ..*batch.header() });
    let said = |record: Record| format!("{record:?} {:?}", record.headers().collect::<Vec<_>>());
    let records = batch.decompress(Limits::default()).expect("its records are sound");
    std::iter::once(header).chain(records.owned().map(said)).collect()
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

/// What `core/group/assign` is tested by, of this version of Kafka.
const ASSIGNED: &[u8] = include_bytes!("../../../core/src/group/assign/golden.txt.gz");

#[test]
fn assignors_are_tested_by_what_kafkas_answer() {
    let mut golden = String::new();
    GzDecoder::new(ASSIGNED).read_to_string(&mut golden).expect("it is text");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/cluster");
    let heard = Command::new(script).arg("assignors").output().expect("bash is there");
    let heard = String::from_utf8(heard.stdout).expect("answers are text");
    let differs = heard.lines().zip(golden.lines()).find(|(now, then)| now != then);
    assert_eq!((differs, heard.lines().count()), (None, golden.lines().count()));
}
