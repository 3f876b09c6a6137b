//! Which sinks there are: the program that runs flows fills this with those it was built with.

use std::{collections::BTreeMap, sync::Arc};

use vltava_client::Client;

use crate::{
    Failure, Sink, kafka,
    sink::BoxFuture,
    spec::{Error, Key, Section, nearest},
};

/// Opens a sink as its section of the file says.
pub type Open = Box<dyn Fn(Client) -> BoxFuture<'static, Result<Arc<dyn Sink>, Failure>> + Send + Sync>;

/// A kind of sink: its name in files, its keys, and how they are read.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// As it is written under `to`.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// What its section may have.
    pub keys: &'static [Key],
    /// Reads a section, opens nothing.
    pub read: fn(&Section<'_>) -> Result<Open, Error>,
}

/// Sinks that are known by name and are not built yet.
const UNBUILT: &[&str] = &["http", "parquet", "postgres"];

/// The sinks a flow file may name.
#[derive(Debug)]
pub struct Registry(BTreeMap<&'static str, Kind>);

impl Registry {
    /// Has the sink `kafka`, and no other.
    pub fn new() -> Self {
        Self(BTreeMap::new()).with(kafka::KIND)
    }

    /// Has one more kind.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> Self {
        self.0.insert(kind.name, kind);
        self
    }

    /// All kinds by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.0.values()
    }

    /// The kind of a name, or a hint what may be meant.
    pub(crate) fn find(&self, name: &str) -> Result<&Kind, String> {
        if UNBUILT.contains(&name) {
            return Err(format!("`{name}` is not built yet"));
        }
        self.0.get(name).ok_or_else(|| nearest(name, self.0.keys().copied()))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
