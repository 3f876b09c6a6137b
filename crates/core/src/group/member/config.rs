//! What a member is told of its group before it joins.

use std::{collections::BTreeSet, time::Duration};

use crate::Backoff;

/// What a member is to its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The group.
    pub group_id: String,
    /// What to read. Topics that are not there yet are joined when they are.
    pub topics: BTreeSet<String>,
    /// Unheard of for so long, the coordinator gives the member's partitions to others.
    pub session_timeout: Duration,
    /// How long a rebalance waits for members to give back what they had.
    pub rebalance_timeout: Duration,
    /// The time between two signs of life.
    pub heartbeat_interval: Duration,
    /// How long any call but a join may take.
    pub request_timeout: Duration,
    /// The pause after a failure.
    pub backoff: Backoff,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            topics: BTreeSet::new(),
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            request_timeout: Duration::from_secs(30),
            backoff: Backoff::default(),
        }
    }
}
