//! Strangers: librdkafka, kcat and a real Apache Kafka beside our own ends.

mod cluster;

pub use cluster::{Cluster, stranger};
