//! What positions are told, and what they say: settings in, questions and events out.

use std::time::Duration;

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{FetchRequest, ListOffsetsRequest},
};

use super::reset::{Cause, Edge, Reset};
use crate::cluster::TopicPartition;

/// What to ask for, and what to do when an offset is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How long a broker may hold a fetch while there is less than `bytes_min`.
    pub wait_max: Duration,
    /// How much a broker waits for.
    pub bytes_min: i32,
    /// How much an answer has at most, save that one batch always comes.
    pub bytes_max: i32,
    /// How much an answer has at most of each partition, and so how much waits for its reader.
    pub partition_bytes_max: i32,
    /// What to do when an offset is not there.
    pub reset: Reset,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_millis(500),
            bytes_min: 1,
            bytes_max: 50 << 20,
            partition_bytes_max: 1 << 20,
            reset: Reset::To(Edge::Latest),
        }
    }
}

/// What to ask of a broker.
#[derive(Debug)]
pub enum Todo {
    /// Records; the answer is for [`super::Positions::on_fetched`].
    Fetch {
        /// The question.
        request: FetchRequest,
        /// The version to ask it in at most, since not every topic has an id.
        version_max: i16,
    },
    /// The ends of logs; the answer is for [`super::Positions::on_offsets`].
    Lookup(ListOffsetsRequest),
}

/// What the owner has to know.
#[derive(Debug)]
pub enum Event {
    /// Batches have come.
    Fetched(Fetched),
    /// A position moved other than by reading on.
    Jumped {
        /// Whose.
        partition: TopicPartition,
        /// Where it stood, if it stood anywhere.
        from: Option<i64>,
        /// Where it stands.
        to: i64,
        /// Why.
        cause: Cause,
    },
    /// Reading has stopped, until the partition is assigned again or set to another offset.
    Failed {
        /// Where.
        partition: TopicPartition,
        /// What should have been read next.
        offset: Option<i64>,
        /// Why.
        error: ErrorCode,
    },
}

/// Batches of one partition, for its reader.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where they are from.
    pub partition: TopicPartition,
    /// Whole batches, and perhaps a part of another at the end. Not checked yet.
    pub records: Bytes,
    /// The first offset of interest: earlier records of the first batch were not asked for.
    pub from: i64,
    /// The offset behind the last whole batch, where the next fetch goes on.
    pub next: i64,
    /// The offset behind the last record that may be read.
    pub high_watermark: i64,
}

impl Event {
    /// Whose event it is.
    pub fn partition(&self) -> &TopicPartition {
        match self {
            Self::Fetched(it) => &it.partition,
            Self::Jumped { partition, .. } | Self::Failed { partition, .. } => partition,
        }
    }
}
