//! The client against brokers that are played by a script.

mod astray;
mod moved;
pub(crate) mod peer;
