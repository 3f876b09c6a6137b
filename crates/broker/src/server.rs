//! The broker as its user holds it: starts, listens, hands out connections, stops.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{io::DuplexStream, net::TcpListener, sync::watch, task::JoinHandle};
use tracing::{debug, error, info};
use vltava_core::{Rng, cluster::NodeId};
use vltava_wire::ErrorCode;

use crate::{
    Builder, Connector, Error, ErrorKind, NodeHandle, Result,
    call::Advertised,
    disk::{DiskFaults, Faulty},
    doors::Doors,
    faults::Faults,
    listen::{listen, parse_address, port_after},
    log::{Keeper, Log},
    memory::{Memory, RequestMemory},
    moves::unknown_node,
    node::{NewTopic, Node, Settings},
    nodes::{NODES_MAX, Nodes},
};

/// A running broker. It stops when it is dropped, as if its process had been killed, and its folder is free a moment
/// later, when its tasks have noticed. [`Broker::shutdown`] stops it cleanly, which makes the next start quick, and
/// the folder is free when it returns.
pub struct Broker {
    pub(crate) node: Arc<Node>,
    pub(crate) doors: Arc<Doors>,
    /// Says stop, and knows when the last task that serves no connection has: each holds a receiver.
    stop: watch::Sender<bool>,
    cluster_id: String,
    keeper: JoinHandle<()>,
}

impl Broker {
    /// A broker that keeps everything in memory and forgets it when it stops.
    pub fn in_memory() -> Builder {
        Builder::new(None)
    }

    /// A broker that keeps everything in a folder, which is made if it is missing. One process at a time may have
    /// it.
    pub fn open(folder: impl Into<PathBuf>) -> Builder {
        Builder::new(Some(folder.into()))
    }

    /// Where it listens, with the ports that were free, in order of node. Empty for a broker that is reached in process
    /// only.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.addresses()
    }

    /// What to give a client as its bootstrap servers: the advertised addresses, or else all that are listened on.
    pub fn bootstrap(&self) -> String {
        self.doors.bootstrap()
    }

    /// Opens a connection in process to the first node that runs, served like one over TCP. Call it on a tokio runtime.
    pub fn connect(&self) -> DuplexStream {
        self.connector().connect().expect("a broker that was not stopped takes connections")
    }

    /// What opens such connections after the broker was moved or stopped.
    pub fn connector(&self) -> Connector {
        Connector::new(None, &self.node, &self.doors)
    }

    /// Its nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeHandle<'_>> {
        let nodes = self.node.nodes();
        nodes.all().collect::<Vec<_>>().into_iter().map(|it| NodeHandle::new(self, it))
    }

    /// The node with this id.
    pub fn node(&self, id: i32) -> Result<NodeHandle<'_>> {
        let id = NodeId(id);
        if self.node.nodes().has(id) { Ok(NodeHandle::new(self, id)) } else { Err(unknown_node(id)) }
    }

    /// Has another node lead a partition: its leader epoch rises by one, and the old leader refuses who still asks it.
    /// When this returns, that outlives the process. Nothing happens if the node leads already.
    pub async fn move_leader(&self, topic: &str, partition: i32, to: i32) -> Result<()> {
        self.node.move_leader(topic, partition, NodeId(to)).await
    }

    /// The cluster id, as Metadata tells it.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// How much memory the requests of all connections take.
    pub fn request_memory(&self) -> RequestMemory {
        self.node.memory.usage()
    }

    /// What is to go wrong, for tests.
    pub fn faults(&self) -> Faults {
        self.node.faults.clone()
    }

    /// Stops cleanly: takes no more requests, closes every connection, writes a checkpoint.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop.send_replace(true);
        self.doors.close_all().await;
        self.stop.closed().await;
        let stopped = self.node.log.stop().await;
        // It has nothing left to do; once it is gone, another broker may have the folder.
        if let Err(error) = (&mut self.keeper).await {
            debug!(%error, "the log's task did not end by itself");
        }
        stopped
    }

    /// Creates the topics that were said and are missing.
    async fn create_topics(&self, topics: &[(String, i32)]) -> Result<()> {
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        for (name, partitions) in topics {
            let (partitions, leaders, configs) = (*partitions, Vec::new(), BTreeMap::new());
            let new = NewTopic { name, partitions, leaders, configs };
            match self.node.create_topic(new) {
                Ok((_, position)) => self.node.log.settled(position).await?,
                Err(refused) if refused.code == ErrorCode::TopicAlreadyExists => (),
                Err(refused) => return Err(wrong(refused.message)),
            }
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.doors.cut();
        self.stop.send_replace(true);
        self.keeper.abort();
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

pub(crate) async fn start(builder: Builder) -> Result<Broker> {
    let advertise = checked_addresses(&builder)?;
    let options = builder.log.clone();
    options.check()?;
    builder.groups.check()?;
    let clock = builder.resolved_clock();
    let seed = builder.resolved_seed();
    let mut rng = Rng::new(seed);
    // Faults have chance of their own: with and without them a seed is the same cluster.
    let disk_faults = DiskFaults::new(clock.clone());
    let disk = Arc::new(Faulty::new(builder.resolved_disk()?, disk_faults.clone()));
    let faults = Faults::new(Rng::new(!seed), disk_faults, builder.nodes);
    let (log, keeper) = Log::open(disk, clock.clone(), Rng::new(rng.bits()), options).await?;
    let memory = Memory::new(builder.request_memory);
    let nodes = Nodes::new(builder.nodes);
    let settings = Settings { auto_create_topics: builder.auto_create_topics, groups: builder.groups };
    let node = Arc::new(Node::new(clock, log, rng, memory, faults, nodes.clone(), settings));
    let mut listeners = Vec::new();
    for further in 0..builder.nodes {
        listeners.push(listen_all(&builder.listen, further as u16).await?);
    }
    let address = |it: &TcpListener| it.local_addr().ok();
    let addresses = listeners.iter().map(|it| it.iter().filter_map(address).collect()).collect();
    let doors = Arc::new(Doors::new(addresses, advertise));
    let stop = watch::Sender::new(false);
    let keeper = tokio::spawn(keep(keeper));
    let cluster_id = node.log.cluster_id().to_string();
    let broker = Broker { node, doors, stop, cluster_id, keeper };
    broker.node.lead_orphans().await?;
    broker.create_topics(&builder.topics).await?;
    tokio::spawn(broker.node.coordinator.clone().run(broker.stop.subscribe()));
    for (node, listeners) in nodes.all().zip(listeners) {
        broker.doors.open(node, listeners, &broker.node);
    }
    let (cluster_id, addresses) = (&broker.cluster_id, broker.addresses());
    match builder.nodes {
        1 => info!(%cluster_id, ?addresses, "single node, ready"),
        nodes => info!(%cluster_id, ?addresses, nodes, "one broker with several node ids, ready"),
    }
    Ok(broker)
}

/// The address of each node as the user said it, if all addresses make sense.
fn checked_addresses(builder: &Builder) -> Result<Vec<Advertised>> {
    let wrong = |message: String| Err(Error::new(ErrorKind::Config, message));
    let nodes = builder.nodes;
    if !(1..=NODES_MAX).contains(&nodes) {
        return wrong(format!("a broker has 1 to {NODES_MAX} nodes, not {nodes}"));
    }
    for address in &builder.listen {
        port_after(address, parse_address(address)?.port, nodes as u16 - 1)?;
    }
    let said = builder.advertise.iter().map(|it| parse_address(it)).collect::<Result<Vec<_>>>()?;
    match &said[..] {
        [only] => {
            port_after(&builder.advertise[0], only.port, nodes as u16 - 1)?;
            Ok((0..nodes).map(|it| only.after(it as u16)).collect())
        }
        all if all.is_empty() || all.len() == nodes => Ok(said),
        all => wrong(format!("{} addresses are advertised for {nodes} nodes", all.len())),
    }
}

/// Listens for the node that comes so many after the first.
async fn listen_all(addresses: &[String], further: u16) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.extend(listen(address, further).await?);
    }
    Ok(listeners)
}

/// Keeps the log until it stops.
async fn keep(keeper: Keeper) {
    if let Err(error) = keeper.run().await {
        error!(%error, "nothing more is written or acknowledged");
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn a_broker_that_was_stopped_refuses_connections_in_process() {
        let broker = Broker::in_memory().start().await.expect("it starts");
        let connector = broker.connector();
        let open = connector.connect().expect("it runs");
        broker.shutdown().await.expect("a connector does not keep it from stopping");
        assert_eq!(connector.connect().expect_err("it stopped").kind(), io::ErrorKind::ConnectionRefused);
        drop(open);
    }
}
