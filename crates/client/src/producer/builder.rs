//! Setting up a producer.

use std::{sync::Arc, time::Duration};

use vltava_core::produce::{IN_FLIGHT_MAX, Partitioner, Partitions};
use vltava_wire::Codec;

use super::{Producer, ProducerRecord, open::OwnPartitioner};
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
    own: Option<OwnPartitioner>,
}

impl Client {
    /// A producer as it is right for most: acknowledged by all replicas in sync, written once, in order.
    pub fn producer(&self) -> Producer {
        Producer::new(self.context.clone(), self.cluster.clone(), config::Producer::default(), None)
    }
}

impl Producer {
    /// For a producer that is set up differently.
    pub fn builder(client: &Client) -> ProducerBuilder {
        ProducerBuilder { client: client.clone(), config: config::Producer::default(), own: None }
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

    /// Who has to have a record before it counts as delivered. Anything but all replicas in sync needs
    /// `idempotent(false)`, too.
    pub fn acks(mut self, acks: config::Acks) -> Self {
        self.config.acks = acks;
        self
    }

    /// Whether each record is written once and in order, whatever the network does. It is unless this says otherwise.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.config.idempotent = idempotent;
        self
    }

    /// How many batches of a partition may be unanswered: one to five, or more without idempotence.
    pub fn in_flight_max(mut self, batches: usize) -> Self {
        self.config.in_flight_max = batches;
        self
    }

    /// Where records go that name no partition: by the hash of a key as other clients have it, or spread out.
    pub fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.config.partitioner = partitioner;
        self
    }

    /// The same, by a function of one's own. It is called for each record while others wait, so it has to be quick,
    /// and it must not use the producer. A record fails whose partition is not there.
    pub fn partition_by(
        mut self,
        choose: impl Fn(&ProducerRecord, Partitions<'_>) -> i32 + Send + Sync + 'static,
    ) -> Self {
        self.own = Some(OwnPartitioner(Arc::new(choose)));
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
        check(&self.config)?;
        let compression = self.config.compression.compression();
        if !compression.is_available() {
            let what = format!("this build cannot compress by {compression}");
            return Err(Error::new(ErrorKind::Config).what(what).fix("build with the feature of that name"));
        }
        Ok(Producer::new(self.client.context.clone(), self.client.cluster.clone(), self.config, self.own))
    }
}

/// What contradicts itself is no configuration.
fn check(config: &config::Producer) -> Result<()> {
    let config::Producer { acks, idempotent, in_flight_max, .. } = *config;
    let wrong = |what: String, fix: &str| Err(Error::new(ErrorKind::Config).what(what).fix(fix));
    if idempotent && acks != config::Acks::All {
        let what = format!(
            "acks {acks:?} and idempotence: a record is known to be written once only if all replicas have it"
        );
        return wrong(what, "choose acks All, or idempotent(false)");
    }
    if in_flight_max == 0 || (idempotent && in_flight_max > IN_FLIGHT_MAX) {
        let what = format!(
            "in_flight_max is {in_flight_max}, and an idempotent producer may have 1 to {IN_FLIGHT_MAX}"
        );
        return wrong(what, "choose another in_flight_max, or idempotent(false)");
    }
    Ok(())
}
