//! What can be set, by topic. Every default is right for production.

mod connection;
mod consumer;
mod producer;

pub use connection::Connection;
pub use consumer::{Consumer, GroupProtocol, Isolation, StartOffset};
pub use producer::{Acks, Producer};
