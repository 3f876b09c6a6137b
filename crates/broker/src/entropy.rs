//! The operating system's chance: the only place of this crate that takes any. All else draws from the `Rng` that
//! is seeded here, or by whoever builds the broker.

use std::hash::{BuildHasher, RandomState};

/// A seed that differs from process to process: the hasher's keys do.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one("vltava")
}
