//! How records are gathered and sent.

use std::time::Duration;

use vltava_core::produce::{IN_FLIGHT_MAX, Partitioner};
use vltava_wire::Codec;

/// Who has to have a record before it counts as delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: it is delivered once it is written to the socket. It is lost if the broker does not take it, of which
    /// nobody hears; its offset is not known.
    None,
    /// The leader. What it has is lost with it if no other has it yet.
    Leader,
    /// Every replica in sync.
    #[default]
    All,
}

/// How records are gathered and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// How long a batch waits for more records. Zero sends as soon as its partition has a slot free, so that
    /// batches grow only as fast as the broker answers.
    pub linger: Duration,
    /// A batch takes further records until it has this much, before it is compressed.
    pub batch_bytes: usize,
    /// A larger record is refused. Brokers have a limit of their own, for what is left after compression.
    pub record_bytes_max: usize,
    /// A request carries no more than this, save that one batch is always let through.
    pub request_bytes_max: usize,
    /// Who has to have a record before it counts as delivered.
    pub acks: Acks,
    /// Each record is written once, and those of a partition in their order. Without this, a batch that is sent
    /// again may be written twice, and behind later ones if more than one is in flight.
    pub idempotent: bool,
    /// So many batches of a partition may be unanswered. A broker keeps the order of five.
    pub in_flight_max: usize,
    /// Where records go that name no partition.
    pub partitioner: Partitioner,
    /// How batches are compressed, and how hard that tries: `Compression::Lz4.into()`, or
    /// `Compression::Zstd.at_level(7)?`.
    pub compression: Codec,
    /// From `send` until a record is delivered or has failed.
    pub delivery_timeout: Duration,
    /// All records that are not yet delivered take no more than this; `send` waits for room.
    pub memory_bytes: usize,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            batch_bytes: 256 << 10,
            record_bytes_max: 1 << 20,
            request_bytes_max: 16 << 20,
            acks: Acks::All,
            idempotent: true,
            in_flight_max: IN_FLIGHT_MAX,
            partitioner: Partitioner::default(),
            compression: Codec::default(),
            delivery_timeout: Duration::from_secs(120),
            memory_bytes: 64 << 20,
        }
    }
}
