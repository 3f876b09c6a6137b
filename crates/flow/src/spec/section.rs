//! A part of a flow file under a table of the keys it may have: reading it checks every key and every type.

use std::time::Duration;

use super::{
    error::{Error, Source, Span},
    tree::{Name, Node, Value},
    units,
};

/// One key of a section, as the manual shows it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What may stand there, in words.
    pub kind: &'static str,
    /// What holds where it is not written; empty for a key that must be.
    pub default: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Whether what it asks for is built. Keys that are not are known, and refused by name.
    pub built: bool,
}

impl Key {
    /// A key that works.
    pub const fn new(
        name: &'static str,
        kind: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, default, doc, built: true }
    }

    /// A key whose feature is not there yet.
    pub const fn unbuilt(name: &'static str, kind: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: "", doc, built: false }
    }
}

/// A map of the file whose keys were all found in its table.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    source: &'a Source,
    span: Span,
    entries: &'a [(Name, Node)],
    keys: &'static [Key],
}

/// A value of a section, asked for as the type it should have.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    source: &'a Source,
    name: &'a str,
    name_span: Span,
    node: &'a Node,
}

fn field<'a>(source: &'a Source, (name, node): &'a (Name, Node)) -> Field<'a> {
    Field { source, name: &name.text, name_span: name.span, node }
}

impl<'a> Section<'a> {
    /// The entries of one section, checked against its table.
    pub(crate) fn new(
        source: &'a Source,
        span: Span,
        entries: &'a [(Name, Node)],
        keys: &'static [Key],
    ) -> Result<Self, Error> {
        for (name, _) in entries {
            match keys.iter().find(|key| key.name == name.text) {
                Some(key) if key.built => (),
                Some(key) => return Err(unbuilt(source, name, key)),
                None => {
                    let hint = nearest(&name.text, keys.iter().map(|key| key.name));
                    return Err(source.error(name.span, format!("unknown key `{}`", name.text), hint));
                }
            }
        }
        Ok(Self { source, span, entries, keys })
    }

    /// A key's value; none where the key is not written, or has nothing after its colon.
    ///
    /// # Panics
    /// If the section's table lacks the key: that is a slip in the program.
    pub fn field(&self, name: &str) -> Option<Field<'a>> {
        let known = self.keys.iter().any(|key| key.name == name && key.built);
        assert!(known, "`{name}` is in the table of the section that reads it");
        let entry = self.entries.iter().find(|(it, _)| it.text == name)?;
        (!matches!(entry.1.value, Value::Null)).then(|| field(self.source, entry))
    }

    /// A key's value, which has to be there.
    ///
    /// # Errors
    /// If it is not.
    pub fn required(&self, name: &str) -> Result<Field<'a>, Error> {
        self.field(name).ok_or_else(|| self.error(format!("`{name}` is missing"), "it has no default"))
    }

    /// A section in the same place in which nothing is written.
    pub(crate) fn nothing(&self, keys: &'static [Key]) -> Section<'a> {
        Self { entries: &[], keys, ..*self }
    }

    /// An error about this section as a whole.
    pub fn error(&self, message: impl Into<String>, hint: impl Into<String>) -> Error {
        self.source.error(self.span, message, hint)
    }
}

impl<'a> Field<'a> {
    /// A text, a text from a variable included. Numbers and truth values need quotes to be one.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn text(&self) -> Result<&'a str, Error> {
        match &self.node.value {
            Value::Text(text) | Value::Replaced(text) => Ok(text),
            Value::Flag(_) | Value::Whole(_) | Value::Fraction(_) => {
                Err(self.error(format!("`{}` must be a text", self.name), "put it in quotes"))
            }
            _ => Err(self.ill_typed("a text")),
        }
    }

    /// A text with something in it.
    ///
    /// # Errors
    /// If it is empty, or no text.
    pub fn word(&self) -> Result<&'a str, Error> {
        match self.text()? {
            "" => Err(self.error(format!("`{}` is empty", self.name), "")),
            text => Ok(text),
        }
    }

    /// A whole number from `least` to `most`.
    ///
    /// # Errors
    /// If it is none, or out of that range.
    pub fn count(&self, least: i64, most: i64) -> Result<i64, Error> {
        let number = match &self.node.value {
            Value::Whole(number) => Some(*number),
            Value::Replaced(text) => text.trim().parse().ok(),
            _ => None,
        };
        let fits = number.filter(|it| (least..=most).contains(it));
        fits.ok_or_else(|| self.ill_typed(&format!("a whole number from {least} to {most}")))
    }

    /// True or false.
    ///
    /// # Errors
    /// If it is neither.
    pub fn flag(&self) -> Result<bool, Error> {
        match &self.node.value {
            Value::Flag(flag) => Ok(*flag),
            Value::Replaced(text) if text == "true" => Ok(true),
            Value::Replaced(text) if text == "false" => Ok(false),
            _ => Err(self.ill_typed("true or false")),
        }
    }

    /// A length of time such as `250ms`, `5s` or `1m`.
    ///
    /// # Errors
    /// If it is none.
    pub fn duration(&self) -> Result<Duration, Error> {
        self.measure(units::duration).ok_or_else(|| self.ill_typed("a time such as `250ms`, `5s` or `1m`"))
    }

    /// A number of bytes such as `4096`, `64KiB` or `8MiB`.
    ///
    /// # Errors
    /// If it is none.
    pub fn bytes(&self) -> Result<u64, Error> {
        let plain = match self.node.value {
            Value::Whole(number) => u64::try_from(number).ok(),
            _ => self.measure(units::bytes),
        };
        plain.ok_or_else(|| self.ill_typed("a number of bytes such as `64KiB` or `8MiB`"))
    }

    fn measure<T>(&self, read: fn(&str) -> Option<T>) -> Option<T> {
        match &self.node.value {
            Value::Text(text) | Value::Replaced(text) => read(text.trim()),
            _ => None,
        }
    }

    /// One of a few words, each with what it stands for; those that stand for nothing are not built yet.
    ///
    /// # Errors
    /// If it is none of them, or one that is not built.
    pub fn one_of<T: Copy>(&self, words: &[(&str, Option<T>)]) -> Result<T, Error> {
        let text = match &self.node.value {
            Value::Text(text) | Value::Replaced(text) => text.as_str(),
            _ => "",
        };
        let built = || words.iter().filter(|it| it.1.is_some()).map(|it| it.0);
        let all = || built().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, Some(meant))) => Ok(*meant),
            Some((word, None)) => Err(self
                .error(format!("`{}: {word}` is not built yet", self.name), format!("there is {}", all()))),
            None => Err(self.ill_typed(&format!("one of {}", all()))),
        }
    }

    /// The items of a list; a value that is no list counts as a list of itself.
    pub fn items(&self) -> Vec<Field<'a>> {
        match &self.node.value {
            Value::List(items) => items.iter().map(|node| Field { node, ..*self }).collect(),
            _ => vec![*self],
        }
    }

    /// A map with the given keys.
    ///
    /// # Errors
    /// If it is no map, or has a key that is not in the table or not built.
    pub fn section(&self, keys: &'static [Key]) -> Result<Section<'a>, Error> {
        Section::new(self.source, self.node.span, self.entries()?, keys)
    }

    /// A map whose keys are names of the user's choice, each with its value.
    ///
    /// # Errors
    /// If it is no map, or a name in it is empty.
    pub fn named(&self) -> Result<Vec<(&'a str, Field<'a>)>, Error> {
        let entries = self.entries()?;
        if let Some((name, _)) = entries.iter().find(|(name, _)| name.text.is_empty()) {
            return Err(self.source.error(name.span, "a name is empty", ""));
        }
        Ok(entries.iter().map(|entry| (entry.0.text.as_str(), field(self.source, entry))).collect())
    }

    /// A map with one key: which, and its value. `kinds` is what may be there, in words.
    pub(crate) fn only(&self, kinds: &str) -> Result<(&'a str, Field<'a>), Error> {
        match self.entries()? {
            [entry] => Ok((&entry.0.text, field(self.source, entry))),
            _ => Err(self.error(format!("each of `{}` has one key", self.name), kinds)),
        }
    }

    fn entries(&self) -> Result<&'a [(Name, Node)], Error> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries),
            Value::Null => Ok(&[]),
            _ => Err(self.ill_typed("a map of keys and values")),
        }
    }

    /// What number, text or truth value stands here, as a text.
    ///
    /// # Errors
    /// If it is a list or a map.
    pub fn scalar(&self) -> Result<String, Error> {
        match &self.node.value {
            Value::Null => Ok(String::new()),
            Value::Flag(it) => Ok(it.to_string()),
            Value::Whole(it) => Ok(it.to_string()),
            Value::Fraction(it) => Ok(it.to_string()),
            Value::Text(it) | Value::Replaced(it) => Ok(it.clone()),
            Value::List(_) | Value::Map(_) => Err(self.ill_typed("a single value")),
        }
    }

    /// An error about this value.
    pub fn error(&self, message: impl Into<String>, hint: impl Into<String>) -> Error {
        self.source.error(self.node.span, message, hint)
    }

    /// An error about the name of this value.
    pub(crate) fn error_of_name(&self, message: impl Into<String>, hint: impl Into<String>) -> Error {
        self.source.error(self.name_span, message, hint)
    }

    fn ill_typed(&self, expected: &str) -> Error {
        let found = match &self.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Flag(it) => format!("`{it}`"),
            Value::Whole(it) => format!("`{it}`"),
            Value::Fraction(it) => format!("`{it}`"),
            // A variable may hold a secret, which no error shows.
            Value::Replaced(_) => "what its variable holds".to_owned(),
            Value::Text(it) if it.chars().count() > 40 => "a longer text".to_owned(),
            Value::Text(it) => format!("`{it}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        };
        self.error(format!("`{}` is {found}", self.name), format!("must be {expected}"))
    }
}

fn unbuilt(source: &Source, name: &Name, key: &Key) -> Error {
    let hint = format!("{}; leave it out", key.doc);
    source.error(name.span, format!("`{}` is not built yet", key.name), hint)
}

/// Asks for the known name that a misspelt one is nearest to, if one is near.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let lower = unknown.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&lower, name);
    let most = unknown.chars().count() / 3 + 1;
    let near = known.clone().map(|name| (distance(name), name)).min().filter(|(far, _)| *far <= most);
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")),
    }
}
