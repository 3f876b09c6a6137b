//! The client against brokers that are played by a script.

mod astray;
mod moved;
mod network;
mod parted;
pub(crate) mod peer;
mod producing;
mod rows;
