//! The life of one connection: what a stranger may say, agreeing on versions, and telling which answer belongs to which request.
//!
//! Bytes and sockets are not here; a connection's owner moves those.

mod admission;
pub mod greeting;
mod handshake;
mod pipeline;

pub use admission::{NotAdmitted, STRANGER_BYTES_MAX, Standing, admit};
pub use handshake::{Handshake, HandshakeError, NoCommonVersion, Versions};
pub use pipeline::{Cut, Fate, Pipeline, Sent, Unexpected};
