//! A broker of ours tells clients the versions that one of Kafka's does, which are not always those it reads.

use std::collections::BTreeMap;

use vltava_core::session::greeting::advertised;
use vltava_wire::Api;

use crate::{jar, row::Versions};

#[test]
fn clients_are_told_kafkas_versions() {
    let facts = jar::facts("range");
    let theirs: BTreeMap<i16, Versions> = facts
        .iter()
        .map(|words| {
            let number = |at: usize| words[at].parse().expect("keys and versions are numbers");
            (number(0), number(1)..=number(2))
        })
        .collect();
    for api in Api::ALL {
        assert_eq!(Some(&advertised(*api)), theirs.get(&api.key()), "{api:?}");
    }
}
