//! A YAML document as a tree in which every name and value knows its place.
//!
//! What keys mean is for the readers; here scalars have the types that YAML 1.2 gives them.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Options, Spanned};

use super::error::{Error, Source, Span};

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// What may stand in a file.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
    /// A text in which a variable stood: it may be meant as a number.
    Replaced(String),
    List(Vec<Node>),
    Map(Vec<(Name, Node)>),
}

/// A key and its place.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) span: Span,
    pub(crate) text: String,
}

/// Reads the document, with each `${NAME}` in its values replaced.
pub(crate) fn parse(source: &Source, variables: &dyn Fn(&str) -> Option<String>) -> Result<Node, Error> {
    let mut options = Options::default();
    options.with_snippet = false;
    let read: Spanned<Value> = serde_saphyr::from_str_with_options(&source.text, options)
        .map_err(|error| unreadable(source, &error))?;
    let mut node = Node::from(read);
    super::variables::substitute(source, &mut node, variables)?;
    Ok(node)
}

/// The parser ends its messages with the place, which we show in our own way.
fn unreadable(source: &Source, error: &serde_saphyr::Error) -> Error {
    let whole = error.without_snippet().to_string();
    let message = whole.split(" at line ").next().unwrap_or(&whole);
    let message = format!("not readable as YAML: {}", message.trim_end_matches(':'));
    match error.location() {
        Some(location) => source.error(place(location), message, ""),
        None => Error::whole(&source.file, message),
    }
}

fn place(location: Location) -> Span {
    let number = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
    Span {
        line: number(location.line()).max(1),
        column: number(location.column()).max(1),
        width: number(location.span().len()).max(1),
    }
}

impl From<Spanned<Value>> for Node {
    fn from(it: Spanned<Value>) -> Self {
        Self { span: place(it.referenced), value: it.value }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, it: D) -> Result<Value, D::Error> {
        Value::deserialize(it)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Flag(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Whole(it))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or(Value::Fraction(it as f64), Value::Whole))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Value::Fraction(it))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::Text(it.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Value>>()? {
            list.push(Node::from(item));
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(name) = entries.next_key::<Spanned<String>>()? {
            let value = entries.next_value::<Spanned<Value>>()?;
            let span = place(name.referenced);
            map.push((Name { span, text: name.value }, Node::from(value)));
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, Error> {
        parse(&Source { file: "f.yaml".into(), text: text.into() }, &|_| None)
    }

    #[test]
    fn names_and_values_know_their_places() {
        let node = read("a: 1\nb:\n  - x\n  - {c: true}\n").unwrap();
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        assert_eq!(entries[0].0.span, Span { line: 1, column: 1, width: 1 });
        assert_eq!(entries[0].1.span, Span { line: 1, column: 4, width: 1 });
        let Value::List(items) = &entries[1].1.value else { panic!("{node:?}") };
        assert_eq!((items[0].span.line, items[0].span.column), (3, 5));
        assert!(matches!(&items[1].value, Value::Map(map) if map[0].0.text == "c"));
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        for text in ["a: [1, 2\n", "a: 1\n b: 2\n", "a: 1\na: 2\n", "\"", "*nowhere"] {
            let error = read(text).unwrap_err();
            assert!(error.span().is_some(), "{text:?}: {error}");
            assert!(!error.message().contains(" at line "), "{error}");
        }
    }

    #[test]
    fn bombs_are_refused_not_unfolded() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
        }
        assert!(read(&text).is_err());
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
