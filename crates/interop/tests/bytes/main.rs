//! Our bytes are those of two independent codecs, both generated from Kafka's own definitions: crate `kacrab-protocol`,
//! which knows all of Kafka 4.3, and crate `kafka-protocol`, which knows 4.1.
//!
//! Kafka's own classes judge the same messages in the tests `judge`.

mod headers;
mod messages;
mod oracles;
mod records;
