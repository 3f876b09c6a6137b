//! A frame begins with the header that Kafka's definition lays out, in the version that Kafka has for the API's.

use std::collections::BTreeMap;

use vltava_wire::{
    Api, Encoder, Request, Wire, frame,
    sample::{Dice, Sample, Visitor, each_message},
};

use crate::{definition::Definition, jar};

const CORRELATION_ID: i32 = 0x0102_0304;
const CLIENT_ID: &str = "me";

struct Headers {
    definitions: BTreeMap<String, Definition>,
    /// Of request and response, by key and version of the API.
    versions: BTreeMap<(i16, i16), (i16, i16)>,
    judged: usize,
}

impl Headers {
    fn from_the_jar() -> Self {
        let facts = jar::facts("header");
        let numbers = facts.iter().map(|words| {
            let number = |at: usize| words[at].parse().expect("keys and versions are numbers");
            ((number(0), number(1)), (number(2), number(3)))
        });
        Self { versions: numbers.collect(), definitions: jar::definitions(), judged: 0 }
    }

    fn judge(&mut self, api: Api, number: i16, message: &impl Wire, header: Vec<u8>, frame: Encoder) {
        let mut body = Encoder::default();
        message.encode(&mut body, api.version(number)).expect("a sample fits its version");
        let expected = [header, body.into_bytes().to_vec()].concat();
        assert_eq!(
            frame.into_bytes()[4..],
            expected,
            "{api:?} {number}, {:?}",
            self.versions[&(api.key(), number)]
        );
        self.judged += 1;
    }
}

impl Visitor for Headers {
    fn ask<R: Request + Sample>(&mut self) {
        for number in R::API.versions() {
            let version = self.versions[&(R::API.key(), number)].0;
            let header = header(&self.definitions["RequestHeader"], version, R::API, number);
            let request = R::sample(&mut Dice::new(1), R::API.version(number));
            let frame = frame::request(number, CORRELATION_ID, Some(CLIENT_ID), &request);
            self.judge(R::API, number, &request, header, frame.expect("a sample fits its version"));
        }
    }

    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        for number in api.versions().filter(|_| name.ends_with("Response")) {
            let version = self.versions[&(api.key(), number)].1;
            let header = header(&self.definitions["ResponseHeader"], version, api, number);
            let response = T::sample(&mut Dice::new(1), api.version(number));
            let frame = frame::response(api, number, CORRELATION_ID, &response);
            self.judge(api, number, &response, header, frame.expect("a sample fits its version"));
        }
    }
}

/// A header as its definition lays it out, with what every test here sends.
fn header(definition: &Definition, version: i16, api: Api, number: i16) -> Vec<u8> {
    assert!(definition.valid().contains(&version), "{} {version}", definition.name);
    let mut bytes = Vec::new();
    for field in definition.fields.iter().filter(|field| field.versions().contains(&version)) {
        match (field.name.as_str(), field.kind.as_str(), field.flexible_versions.as_deref()) {
            ("RequestApiKey", "int16", None) => bytes.extend(api.key().to_be_bytes()),
            ("RequestApiVersion", "int16", None) => bytes.extend(number.to_be_bytes()),
            ("CorrelationId", "int32", None) => bytes.extend(CORRELATION_ID.to_be_bytes()),
            ("ClientId", "string", Some("none")) => {
                bytes.extend((CLIENT_ID.len() as i16).to_be_bytes());
                bytes.extend(CLIENT_ID.as_bytes());
            }
            unknown => panic!("{}: what is {unknown:?}?", definition.name),
        }
    }
    if definition.flexible().contains(&version) {
        // No tagged fields.
        bytes.push(0);
    }
    bytes
}

#[test]
fn every_frame_begins_with_kafkas_header() {
    let mut headers = Headers::from_the_jar();
    each_message(&mut headers);
    let versions: usize = Api::ALL.iter().map(|api| api.versions().count()).sum();
    assert_eq!(headers.judged, 2 * versions);
}
