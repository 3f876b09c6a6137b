//! Where a flow may end besides Kafka: one file and one feature each.

#[cfg(feature = "file")]
pub mod file;
#[cfg(any(feature = "file", feature = "stdout"))]
mod json_line;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "stdout")]
pub mod stdout;

#[cfg(test)]
mod samples;

use vltava_flow::Registry;

/// A registry of every sink this was built with, and `kafka`.
pub fn registry() -> Registry {
    let registry = Registry::new();
    #[cfg(feature = "file")]
    let registry = registry.with(file::KIND);
    #[cfg(feature = "redis")]
    let registry = registry.with(redis::KIND);
    #[cfg(feature = "stdout")]
    let registry = registry.with(stdout::KIND);
    registry
}
