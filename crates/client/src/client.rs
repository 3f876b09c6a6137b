//! The door to a cluster, and how it is opened.

use std::sync::Arc;

use vltava_core::Clock;

use crate::{
    clock::SystemClock,
    cluster::Cluster,
    config,
    context::Context,
    entropy,
    error::{Error, ErrorKind, Result},
    metrics::Metrics,
    net::{Address, Dial, Tcp},
};

/// A connection to a cluster, from which producers, consumers and administration are had. Cheap to clone; all
/// clones share metadata and connections, which close with the last of what was made from them.
#[derive(Clone)]
pub struct Client {
    pub(crate) context: Arc<Context>,
    pub(crate) cluster: Cluster,
}

impl Client {
    /// Connects to the cluster that these brokers belong to: `a:9092,b:9092`.
    pub async fn connect(brokers: &str) -> Result<Client> {
        Self::builder().brokers(brokers).connect().await
    }

    /// For a client that is set up differently.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// What has been counted so far.
    pub fn metrics(&self) -> Metrics {
        self.context.counters.read(self.context.memory.usage())
    }

    /// A seed for whoever stands on this client: with the client's own seed, the same each time it is played.
    pub fn seed(&self) -> u64 {
        self.context.rng().bits()
    }

    /// The clock it was built with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.context.clock
    }

    /// What the cluster calls itself.
    pub fn cluster_id(&self) -> Option<String> {
        self.cluster.cluster_id()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "client {:?}", self.context.connection.client_id)
    }
}

/// Sets up a client.
#[derive(Default)]
#[must_use]
pub struct ClientBuilder {
    brokers: String,
    connection: config::Connection,
    clock: Option<Arc<dyn Clock>>,
    dial: Option<Arc<dyn Dial>>,
    seed: Option<u64>,
}

impl ClientBuilder {
    /// Brokers to ask for the others: `a:9092,b:9092`. One that answers is enough.
    pub fn brokers(mut self, brokers: impl Into<String>) -> Self {
        self.brokers = brokers.into();
        self
    }

    /// What the client calls itself.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.connection.client_id = client_id.into();
        self
    }

    /// How brokers are reached.
    pub fn connection(mut self, connection: config::Connection) -> Self {
        self.connection = connection;
        self
    }

    /// Another clock than the real one.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Another way to brokers than plain TCP.
    pub fn dial(mut self, dial: Arc<dyn Dial>) -> Self {
        self.dial = Some(dial);
        self
    }

    /// Where its chance comes from; without it, from the operating system.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Connects, and finds out who belongs to the cluster. Needs a tokio runtime, on which the client's tasks run.
    pub async fn connect(self) -> Result<Client> {
        let bootstrap = Address::list(&self.brokers)?;
        if bootstrap.is_empty() {
            return Err(Error::new(ErrorKind::Config)
                .what("no brokers were given")
                .fix("name at least one broker as host:port"));
        }
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let dial = self.dial.unwrap_or_else(|| Arc::new(Tcp));
        let seed = self.seed.unwrap_or_else(entropy::seed);
        let context = Context::new(clock, dial, self.connection, seed);
        let cluster = Cluster::connect(context.clone(), bootstrap).await?;
        Ok(Client { context, cluster })
    }
}
