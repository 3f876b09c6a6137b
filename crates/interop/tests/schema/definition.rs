//! Kafka's message definitions, as `common/message/*.json` of its repository has them, and their rows.

use serde::Deserialize;

use crate::{
    meant::RENAMED,
    row::{Message, NEVER, Row, Versions, meet, said},
};

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Definition {
    pub(crate) api_key: Option<i16>,
    #[serde(rename = "type")]
    _kind: String,
    #[serde(rename = "listeners")]
    _listeners: Option<Vec<String>>,
    pub(crate) name: String,
    valid_versions: String,
    #[serde(default = "none")]
    flexible_versions: String,
    #[serde(default)]
    latest_version_unstable: bool,
    #[serde(default)]
    pub(crate) fields: Vec<Field>,
    #[serde(default)]
    common_structs: Vec<Struct>,
}

/// A struct that several fields share.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Struct {
    name: String,
    versions: String,
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Field {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    versions: String,
    #[serde(default = "none")]
    nullable_versions: String,
    #[serde(default = "none")]
    tagged_versions: String,
    /// Only a header's field has versions of its own in which it is compact.
    pub(crate) flexible_versions: Option<String>,
    tag: Option<u32>,
    default: Option<Literal>,
    #[serde(default)]
    ignorable: bool,
    #[serde(default)]
    fields: Vec<Field>,
    // What is meant by it, and how Java keeps it: nothing of it is on the wire.
    #[serde(rename = "about")]
    _about: Option<String>,
    #[serde(rename = "entityType")]
    _entity_type: Option<String>,
    #[serde(rename = "mapKey")]
    _map_key: Option<bool>,
    #[serde(rename = "zeroCopy")]
    _zero_copy: Option<bool>,
}

/// Some quote numbers and truth values, some do not.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Literal {
    Truth(bool),
    Number(i64),
    Text(String),
}

fn none() -> String {
    "none".to_owned()
}

impl Definition {
    pub(crate) fn parse(text: &str) -> Self {
        json5::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    pub(crate) fn valid(&self) -> Versions {
        versions(&self.valid_versions)
    }

    /// The versions with compact lengths and tagged fields.
    pub(crate) fn flexible(&self) -> Versions {
        meet(&self.valid(), &versions(&self.flexible_versions))
    }

    /// As a message that is asked or answered.
    pub(crate) fn exchanged(&self) -> Message {
        let unstable =
            if self.latest_version_unstable { *self.valid().end()..=*self.valid().end() } else { NEVER };
        let facts = [("versions", self.valid()), ("flexible", self.flexible()), ("unstable", unstable)];
        Message {
            facts: facts.map(|(aspect, versions)| (aspect, said(&versions))).to_vec(),
            ..self.message()
        }
    }

    /// As a message inside something else.
    pub(crate) fn message(&self) -> Message {
        Message { name: self.name.clone(), facts: Vec::new(), rows: self.rows(&self.fields, &self.valid()) }
    }

    fn rows(&self, fields: &[Field], scope: &Versions) -> Vec<Row> {
        let rows = fields.iter().map(|field| self.row(field, scope));
        rows.filter(|row| !row.versions.is_empty()).collect()
    }

    fn row(&self, field: &Field, scope: &Versions) -> Row {
        let valid = meet(scope, &field.versions());
        let item = field.kind.trim_start_matches("[]");
        let rows = match self.common_structs.iter().find(|it| it.name == item) {
            Some(common) => self.rows(&common.fields, &meet(&valid, &versions(&common.versions))),
            None => self.rows(&field.fields, &valid),
        };
        let nullable = meet(&valid, &versions(&field.nullable_versions));
        Row {
            name: snake(&field.name),
            // Records are bytes to whoever does not look inside.
            kind: if field.kind == "records" { "bytes".to_owned() } else { field.kind.clone() },
            nullable: (!nullable.is_empty()).then_some(nullable),
            tag: field.tag(&valid),
            default: field.default(),
            // Kafka's writer refuses what it would have to drop, unless it is said that it may be ignored.
            required: !field.ignorable && valid != *scope,
            rows,
            versions: valid,
        }
    }
}

impl Field {
    pub(crate) fn versions(&self) -> Versions {
        versions(&self.versions)
    }

    fn tag(&self, valid: &Versions) -> Option<String> {
        let tag = self.tag?;
        let tagged = meet(valid, &versions(&self.tagged_versions));
        Some(if tagged == *valid { tag.to_string() } else { format!("{tag} in {}", said(&tagged)) })
    }

    /// In the words of `Described::text`.
    fn default(&self) -> String {
        let literal = match &self.default {
            Some(Literal::Truth(truth)) => truth.to_string(),
            Some(Literal::Number(number)) => number.to_string(),
            Some(Literal::Text(text)) => text.clone(),
            None => String::new(),
        };
        match self.kind.as_str() {
            _ if literal == "null" => literal,
            "string" => format!("{literal:?}"),
            "bool" if literal.is_empty() => "false".to_owned(),
            "bool" => literal,
            "float64" if literal.is_empty() => "0.0".to_owned(),
            kind if kind.starts_with("int") || kind.starts_with("uint") => number(&literal).to_string(),
            _ => {
                assert!(literal.is_empty(), "{}: no {} has the default {literal}", self.name, self.kind);
                match self.kind.as_str() {
                    "uuid" => "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
                    kind if ["bytes", "records"].contains(&kind) || kind.starts_with("[]") => "[]".to_owned(),
                    _ => "{}".to_owned(),
                }
            }
        }
    }
}

fn number(literal: &str) -> i64 {
    match (literal, literal.strip_prefix("0x")) {
        ("", _) => 0,
        (_, Some(digits)) => i64::from_str_radix(digits, 16).expect("a hexadecimal number"),
        _ => literal.parse().unwrap_or_else(|_| panic!("{literal} is not a number")),
    }
}

/// `3`, `3-7`, `3+`, `none`.
fn versions(text: &str) -> Versions {
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is not a version"));
    match (text.strip_suffix('+'), text.split_once('-')) {
        _ if text == "none" => NEVER,
        (Some(first), _) => number(first)..=i16::MAX,
        (_, Some((first, last))) => number(first)..=number(last),
        _ => number(text)..=number(text),
    }
}

/// Our name for one of Kafka's: words begin at a capital that follows a small letter or a digit, or comes before a
/// small letter. A few are words of Rust and have another.
pub(crate) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_word = at > 0 && !letters[at - 1].is_uppercase();
        let before_word = at > 0 && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (after_word || before_word) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == snake);
    renamed.map_or(snake, |(_, ours)| (*ours).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_words_begin() {
        let named = [
            ("TopicId", "topic_id"),
            ("Enable2Pc", "enable2_pc"),
            ("V3AndBelowTopics", "v3_and_below_topics"),
            ("LastKnownELRIds", "last_known_elr_ids"),
            ("Type", "kind"),
        ];
        for (theirs, ours) in named {
            assert_eq!(snake(theirs), ours);
        }
    }
}
