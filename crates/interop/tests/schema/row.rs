//! What is compared: the rows of a message, told in the same words of Kafka's definitions and of our tables.

use std::ops::RangeInclusive;

/// From the first to the last; none if the last is before the first.
pub(crate) type Versions = RangeInclusive<i16>;

pub(crate) const NEVER: Versions = Versions::new(1, 0);

/// A message, or a struct inside it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: String,
    /// What is said of it besides its rows: an aspect, and the word for it.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
}

/// A field, as the versions see it that are valid for its message and have what it is part of.
#[derive(Debug)]
pub(crate) struct Row {
    /// In snake case.
    pub(crate) name: String,
    /// In Kafka's words: `[]int32`, `FetchTopic`.
    pub(crate) kind: String,
    pub(crate) versions: Versions,
    pub(crate) nullable: Option<Versions>,
    pub(crate) tag: Option<String>,
    pub(crate) default: String,
    pub(crate) required: bool,
    /// Of the struct it is, or is an array of.
    pub(crate) rows: Vec<Row>,
}

impl Row {
    /// Every aspect of it, and the word for it.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("type", self.kind.clone()),
            ("versions", said(&self.versions)),
            ("nullable", self.nullable.as_ref().map_or_else(|| "never".to_owned(), said)),
            ("tag", self.tag.clone().unwrap_or_else(|| "none".to_owned())),
            ("default", self.default.clone()),
            ("required", self.required.to_string()),
        ]
    }
}

/// The versions in both.
pub(crate) fn meet(one: &Versions, other: &Versions) -> Versions {
    *one.start().max(other.start())..=*one.end().min(other.end())
}

/// As Kafka writes versions.
pub(crate) fn said(versions: &Versions) -> String {
    match (*versions.start(), *versions.end()) {
        (first, last) if last < first => "never".to_owned(),
        (first, last) if first == last => first.to_string(),
        (first, i16::MAX) => format!("{first}+"),
        (first, last) => format!("{first}-{last}"),
    }
}
