//! A Kafka streaming toolkit: client, consumer runtime and embedded broker.
