//! What a producer may use, and what it promises.

use std::time::Duration;

use super::sequence::IN_FLIGHT_MAX;

/// What a producer may use, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long a batch waits for further records. Zero: as long as its partition has no free slot.
    pub linger: Duration,
    /// A batch takes further records until it has so many bytes, before they are packed.
    pub batch_bytes: usize,
    /// A record with more bytes is refused.
    pub record_bytes_max: usize,
    /// Batches that are not done hold so many bytes at most, before they are packed.
    pub memory_bytes: usize,
    /// From its first record on, a batch has so long to be written before it is given up.
    pub delivery_timeout: Duration,
    /// Whether batches are numbered, so that each is written once and in order.
    pub idempotent: bool,
    /// So many batches of a partition may be unanswered: no more than [`IN_FLIGHT_MAX`] if they are numbered.
    pub in_flight_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            batch_bytes: 64 << 10,
            // What a broker takes, unless told otherwise, is 12 bytes more than a mebibyte.
            record_bytes_max: 1 << 20,
            memory_bytes: 32 << 20,
            delivery_timeout: Duration::from_secs(120),
            idempotent: true,
            in_flight_max: IN_FLIGHT_MAX,
        }
    }
}
