//! Every message that we speak is Kafka's, field by field, and what we do not speak is known.

use std::collections::BTreeSet;

use vltava_wire::{
    describe::{exchanges, table},
    messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription},
};

use crate::{
    difference::{differences, unexplained},
    jar,
    meant::{DIFFERENCES, ELSEWHERE, UNSPOKEN},
    table,
};

#[test]
fn every_message_is_kafkas_field_by_field() {
    let definitions = jar::definitions();
    let mut found = Vec::new();
    for exchange in exchanges() {
        for ours in table::messages(&exchange) {
            let kafka = definitions.get(&ours.name).unwrap_or_else(|| panic!("Kafka has no {}", ours.name));
            assert_eq!(kafka.api_key, Some(exchange.api.key()), "{}", ours.name);
            found.extend(differences(&kafka.exchanged(), &ours));
        }
    }
    for ours in [table::<ConsumerProtocolSubscription>(), table::<ConsumerProtocolAssignment>()] {
        let kafka = &definitions[ours.name];
        assert!(kafka.flexible().is_empty(), "{} is read as inflexible", ours.name);
        found.extend(differences(&kafka.message(), &table::message(&ours, &kafka.valid(), Vec::new())));
    }
    let wrong = unexplained(&found, DIFFERENCES);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_definition_is_spoken_or_left_out_with_a_reason() {
    let definitions: BTreeSet<_> = jar::definitions().into_keys().collect();
    let asked_and_answered = |name: &str| [format!("{name}Request"), format!("{name}Response")];
    let spoken = exchanges().into_iter().flat_map(|it| asked_and_answered(&format!("{:?}", it.api)));
    let unspoken = UNSPOKEN.iter().flat_map(|(_, names)| *names).flat_map(|name| asked_and_answered(name));
    let elsewhere = ELSEWHERE.iter().flat_map(|(_, names)| *names).map(|name| (*name).to_owned());
    let carried = ["ConsumerProtocolSubscription", "ConsumerProtocolAssignment"].map(str::to_owned);
    let known: Vec<_> = spoken.chain(unspoken).chain(elsewhere).chain(carried).collect();
    assert_eq!(known.iter().cloned().collect::<BTreeSet<_>>(), definitions);
    assert_eq!(known.len(), definitions.len(), "none is named twice");
}
