//! Writing records so that each lands once and in order, whatever the network does.
//!
//! The broker remembers the latest of each producer ([`Windows`]) and so tells a second copy from a new batch.

mod partitioner;
mod stamp;
mod verdict;
mod window;

pub use partitioner::{Sticky, keyed, murmur2};
pub use stamp::{Identity, Number, Numbered, Unsound};
pub use verdict::{Answer, Verdict};
pub use window::{Check, Remembered, Window, Windows};
