//! A durable single-node Kafka-compatible broker, in process or as a server.
