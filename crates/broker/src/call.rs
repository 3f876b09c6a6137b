//! One request as an API sees it, and the ways to answer it.

use std::{pin::Pin, sync::Arc};

use crate::{faults::Errors, node::Node};

/// Who is at the other end of a connection, and by which address it came in.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address, as DescribeGroups shows it.
    pub(crate) host: String,
    /// What it is told to connect to.
    pub(crate) advertised: Advertised,
}

/// An address that clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised {
    pub(crate) host: String,
    pub(crate) port: u16,
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
