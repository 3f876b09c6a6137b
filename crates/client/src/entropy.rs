//! The operating system's chance: the only place of this crate that takes any. All else draws from the `Rng` that
//! is seeded here, or by whoever builds the client.

use std::hash::{BuildHasher, RandomState};

/// A seed that differs from process to process and from call to call.
pub(crate) fn seed() -> u64 {
    RandomState::new().hash_one("vltava")
}
