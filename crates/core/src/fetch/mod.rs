//! Reading the batches of partitions: where each stands, what to ask of which broker, and what an answer changes.
//!
//! Records are not read here: an answer's bytes are passed on as they came, once it is known where they end.

mod answers;
mod epochs;
mod event;
mod position;
mod positions;
mod reset;
mod session;
pub mod sessions;
#[cfg(test)]
mod tests;
mod verdict;
mod visible;

pub use answers::Hints;
pub use event::{Config, Ends, Event, Failure, Fetched, Isolation, Stall, Todo, in_version};
pub use positions::Positions;
pub use reset::{Cause, Place, Point, Reset, Start};
pub use session::{Session, Wanted};
pub use verdict::Verdict;
pub use visible::Visible;
