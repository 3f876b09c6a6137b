//! The ways to each node: where it listens, connections in process, and what cuts them all.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
};
use tracing::{debug, warn};
use vltava_core::cluster::NodeId;

use crate::{
    Result,
    call::{Advertised, Directory, Peer},
    connection,
    gate::{Gate, Guest},
    listen,
    node::Node,
};

/// Bytes on their way in each direction of an in-process connection.
const PIPE_BYTES: usize = 64 << 10;

/// How long accepting pauses when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the first node is called in process, if it listens nowhere; the others have the ports that follow.
const IN_PROCESS: &str = "in-process";
const IN_PROCESS_PORT: u16 = 9092;

/// The doors of all nodes.
pub(crate) struct Doors {
    all: Vec<Door>,
    /// The address of each node as the user said it, or none.
    advertise: Vec<Advertised>,
}

/// The ways to one node.
struct Door {
    node: NodeId,
    /// Where it listens while it is open.
    addresses: Vec<SocketAddr>,
    /// Every connection is behind it, and whoever listens.
    gate: Gate,
}

impl Doors {
    /// Doors that are closed, one for each list of addresses.
    pub(crate) fn new(addresses: Vec<Vec<SocketAddr>>, advertise: Vec<Advertised>) -> Self {
        let door = |(node, addresses)| Door { node, addresses, gate: Gate::closed() };
        Self { all: (1..).map(NodeId).zip(addresses).map(door).collect(), advertise }
    }

    /// Where all nodes listen, in order of node.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().flat_map(|it| &it.addresses).copied().collect()
    }

    /// Where one node listens.
    pub(crate) fn addresses_of(&self, node: NodeId) -> Vec<SocketAddr> {
        self.door(node).addresses.clone()
    }

    /// What a client is to be given to find the broker: an address of each node at least.
    pub(crate) fn bootstrap(&self) -> String {
        let listed: Vec<_> = if self.addresses().is_empty() || !self.advertise.is_empty() {
            self.in_process().iter().map(|(_, it)| it.to_string()).collect()
        } else {
            self.addresses().iter().map(SocketAddr::to_string).collect()
        };
        listed.join(",")
    }

    /// Opens a node's door: it listens on these, and takes connections in process.
    pub(crate) fn open(self: &Arc<Self>, at: NodeId, listeners: Vec<TcpListener>, node: &Arc<Node>) {
        let door = self.door(at);
        door.gate.open();
        for (which, listener) in listeners.into_iter().enumerate() {
            let way = Way { at, which, doors: self.clone() };
            tokio::spawn(accept(door.gate.enter(), listener, node.clone(), way));
        }
    }

    /// Opens a node's door again, if it is closed.
    pub(crate) async fn open_again(self: &Arc<Self>, at: NodeId, node: &Arc<Node>) -> Result<()> {
        let door = self.door(at);
        if door.gate.is_closed() {
            door.gate.empty().await;
            let listeners = listen::listen_again(&door.addresses).await?;
            self.open(at, listeners, node);
        }
        Ok(())
    }

    /// Cuts all connections to a node and takes no more. When it is done, they are gone and the ports free.
    pub(crate) async fn close(&self, node: NodeId) {
        let door = self.door(node);
        door.gate.close();
        door.gate.empty().await;
    }

    /// As [`Doors::close`], of every node.
    pub(crate) async fn close_all(&self) {
        self.cut();
        for door in &self.all {
            door.gate.empty().await;
        }
    }

    /// Has every connection end soon.
    pub(crate) fn cut(&self) {
        for door in &self.all {
            door.gate.close();
        }
    }

    /// Opens a connection in process to this node, or to the first that is there.
    fn connect(&self, to: Option<NodeId>, node: Arc<Node>) -> io::Result<DuplexStream> {
        let mut doors = self.all.iter().filter(|it| to.is_none_or(|to| it.node == to));
        let open = doors.find(|it| !it.gate.is_closed()).ok_or(io::ErrorKind::ConnectionRefused)?;
        let peer = Peer { host: IN_PROCESS.to_owned(), node: open.node, advertised: self.in_process() };
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        tokio::spawn(connection::serve(open.gate.enter(), theirs, node, peer));
        Ok(ours)
    }

    /// What clients in process are told.
    fn in_process(&self) -> Directory {
        if !self.advertise.is_empty() {
            return Directory::new(self.advertise.iter().cloned());
        }
        let address = |(after, door): (u16, &Door)| match door.addresses.first() {
            Some(address) => Advertised { host: address.ip().to_string(), port: address.port() },
            None => Advertised { host: IN_PROCESS.to_owned(), port: IN_PROCESS_PORT }.after(after),
        };
        Directory::new((0..).zip(&self.all).map(address))
    }

    fn door(&self, node: NodeId) -> &Door {
        self.all.iter().find(|it| it.node == node).expect("every node has a door")
    }
}

/// Opens connections in process. It keeps neither the broker from stopping nor its folder from another.
#[derive(Clone)]
pub struct Connector {
    to: Option<NodeId>,
    node: Weak<Node>,
    doors: Weak<Doors>,
}

impl Connector {
    pub(crate) fn new(to: Option<NodeId>, node: &Arc<Node>, doors: &Arc<Doors>) -> Self {
        Self { to, node: Arc::downgrade(node), doors: Arc::downgrade(doors) }
    }

    /// Opens a connection, as [`Broker::connect`](crate::Broker::connect) does. A broker that was stopped refuses it,
    /// and so does a node if it is [a node's](crate::NodeHandle::connector).
    pub fn connect(&self) -> io::Result<DuplexStream> {
        let (doors, node) = self.upgrade()?;
        doors.connect(self.to, node)
    }

    /// Opens a connection to the node that clients in process are told is at this address. Any other address leads
    /// where [`Connector::connect`] does, so that a client finds the rest from whatever it begins with.
    pub fn connect_to(&self, host: &str, port: u16) -> io::Result<DuplexStream> {
        let (doors, node) = self.upgrade()?;
        let told = doors.in_process();
        let meant = told.iter().find(|(_, it)| it.host == host && it.port == port).map(|(node, _)| node);
        doors.connect(meant.or(self.to), node)
    }

    fn upgrade(&self) -> io::Result<(Arc<Doors>, Arc<Node>)> {
        let both = self.doors.upgrade().zip(self.node.upgrade());
        both.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Where a connection comes in.
struct Way {
    at: NodeId,
    /// Which of the addresses of a node.
    which: usize,
    doors: Arc<Doors>,
}

impl Way {
    fn peer(&self, stream: &TcpStream, remote: SocketAddr) -> Peer {
        // An IPv4 client of an IPv6 socket knows itself, and us, by IPv4 addresses.
        let host = format!("/{}", remote.ip().to_canonical());
        let advertised = match stream.local_addr() {
            Ok(local) if self.doors.advertise.is_empty() => {
                let ip = local.ip().to_canonical().to_string();
                // Nodes listen alike, but for an address that one of them could not have.
                let same = |it: &Door| it.addresses.get(self.which).or(it.addresses.first()).copied();
                let port = |it: &Door| same(it).map_or(0, |it| it.port());
                let address = |it| Advertised { host: ip.clone(), port: port(it) };
                Directory::new(self.doors.all.iter().map(address))
            }
            _ => self.doors.in_process(),
        };
        Peer { host, node: self.at, advertised }
    }
}

/// Takes connections until the door is closed.
async fn accept(guest: Guest, listener: TcpListener, node: Arc<Node>, way: Way) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = guest.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%remote, %error, "cannot turn off Nagle's algorithm");
                }
                let peer = way.peer(&stream, remote);
                tokio::spawn(connection::serve(guest.clone(), stream, node.clone(), peer));
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                let later = node.clock.now() + ACCEPT_PAUSE;
                node.clock.sleep_until(later).await;
            }
        }
    }
}
