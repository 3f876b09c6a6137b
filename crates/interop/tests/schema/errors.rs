//! The table of error codes is that of Kafka's `Errors`, and a class agrees with the exception that Java throws.

use std::collections::BTreeSet;

use vltava_wire::{Class, ErrorCode};

use crate::{jar, meant::CLASSES};

#[test]
fn every_error_has_kafkas_code_and_name() {
    let theirs: BTreeSet<_> =
        jar::facts("error").iter().map(|words| (words[0].clone(), words[1].clone())).collect();
    let ours = ErrorCode::ALL.iter().map(|error| (error.code().to_string(), error.name().to_owned()));
    assert_eq!(ours.collect::<BTreeSet<_>>(), theirs);
}

#[test]
fn what_to_do_about_an_error_is_what_kafkas_exception_says() {
    let mut wrong = Vec::new();
    for words in jar::facts("error") {
        let code = words[0].parse::<i16>().expect("a code is a number");
        let ours = ErrorCode::from(code).class();
        let theirs = classes(&words[2..]);
        let meant = CLASSES.iter().find(|(name, ..)| *name == words[1]).map(|(_, class, _)| *class);
        match meant {
            None if theirs.contains(&ours) => (),
            Some(class) if class == ours && !theirs.contains(&ours) => (),
            Some(_) if theirs.contains(&ours) => wrong.push(format!("{}: it differs no more", words[1])),
            _ => wrong.push(format!("{}: {ours:?}, where Java throws {}", words[1], words[2..].join(" < "))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The classes that fit an exception, told by what it extends.
fn classes(ancestors: &[String]) -> &'static [Class] {
    let is = |name: &str| ancestors.iter().any(|it| it == name);
    if ancestors.is_empty() {
        &[Class::Success]
    } else if is("InvalidMetadataException") {
        &[Class::RefreshMetadata]
    } else if is("RefreshRetriableException") {
        // Whatever else a refresh would help with than metadata.
        &[Class::RefreshCoordinator]
    } else if is("RetriableException") {
        &[Class::Retry]
    } else if is("AuthenticationException") || is("AuthorizationException") {
        &[Class::Denied]
    } else if is("ApplicationRecoverableException") {
        // The application starts anew, as a member or as a producer.
        &[Class::Rejoin, Class::Fenced]
    } else if is("TransactionAbortableException") || is("OutOfOrderSequenceException") {
        &[Class::Abortable]
    } else {
        &[Class::Fatal]
    }
}
