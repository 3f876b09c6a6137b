//! The life of one connection: agreeing on versions, and telling which answer belongs to which request.
//!
//! Bytes and sockets are not here; a connection's owner moves those.

pub mod greeting;
mod handshake;
mod pipeline;

pub use handshake::{Handshake, HandshakeError, NoCommonVersion, Versions};
pub use pipeline::{Cut, Fate, Pipeline, Sent, Unexpected};
