//! Producing: records are encoded where they are sent, gathered into batches, and written exactly once.

mod builder;
mod delivery;
mod driver;
mod events;
mod many;
mod open;
mod outcome;
mod packers;
mod record;
mod send;
mod unsent;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use vltava_core::produce::Batches;
use vltava_wire::ErrorCode;

use crate::{
    cluster::Cluster,
    config,
    context::Context,
    error::{Error, ErrorKind, Result},
};
use events::Watchers;
use open::{Open, OwnPartitioner};

pub use builder::ProducerBuilder;
pub use delivery::Delivery;
pub use events::{DeliveryEvent, DeliveryEvents};
pub use many::Deliveries;
pub use record::{IntoBytes, ProducerRecord, RecordMetadata};
pub use unsent::Unsent;

/// Sends records. Cheap to clone; all clones share batches, memory and connections. What was sent is delivered also
/// after the last clone is gone, as long as the runtime lives.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    _handle: Arc<Handle>,
}

/// What senders and the driver share.
struct Shared {
    context: Arc<Context>,
    cluster: Cluster,
    config: config::Producer,
    open: Mutex<Open>,
    /// Wakes the driver: there is something to send.
    work: Notify,
    /// Wakes the sender that is first in the line for memory.
    room: Notify,
    /// The line: whoever holds it is first.
    line: tokio::sync::Mutex<()>,
    watchers: Watchers,
}

/// Closes the producer when the last of its clones goes.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_one();
    }
}

impl Producer {
    fn new(
        context: Arc<Context>,
        cluster: Cluster,
        config: config::Producer,
        own: Option<OwnPartitioner>,
    ) -> Self {
        let batches = Batches::new(vltava_core::produce::Config {
            linger: config.linger,
            batch_bytes: config.batch_bytes,
            record_bytes_max: config.record_bytes_max,
            memory_bytes: config.memory_bytes,
            delivery_timeout: config.delivery_timeout,
            idempotent: config.idempotent,
            in_flight_max: config.in_flight_max,
        });
        let open = Mutex::new(Open::new(batches, &config, own, context.rng()));
        let (work, room, line) = (Notify::new(), Notify::new(), tokio::sync::Mutex::new(()));
        let shared = Arc::new(Shared {
            context,
            cluster,
            config,
            open,
            work,
            room,
            line,
            watchers: Watchers::default(),
        });
        tokio::spawn(driver::run(shared.clone()));
        Self { _handle: Arc::new(Handle(shared.clone())), shared }
    }

    /// Waits until everything that was sent before is delivered or has failed, without lingering. How a record fared
    /// is told by its delivery.
    pub async fn flush(&self) {
        let flushed = self.shared.lock().flush();
        self.shared.work.notify_one();
        // What came of the records, their own deliveries tell.
        let _ = flushed.await;
    }

    /// Drops all that is not delivered yet, and says how many records that is. Their deliveries fail with
    /// `ErrorKind::Purged`; what was under way may be written all the same, and they say that too. What is sent
    /// later goes on.
    pub fn purge(&self) -> usize {
        let purged = {
            let mut open = self.shared.lock();
            let purged = open.batches.records();
            open.batches.purge();
            purged
        };
        self.shared.work.notify_one();
        purged
    }

    /// What becomes of all records from now on. Without anybody who asked, nothing is kept; who reads too slowly
    /// misses the oldest and is told how many, and the producer waits for nobody.
    pub fn events(&self) -> DeliveryEvents {
        self.shared.watchers.watch()
    }

    /// Takes no more records, delivers those it has, and gives up after `within` what is not delivered by then: an
    /// error says so, and so do the deliveries.
    pub async fn shutdown(self, within: Duration) -> Result<()> {
        let deadline = self.shared.context.now() + within;
        self.shared.lock().closed = true;
        tokio::select! {
            biased;
            () = self.flush() => Ok(()),
            () = self.shared.context.clock.sleep_until(deadline) => {
                let left = self.shared.give_up();
                let what = format!("{left} records were not delivered within {within:?}");
                Err(Error::new(ErrorKind::TimedOut).doing("shutting a producer down").what(what).written_perhaps(true))
            }
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails all that is not delivered; says how many records that is.
    fn give_up(&self) -> usize {
        let left = {
            let mut open = self.lock();
            let left = open.batches.records();
            open.batches.fail(ErrorCode::RequestTimedOut);
            left
        };
        self.work.notify_one();
        left
    }
}
