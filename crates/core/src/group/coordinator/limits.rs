//! How far groups may go, and how long their members may be silent.

use std::time::Duration;

/// How far groups may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long the first rebalance of an empty group waits for more members. None by default: the broker is
    /// mostly started for one process, which every wait would hold up, and one that comes late costs one rebalance.
    pub initial_rebalance_delay: Duration,
    /// The shortest session a member may ask for. Kafka's default.
    pub session_timeout_min: Duration,
    /// The longest session a member may ask for. Kafka's default.
    pub session_timeout_max: Duration,
    /// How often members of KIP-848 are told to be heard of. Kafka's default.
    pub next_heartbeat_interval: Duration,
    /// How long members of KIP-848 may be silent. Kafka's default.
    pub next_session_timeout: Duration,
    /// Members of one group, those included that have only asked for an id.
    pub members_max: usize,
    /// Groups, those included that have lost their members.
    pub groups_max: usize,
    /// Bytes that all members together may leave here: names, subscriptions, assignments.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            initial_rebalance_delay: Duration::ZERO,
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(30 * 60),
            next_heartbeat_interval: Duration::from_secs(5),
            next_session_timeout: Duration::from_secs(45),
            members_max: 10_000,
            groups_max: 100_000,
            bytes_max: 256 << 20,
        }
    }
}
