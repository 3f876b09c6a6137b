//! The straight way into a broker, past the network: for whoever looks at it from beside and is not part of the play.

use std::{collections::BTreeMap, io};

use vltava_broker::Connector;
use vltava_client::{Address, BoxFuture, Dial, Stream};

/// Connects to nodes at once, by name.
pub(crate) struct Straight(BTreeMap<String, Connector>);

impl Straight {
    pub(crate) fn new(nodes: impl IntoIterator<Item = (String, Connector)>) -> Self {
        Self(nodes.into_iter().collect())
    }
}

impl Dial for Straight {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let connected = match self.0.get(&address.host) {
            Some(connector) => connector.connect(),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        Box::pin(std::future::ready(connected.map(|it| Box::new(it) as Box<dyn Stream>)))
    }
}
