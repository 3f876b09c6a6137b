//! Where a flow may end besides Kafka: one file each.
