//! A Kafka client: producer, consumer and admin over sockets.
