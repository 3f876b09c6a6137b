//! Connections: how one is opened, what goes over it and how much of it is held, and which are kept.
//!
//! A link is one task that owns one socket, both ways. Which broker to ask, and whether to ask again, is decided
//! above.

mod address;
mod answer;
mod dial;
mod frames;
mod greet;
mod link;
mod memory;
mod pool;

pub use address::Address;
pub(crate) use answer::Answer;
pub use dial::{BoxFuture, Dial, Stream, Tcp, Unresolved};
pub(crate) use link::Link;
pub(crate) use memory::{Memory, Usage};
pub(crate) use pool::Pool;
