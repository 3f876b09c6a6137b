//! One request as an API sees it, and the ways to answer it.

use std::{collections::BTreeSet, fmt, pin::Pin, sync::Arc};

use vltava_core::cluster::NodeId;
use vltava_wire::ErrorCode;

use crate::{faults::Errors, node::Node};

/// Who is at the other end of a connection, and to which node it came.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address, as DescribeGroups shows it.
    pub(crate) host: String,
    /// The node that it takes us for.
    pub(crate) node: NodeId,
    /// What it is told to connect to.
    pub(crate) advertised: Directory,
}

/// The address of each node, as one client is told it.
#[derive(Debug, Clone)]
pub(crate) struct Directory(Arc<[Advertised]>);

impl Directory {
    /// Of all nodes, in order.
    pub(crate) fn new(addresses: impl IntoIterator<Item = Advertised>) -> Self {
        Self(addresses.into_iter().collect())
    }

    /// Where a node is.
    ///
    /// # Panics
    /// If it is not one of the broker's.
    pub(crate) fn of(&self, node: NodeId) -> &Advertised {
        let index = usize::try_from(node.0 - 1).ok();
        index.and_then(|it| self.0.get(it)).expect("who leads or coordinates is a node there is")
    }

    /// In order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Advertised)> {
        (1..).map(NodeId).zip(self.0.iter())
    }

    /// Those of these nodes that there are, once each and in order.
    pub(crate) fn named(&self, nodes: impl Iterator<Item = i32>) -> impl Iterator<Item = (i32, &Advertised)> {
        // Where nobody is named, as nearly always, nothing is allocated.
        let named: BTreeSet<_> = nodes.filter(|it| *it >= 0).collect();
        self.iter().map(|(node, at)| (node.0, at)).filter(move |(node, _)| named.contains(node))
    }
}

/// An address that clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Advertised {
    /// The address of the node that comes so many after the one at this address.
    pub(crate) fn after(&self, further: u16) -> Self {
        Self { host: self.host.clone(), port: self.port.saturating_add(further) }
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What a request comes with.
pub(crate) struct Call<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) peer: &'a Peer,
    pub(crate) version: i16,
    pub(crate) client_id: Option<String>,
    /// What of a fetch a fault refuses.
    pub(crate) refused: Errors,
}

impl Call<'_> {
    /// Whether a group is coordinated by the node that was asked.
    pub(crate) fn check_coordinator(&self, group: &str) -> Result<(), ErrorCode> {
        match self.node.coordinator_of(group) == self.peer.node {
            true => Ok(()),
            false => Err(ErrorCode::NotCoordinator),
        }
    }
}

/// A future that outlives the call it came from.
pub(crate) type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How a request is answered. Its effects have happened, in the order the requests came in.
pub(crate) enum Answer<T> {
    /// At once.
    Now(T),
    /// When what the response promises is settled.
    Later(Later<T>),
    /// When what others do allows it. It is dropped if the peer may have gone.
    Parked(Later<T>),
    /// Not at all: the request asked for no response.
    Silence,
    /// By closing the connection, which is all that a request without a response can be told.
    Close(&'static str),
}

impl<T: Send + 'static> Answer<T> {
    /// Changes the response, once there is one.
    pub(crate) fn map(self, change: impl FnOnce(T) -> T + Send + 'static) -> Self {
        match self {
            Self::Now(response) => Self::Now(change(response)),
            Self::Later(response) => Self::Later(Box::pin(async move { change(response.await) })),
            Self::Parked(response) => Self::Parked(Box::pin(async move { change(response.await) })),
            Self::Silence => Self::Silence,
            Self::Close(reason) => Self::Close(reason),
        }
    }
}
