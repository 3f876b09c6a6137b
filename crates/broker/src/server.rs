//! The broker as its user holds it: starts, listens, hands out connections, stops.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tracing::{debug, error, info, warn};
use vltava_core::Rng;
use vltava_wire::ErrorCode;

use crate::{
    Builder, Error, ErrorKind, Result,
    call::{Advertised, Peer},
    connection,
    faults::Faults,
    log::{Keeper, Log},
    memory::{Memory, RequestMemory},
    node::{NewTopic, Node},
};

/// Bytes on their way in each direction of an in-process connection.
const PIPE_BYTES: usize = 64 << 10;

/// How long accepting pauses when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running broker. It stops when it is dropped, as if its process had been killed, and its folder is free a moment
/// later, when its tasks have noticed. [`Broker::shutdown`] stops it cleanly, which makes the next start quick, and
/// the folder is free when it returns.
pub struct Broker {
    addresses: Vec<SocketAddr>,
    advertise: Option<Advertised>,
    node: Arc<Node>,
    /// Says stop, and knows when the last task has: each holds a receiver.
    stop: Arc<watch::Sender<bool>>,
    cluster_id: String,
    keeper: JoinHandle<()>,
}

/// Opens connections in process. It keeps neither the broker from stopping nor its folder from another.
#[derive(Clone)]
pub struct Connector {
    peer: Peer,
    node: Weak<Node>,
    stop: Weak<watch::Sender<bool>>,
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

    /// Where it listens, with the ports that were free. Empty for a broker that is reached in process only.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// What to give a client as its bootstrap servers: the advertised address, or else all that are listened on.
    pub fn bootstrap(&self) -> String {
        if self.addresses.is_empty() || self.advertise.is_some() {
            let Advertised { host, port } = self.advertised(None);
            return if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        }
        let addresses: Vec<_> = self.addresses.iter().map(SocketAddr::to_string).collect();
        addresses.join(",")
    }

    /// Opens a connection in process, served like one over TCP. Call it on a tokio runtime.
    pub fn connect(&self) -> DuplexStream {
        self.connector().connect().expect("a broker that was not stopped takes connections")
    }

    /// What opens such connections after the broker was moved or stopped.
    pub fn connector(&self) -> Connector {
        let peer = Peer { host: "in-process".to_owned(), advertised: self.advertised(None) };
        Connector { peer, node: Arc::downgrade(&self.node), stop: Arc::downgrade(&self.stop) }
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
            let new = NewTopic { name, partitions: *partitions, configs: BTreeMap::new() };
            match self.node.create_topic(new) {
                Ok((_, position)) => self.node.log.settled(position).await?,
                Err(refused) if refused.code == ErrorCode::TopicAlreadyExists => (),
                Err(refused) => return Err(wrong(refused.message)),
            }
        }
        Ok(())
    }

    fn advertised(&self, local: Option<SocketAddr>) -> Advertised {
        advertised(self.advertise.as_ref(), local.or(self.addresses.first().copied()))
    }
}

impl Connector {
    /// Opens a connection, as [`Broker::connect`] does. A broker that was stopped refuses it.
    pub fn connect(&self) -> io::Result<DuplexStream> {
        let stop = self.stop.upgrade().map(|stop| stop.subscribe()).filter(|stop| !*stop.borrow());
        let (Some(stop), Some(node)) = (stop, self.node.upgrade()) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(connection::serve(stop, theirs, node, self.peer.clone()));
        Ok(ours)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.keeper.abort();
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

pub(crate) async fn start(builder: Builder) -> Result<Broker> {
    let advertise = builder.advertise.as_deref().map(parse_address).transpose()?;
    let options = builder.log.clone();
    options.check()?;
    let clock = builder.resolved_clock();
    let seed = builder.resolved_seed();
    let mut rng = Rng::new(seed);
    // Faults have chance of their own: with and without them a seed is the same cluster.
    let faults = Faults::new(Rng::new(!seed));
    let disk = builder.resolved_disk()?;
    let (log, keeper) = Log::open(disk, clock.clone(), Rng::new(rng.bits()), options).await?;
    let memory = Memory::new(builder.request_memory);
    let node = Arc::new(Node::new(clock, log, rng, memory, faults, builder.auto_create_topics));
    let mut listeners = Vec::new();
    for address in &builder.listen {
        listeners.extend(listen(address).await?);
    }
    let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let stop = Arc::new(watch::Sender::new(false));
    let keeper = tokio::spawn(keep(keeper));
    let cluster_id = node.log.cluster_id().to_string();
    let broker = Broker { addresses, advertise, node, stop, cluster_id, keeper };
    broker.create_topics(&builder.topics).await?;
    tokio::spawn(broker.node.coordinator.clone().run(broker.stop.subscribe()));
    for listener in listeners {
        let (node, advertise) = (broker.node.clone(), broker.advertise.clone());
        tokio::spawn(accept(broker.stop.subscribe(), listener, node, advertise));
    }
    info!(cluster_id = %broker.cluster_id, addresses = ?broker.addresses, "single node, ready");
    Ok(broker)
}

/// Keeps the log until it stops.
async fn keep(keeper: Keeper) {
    if let Err(error) = keeper.run().await {
        error!(%error, "nothing more is written or acknowledged");
    }
}

/// Takes connections until the broker stops.
async fn accept(
    mut stop: watch::Receiver<bool>,
    listener: TcpListener,
    node: Arc<Node>,
    advertise: Option<Advertised>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                let peer = tcp_peer(&stream, remote, advertise.as_ref());
                tokio::spawn(connection::serve(stop.clone(), stream, node.clone(), peer));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                let later = node.clock.now() + ACCEPT_PAUSE;
                node.clock.sleep_until(later).await;
            }
        }
    }
}

fn tcp_peer(stream: &TcpStream, remote: SocketAddr, advertise: Option<&Advertised>) -> Peer {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%remote, %error, "cannot turn off Nagle's algorithm");
    }
    // An IPv4 client of an IPv6 socket knows itself, and us, by IPv4 addresses.
    let local =
        stream.local_addr().ok().map(|local| SocketAddr::new(local.ip().to_canonical(), local.port()));
    let host = format!("/{}", remote.ip().to_canonical());
    Peer { host, advertised: advertised(advertise, local) }
}

/// What a client is told to connect to: what the user said, or the address it came in by.
fn advertised(said: Option<&Advertised>, local: Option<SocketAddr>) -> Advertised {
    match (said, local) {
        (Some(said), _) => said.clone(),
        (None, Some(local)) => Advertised { host: local.ip().to_string(), port: local.port() },
        (None, None) => Advertised { host: "in-process".to_owned(), port: 9092 },
    }
}

/// Listens on every address that `address` names.
async fn listen(address: &str) -> Result<Vec<TcpListener>> {
    let Advertised { host, port } = parse_address(address)?;
    if !host.eq_ignore_ascii_case("localhost") {
        let listener =
            TcpListener::bind((host.as_str(), port)).await.map_err(|error| refused(address, error))?;
        return Ok(vec![listener]);
    }
    let first = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| refused(address, error))?;
    let port = first.local_addr().map_err(|error| refused(address, error))?.port();
    match TcpListener::bind(("::1", port)).await {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(refused(&format!("[::1]:{port}"), error))
        }
        Err(error) => {
            debug!(%error, "this machine has no ::1");
            Ok(vec![first])
        }
    }
}

fn refused(address: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Listen, format!("cannot listen on {address}")).because(error)
}

/// `host:port`, where an IPv6 address is in brackets.
fn parse_address(address: &str) -> Result<Advertised> {
    let wrong = || Error::new(ErrorKind::Config, format!("address {address:?} is not of the form host:port"));
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare.unwrap_or(host) {
        "" => Err(wrong()),
        host if bare.is_none() && host.contains(':') => Err(wrong()),
        host => Ok(Advertised { host: host.to_owned(), port }),
    }
}

#[cfg(test)]
mod tests {
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
