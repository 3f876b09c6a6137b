//! The life of one connection: what a stranger may say, agreeing on versions, telling which answer belongs to which
//! request, and when the other end is to be left alone.
//!
//! Bytes and sockets are not here; a connection's owner moves those.

mod admission;
pub mod greeting;
mod handshake;
mod pace;
mod pipeline;

pub use admission::{NotAdmitted, STRANGER_BYTES_MAX, Standing, admit};
pub use handshake::{Handshake, HandshakeError, NoCommonVersion, Versions};
pub use pace::{Pace, rest};
pub use pipeline::{Cut, Fate, Pipeline, Sent, Unexpected};
