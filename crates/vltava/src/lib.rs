//! A Kafka streaming toolkit: a lean client, a consumer runtime that keeps the order you chose with many workers, and
//! a durable single-node broker, in one process if you like.

mod error;
#[cfg(feature = "broker")]
mod in_process;

#[cfg(feature = "broker")]
pub use vltava_broker as broker;
pub use vltava_client as client;

pub use vltava_client::{
    Client, Compression, Offset, ProducerRecord, RecordBatch, RecordMetadata, StartOffset, Timestamp,
    TopicPartition,
};

#[cfg(feature = "broker")]
pub use vltava_broker::Broker;

pub use error::{Error, Result};
#[cfg(feature = "broker")]
pub use in_process::InProcess;
