//! How it is between a client and a node: what usually holds is quick and in order.

use std::time::Duration;

/// How it is between a client and a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// What is sent takes up to so long, each piece its own time, and none overtakes another.
    pub delay_most: Duration,
    /// How it is to open a connection.
    pub dialing: Dialing,
    /// How fast bytes arrive.
    pub pace: Pace,
    /// Whether anything arrives. What does not is kept until it can.
    pub passes: bool,
}

/// How it is to open a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialing {
    /// It takes so long.
    Takes(Duration),
    /// Nobody listens there.
    Refused,
    /// Nobody answers, until something changes.
    Silent,
}

/// How fast bytes arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many at once.
    pub bytes: usize,
    /// So long after those before them.
    pub every: Duration,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            delay_most: Duration::from_millis(10),
            dialing: Dialing::Takes(Duration::from_millis(1)),
            pace: Pace { bytes: usize::MAX, every: Duration::ZERO },
            passes: true,
        }
    }
}
