//! What can be set, by topic. Every default is right for production.

mod assignors;
mod connection;
mod consumer;
mod producer;
mod properties;

pub use assignors::Assignors;
pub use connection::Connection;
pub use consumer::{Consumer, GroupProtocol, Isolation, StartOffset};
pub use producer::{Acks, Producer};
