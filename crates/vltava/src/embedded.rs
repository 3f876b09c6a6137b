//! Flows on a broker of their own, in the same process.

use std::{io, path::PathBuf, sync::Arc};

use tokio::sync::OnceCell;
use vltava_broker::Broker;
use vltava_client::{Address, BoxFuture, Dial, Stream};
use vltava_flow::Flow;

/// Running a flow on a broker that is part of the process.
pub trait Embedded {
    /// Runs on a broker that keeps its data in this folder, which is made if it is missing. It starts with the flow and
    /// stops with it; one process at a time may have the folder.
    #[must_use]
    fn embedded(self, folder: impl Into<PathBuf>) -> Self;
}

impl Embedded for Flow {
    fn embedded(self, folder: impl Into<PathBuf>) -> Self {
        let inside = Inside { folder: folder.into(), broker: OnceCell::new() };
        self.brokers("embedded").dial(Arc::new(Shared(Arc::new(inside))))
    }
}

/// The broker, from the first connection to it until the client that dials is gone.
struct Inside {
    folder: PathBuf,
    broker: OnceCell<Broker>,
}

struct Shared(Arc<Inside>);

impl Dial for Shared {
    fn dial(&self, _address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let inside = self.0.clone();
        Box::pin(async move {
            let start = || Broker::open(&inside.folder).start();
            let broker = inside.broker.get_or_try_init(start).await.map_err(io::Error::other)?;
            Ok(Box::new(broker.connect()) as Box<dyn Stream>)
        })
    }
}
