//! A Kafka client: producer, consumer and admin over sockets.
//!
//! [`Client::connect`] is the door. Everything runs on the caller's tokio runtime; time, chance and the network come
//! in by `Clock`, a seed and [`Dial`], so that the same code runs on a paused clock over pipes.
//!
//! ```no_run
//! use vltava_client::{Client, Offset, ProducerRecord, Result, TopicPartition};
//!
//! async fn there_and_back() -> Result<()> {
//!     let client = Client::connect("localhost:9092").await?;
//!     let order = ProducerRecord::to("orders").key("order-123").value("three apples");
//!     let stored = client.producer().send(order).await?.await?;
//!     println!("{stored}");
//!     let orders = TopicPartition::new("orders", stored.partition);
//!     let mut consumer = client.consumer().assign([(orders, Offset::Earliest)]).await?;
//!     while let Some(batch) = consumer.next().await? {
//!         for record in &batch {
//!             println!("{}: {:?}", record.offset(), record.value());
//!         }
//!     }
//!     Ok(())
//! }
//! ```

mod admin;
mod alarm;
mod client;
mod clock;
mod cluster;
pub mod config;
mod consumer;
mod context;
mod decompressors;
mod entropy;
mod error;
mod metrics;
mod net;
mod news;
mod partition;
mod producer;
mod task;
#[cfg(test)]
mod tests;

pub use admin::{
    Admin, CommittedOffset, ConfigChange, GroupDescription, GroupFilter, GroupListing, GroupMember,
    GroupState, GroupType, NewTopic, PartitionDescription, TopicConfig, TopicDescription,
};
pub use client::{Client, ClientBuilder};
pub use clock::SystemClock;
pub use config::{Acks, GroupProtocol, Isolation, StartOffset};
pub use consumer::{
    Assigned, AssignedConsumer, AssignmentId, BatchRecords, Commit, Committer, Consumer, ConsumerBuilder,
    ConsumerRecord, Event, Events, Jump, JumpCause, Notice, Notices, Offset, OffsetAndTimestamp,
    PartitionStream, RecordBatch, RecordStream, Revocation, Revoked, Stall, Watermarks, Within,
};
pub use error::{Error, ErrorKind, Phase, Result};
pub use metrics::Metrics;
pub use net::{Address, BoxFuture, Dial, Stream, Tcp, Unresolved};
pub use partition::{PartitionClient, ReadBatch};
pub use producer::{
    Deliveries, Delivery, DeliveryEvent, DeliveryEvents, IntoBytes, Producer, ProducerBuilder,
    ProducerRecord, RecordMetadata, Unsent,
};
pub use vltava_core::{
    Clock, Moment, Timestamp, TopicPartition,
    cluster::NodeId,
    group::assign,
    group::lag,
    produce::{Partitioner, Partitions, UnknownPartitioner},
};
pub use vltava_wire::{
    BadCodec, BadLevel, Codec, Compression, ErrorCode, UnknownCompression, Uuid,
    record::{Record, RecordRef},
};
