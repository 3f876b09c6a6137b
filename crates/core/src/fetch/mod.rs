//! Reading the batches of partitions: where each stands, what to ask of which broker, and what an answer changes.
//!
//! Records are not read here: an answer's bytes are passed on as they came, once it is known where they end.

mod event;
mod positions;
mod reset;
mod session;
pub mod sessions;
mod verdict;

pub use event::{Config, Event, Fetched, Todo};
pub use positions::Positions;
pub use reset::{Cause, Edge, Reset, Start};
pub use session::{Session, Wanted};
pub use verdict::Verdict;
