//! Consumer groups: who may read which partition, and how far the group has come.
//!
//! Both ends of the conversation live here. What the members hand to their workers, and when they fetch, does not.

pub mod assign;
pub mod classic;
pub mod coordinator;
pub mod lag;
mod liveness;
pub mod member;
mod next;
mod offsets;
mod pattern;

pub use liveness::{Liveness, Unfinished, Verdict};
pub use offsets::{Committed, Offsets};
pub use pattern::{BadPattern, Pattern};
