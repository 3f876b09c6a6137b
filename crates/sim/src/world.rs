//! A broker that can be killed, lose its power and come back, and clients that reach it over the network.

use std::{sync::Arc, time::Duration};

use vltava_broker::{Broker, disk::Memory};
use vltava_client::{Client, Result};
use vltava_core::{Clock, Rng};

use crate::{clock::VirtualClock, network::Network};

/// How long a sync takes at least.
const SYNC: Duration = Duration::from_millis(1);

/// The topic of every workload.
pub const TOPIC: &str = "orders";

/// The node that there is, and the name it is reached by.
const NODE: i32 = 1;
const NODE_NAME: &str = "node-1";

/// Everything there is on one seed.
pub struct World {
    /// The seed it is played from.
    pub seed: u64,
    /// All chance of the world itself.
    pub rng: Rng,
    /// The network between clients and broker.
    pub network: Network,
    clock: VirtualClock,
    disk: Memory,
    broker: Option<Broker>,
}

impl World {
    /// A world with a broker that has one topic. Call it on a paused runtime.
    pub async fn new(seed: u64, partitions: i32) -> Self {
        let mut rng = Rng::new(seed);
        let clock = VirtualClock::new();
        let disk = Memory::unreliable().with_latency(Arc::new(clock.clone()), SYNC);
        let network = Network::new(Rng::new(rng.bits()));
        let mut world = Self { seed, rng, network, clock, disk, broker: None };
        world.start(partitions).await;
        world
    }

    /// The clock that moments are told by.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    /// A client like one in a process of its own.
    pub async fn client(&mut self, name: &str) -> Result<Client> {
        let builder = Client::builder().brokers(format!("{NODE_NAME}:9092")).seed(self.rng.bits());
        builder.clock(Arc::new(self.clock.elsewhere())).dial(self.network.dial(name)).connect().await
    }

    /// The broker loses its power, stays away for a while, and recovers from what its disk kept.
    pub async fn lose_power(&mut self, away: Duration) {
        self.network.detach(NODE);
        self.disk = self.disk.after_power_loss(&mut self.rng);
        self.broker = None;
        tokio::time::sleep(away).await;
        self.start(0).await;
    }

    /// The broker's process is killed, and started again on a disk that has all that was written.
    pub async fn kill(&mut self, away: Duration) {
        self.network.detach(NODE);
        self.broker = None;
        tokio::time::sleep(away).await;
        self.start(0).await;
    }

    /// The broker is stopped cleanly and started again.
    pub async fn restart(&mut self, away: Duration) {
        if let Some(broker) = self.broker.take() {
            broker.shutdown().await.expect("nothing keeps it from stopping");
        }
        self.network.detach(NODE);
        tokio::time::sleep(away).await;
        self.start(0).await;
    }

    async fn start(&mut self, partitions: i32) {
        let mut builder = Broker::in_memory()
            .disk(Arc::new(self.disk.clone()))
            .advertise(format!("{NODE_NAME}:9092"))
            .clock(Arc::new(self.clock.clone()))
            .seed(self.rng.bits());
        if partitions > 0 {
            builder = builder.topic(TOPIC, partitions);
        }
        let broker = builder.start().await.unwrap_or_else(|error| {
            panic!("seed {}: the broker does not start: {error:?}", self.seed);
        });
        self.network.attach(NODE, NODE_NAME, broker.connector());
        self.broker = Some(broker);
    }
}
