//! How records are gathered and sent.

use std::time::Duration;

use vltava_wire::Compression;

/// How records are gathered and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// How long a batch waits for more records. Zero sends as soon as there is a slot in flight, so that batches
    /// grow only as fast as the broker answers.
    pub linger: Duration,
    /// A batch is closed before its records take more than this, uncompressed.
    pub batch_bytes_max: usize,
    /// A request carries no more than this.
    pub request_bytes_max: usize,
    /// How batches are compressed.
    pub compression: Compression,
    /// Who must have a record before it counts as delivered.
    pub acks: Acks,
    /// From `send` until a record is delivered or has failed.
    pub delivery_timeout: Duration,
    /// All records that are not yet delivered take no more than this; `send` waits for room.
    pub memory_bytes_max: usize,
}

/// Who must have a record before it counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Every replica in sync. The broker then also drops what it is sent twice.
    All,
    /// The leader alone: what it has not passed on is lost with it.
    Leader,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            batch_bytes_max: 1_000_000,
            request_bytes_max: 16 << 20,
            compression: Compression::None,
            acks: Acks::All,
            delivery_timeout: Duration::from_secs(120),
            memory_bytes_max: 64 << 20,
        }
    }
}
