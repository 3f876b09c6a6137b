//! Apache Kafka 4.3 itself: our client talks to a cluster of three nodes, Kafka's own client to our broker.
//!
//! The tests fetch Kafka from Maven Central, once, and start it by `kafka/cluster`; see there for what it needs.

mod admin;
mod journey;
mod nearest;
mod stranger;
mod transactions;
mod unclean;
