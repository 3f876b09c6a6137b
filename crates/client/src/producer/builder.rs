//! Setting up a producer.

use std::time::Duration;

use vltava_wire::Codec;

use super::Producer;
use crate::{
    Client, config,
    error::{Error, ErrorKind, Result},
};

/// Sets up a producer.
#[derive(Debug, Clone)]
#[must_use]
pub struct ProducerBuilder {
    client: Client,
    config: config::Producer,
}

impl Client {
    /// A producer as it is right for most: acknowledged by all replicas in sync, written once, in order.
    pub fn producer(&self) -> Producer {
        Producer::new(self.context.clone(), self.cluster.clone(), config::Producer::default())
    }
}

impl Producer {
    /// For a producer that is set up differently.
    pub fn builder(client: &Client) -> ProducerBuilder {
        ProducerBuilder { client: client.clone(), config: config::Producer::default() }
    }
}

impl ProducerBuilder {
    /// All settings at once.
    pub fn config(mut self, config: config::Producer) -> Self {
        self.config = config;
        self
    }

    /// How long a batch waits for more records.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.config.linger = linger;
        self
    }

    /// A batch takes further records until it has this much.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.config.batch_bytes = bytes;
        self
    }

    /// How batches are compressed: a `Compression` at Kafka's default level, or `Compression::Zstd.at_level(7)?`.
    pub fn compression(mut self, compression: impl Into<Codec>) -> Self {
        self.config.compression = compression.into();
        self
    }

    /// From `send` until a record is delivered or has failed.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.config.delivery_timeout = timeout;
        self
    }

    /// All records that are not yet delivered take no more than this.
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.config.memory_bytes = bytes;
        self
    }

    /// The producer. Needs a tokio runtime, on which it sends.
    pub fn build(self) -> Result<Producer> {
        let compression = self.config.compression.compression();
        if !compression.is_available() {
            let what = format!("this build cannot compress by {compression}");
            return Err(Error::new(ErrorKind::Config).what(what).fix("build with the feature of that name"));
        }
        Ok(Producer::new(self.client.context.clone(), self.client.cluster.clone(), self.config))
    }
}
