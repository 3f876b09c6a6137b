//! Handing records to workers: which may run now, and what may be committed.
//!
//! A consumer's records go in partition by partition and come out as work, side by side as far as the chosen
//! [`Order`] allows. Nothing in here runs a handler, fetches or commits; there is no other end to talk to.

mod lanes;
mod schedule;
mod tracker;

#[cfg(test)]
mod conversation;

pub use lanes::{Keyed, Order};
pub use schedule::{Limits, Place, Schedule, Ticket, Work};
pub use tracker::Tracker;
