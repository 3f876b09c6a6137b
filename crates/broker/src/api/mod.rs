//! One file per API: which versions, what it does, how that differs from Kafka.

pub(crate) mod api_versions;
