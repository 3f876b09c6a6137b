//! Flows from a YAML file: every key has a type, a default and a doc line; what is wrong is shown where it stands.
//!
//! This reads and checks, it does not run: [`pipeline`](crate::pipeline) turns a [`FlowSpec`] into a flow.

mod error;
mod file;
mod flow;
mod kafka;
mod log;
mod section;
#[cfg(test)]
mod tests;
mod tree;
mod units;
mod variables;

pub use error::{Error, Span};
pub use file::File;
pub use flow::{Branch, FlowSpec};
pub use kafka::Kafka;
pub use log::{Level, Log};
pub(crate) use section::nearest;
pub use section::{Field, Key, Section};

/// The tables of every section but the sinks', for manuals and completion: a section's name, its keys.
pub fn tables() -> [(&'static str, &'static [Key]); 6] {
    [
        ("", file::KEYS),
        ("kafka", kafka::KEYS),
        ("log", log::KEYS),
        ("flows.NAME", flow::KEYS),
        ("flows.NAME.prefetch", flow::PREFETCH_KEYS),
        ("flows.NAME.commit", flow::COMMIT_KEYS),
    ]
}
