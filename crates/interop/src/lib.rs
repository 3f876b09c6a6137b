//! Strangers: librdkafka, kcat and a real Apache Kafka beside our own ends.
