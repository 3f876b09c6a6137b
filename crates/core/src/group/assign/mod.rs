//! How the leader of a group shares partitions out among its members.

mod range;

pub use range::{Subscriber, range};
