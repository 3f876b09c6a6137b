//! Producing: records are encoded where they are sent, gathered into batches, and written exactly once.

mod record;

pub use record::{IntoBytes, ProducerRecord, RecordMetadata};
