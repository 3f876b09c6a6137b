//! A flow file as a whole.

use std::path::Path;

use super::{
    Error, FlowSpec, Kafka, Log, Section,
    error::{Source, Span},
    section::Key,
    tree::{self, Value},
};
use crate::{registry::Registry, spec::flow};

/// The keys at the top of a file.
pub(super) const KEYS: &[Key] = &[
    Key::new("kafka", "a section", "none", "which cluster"),
    Key::new("log", "a section", "none", "how much is logged"),
    Key::unbuilt("console", "HOST:PORT", "there is no web console, so far"),
    Key::new("flows", "flows by name", "one from `kafka.topic` to stdout", "what is to be done"),
];

/// No flow file is longer: who passes something else by mistake hears of it at once.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A flow file that was read and found right.
#[derive(Debug)]
pub struct File {
    /// Which cluster.
    pub kafka: Kafka,
    /// How much is logged.
    pub log: Log,
    /// The flows, in the order of the file; never empty.
    pub flows: Vec<FlowSpec>,
}

impl File {
    /// Reads a file; its variables are those of the process's environment.
    ///
    /// # Errors
    /// If it cannot be read, or something in it is wrong.
    pub fn load(path: &Path, registry: &Registry) -> Result<Self, Error> {
        let name = path.display().to_string();
        let unreadable = |error: std::io::Error| Error::whole(&name, format!("cannot be read: {error}"));
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > FILE_BYTES_MAX {
            return Err(Error::whole(&name, format!("has {length} bytes; no flow file is that long")));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&name, &text, registry, &|variable| std::env::var(variable).ok())
    }

    /// Reads a text; `name` is what errors call it, `variables` what `${NAME}` stands for.
    ///
    /// # Errors
    /// If something in it is wrong.
    pub fn parse(
        name: &str,
        text: &str,
        registry: &Registry,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let source = Source { file: name.to_owned(), text: text.to_owned() };
        let root = tree::parse(&source, variables)?;
        let entries = match &root.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                return Err(source.error(
                    root.span,
                    "this is no flow file",
                    "must be a map of keys and values",
                ));
            }
        };
        let top = Section::new(&source, Span { width: 1, ..root.span }, entries, KEYS)?;
        let kafka = top.field("kafka").map(Kafka::read).transpose()?.unwrap_or_default();
        let log = top.field("log").map(Log::read).transpose()?.unwrap_or_default();
        let flows = match top.field("flows") {
            Some(field) => flow::read_all(field, &kafka, registry)?,
            None => vec![flow::plain(&top, &kafka, registry)?],
        };
        Ok(Self { kafka, log, flows })
    }
}
