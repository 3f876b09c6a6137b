//! Our bytes are those of an independent codec, crate `kafka-protocol`, which is generated from Kafka's definitions.
//!
//! It knows Kafka 4.1: what 4.3 added is judged by Kafka's own classes, in the tests `kafka`.

mod messages;
mod records;
