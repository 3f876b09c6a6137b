//! Strangers: librdkafka, kcat and a real Apache Kafka beside our own ends.

mod cluster;
mod ends;

pub use cluster::{Cluster, Node, stranger, write_transactions};
pub use ends::{Ends, drain, ends, note_log, partitions};
