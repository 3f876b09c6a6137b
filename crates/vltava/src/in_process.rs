//! Clients of a broker in the same process, without a socket.

use std::{io, sync::Arc};

use vltava_broker::{Broker, Connector};
use vltava_client::{Address, BoxFuture, Client, Dial, Result, Stream};

/// Reaching a broker that runs in the same process.
pub trait InProcess {
    /// A client of it, over pipes.
    fn client(&self) -> impl Future<Output = Result<Client>> + Send;

    /// The way to it, for a client that is set up differently: the address of a node leads to that node, and whatever
    /// else is asked for to the first that runs.
    fn dial(&self) -> Arc<dyn Dial>;
}

impl InProcess for Broker {
    fn client(&self) -> impl Future<Output = Result<Client>> + Send {
        Client::builder().brokers(self.bootstrap()).dial(self.dial()).connect()
    }

    fn dial(&self) -> Arc<dyn Dial> {
        Arc::new(Pipes(self.connector()))
    }
}

struct Pipes(Connector);

impl Dial for Pipes {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let pipe = self.0.connect_to(&address.host, address.port);
        Box::pin(async move { Ok(Box::new(pipe?) as Box<dyn Stream>) })
    }
}
