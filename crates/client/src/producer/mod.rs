//! Producing: records are encoded where they are sent, gathered into batches, and written exactly once.

mod builder;
mod delivery;
mod driver;
mod open;
mod outcome;
mod packers;
mod record;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use vltava_core::{Moment, produce::Batches};
use vltava_wire::ErrorCode;

use crate::{
    cluster::Cluster,
    config,
    context::Context,
    error::{Error, ErrorKind, Result},
};
use open::{Open, OwnPartitioner, Pushed};

pub use builder::ProducerBuilder;
pub use delivery::Delivery;
pub use record::{IntoBytes, ProducerRecord, RecordMetadata};

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
        });
        let open = Mutex::new(Open::new(batches, &config, own, context.rng()));
        let (work, room, line) = (Notify::new(), Notify::new(), tokio::sync::Mutex::new(()));
        let shared = Arc::new(Shared { context, cluster, config, open, work, room, line });
        tokio::spawn(driver::run(shared.clone()));
        Self { _handle: Arc::new(Handle(shared.clone())), shared }
    }

    /// Puts a record on its way. Waits only while the topic is not known yet, or while there is no memory left: then
    /// first come, first served. Dropped before it returns, nothing was sent.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        let now = self.shared.context.now();
        if self.shared.lock().waiting == 0
            && let Some(delivery) = self.shared.push(now, &record)?
        {
            return Ok(delivery);
        }
        self.shared.send_in_turn(record, now + self.shared.config.delivery_timeout).await
    }

    /// Waits until everything that was sent before is delivered or has failed, without lingering. How a record fared
    /// is told by its delivery.
    pub async fn flush(&self) {
        let flushed = self.shared.lock().flush();
        self.shared.work.notify_one();
        // What came of the records, their own deliveries tell.
        let _ = flushed.await;
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

    /// Pushes a record, if its topic is known and there is memory.
    fn push(&self, now: Moment, record: &ProducerRecord) -> Result<Option<Delivery>> {
        let time = match record.timestamp {
            Some(_) => 0,
            None => self.context.clock.wall().0,
        };
        let pushed = self.lock().push(now, time, record)?;
        let (delivery, news) = match pushed {
            Pushed::Taken { delivery, news } => (Some(delivery), news),
            Pushed::Full => (None, true),
            Pushed::Unknown => (None, false),
        };
        if news {
            self.work.notify_one();
        }
        Ok(delivery)
    }

    async fn send_in_turn(&self, record: ProducerRecord, deadline: Moment) -> Result<Delivery> {
        self.know(&record, deadline).await?;
        let _waiting = Waiting::new(self);
        let sent = async {
            let _first = self.line.lock().await;
            loop {
                if let Some(delivery) = self.push(self.context.now(), &record)? {
                    return Ok(delivery);
                }
                self.room.notified().await;
            }
        };
        tokio::select! {
            biased;
            sent = sent => sent,
            () = self.context.clock.sleep_until(deadline) => {
                let what = format!("no memory was left within {:?}", self.config.delivery_timeout);
                let error = Error::new(ErrorKind::TimedOut).doing(format!("sending to topic {}", record.topic));
                Err(error.what(what).fix("raise memory_bytes, or send no more than the cluster takes"))
            }
        }
    }

    /// Finds out what partitions a topic has, and waits for the one that the record names: a topic may have grown
    /// without this client's knowing.
    async fn know(&self, record: &ProducerRecord, deadline: Moment) -> Result<()> {
        let mut news = self.cluster.news();
        loop {
            news.catch_up();
            let topic = self.cluster.topic(&record.topic, true, deadline).await;
            let (topic, interest) =
                topic.map_err(|error| error.doing(format!("sending to topic {}", record.topic)))?;
            let count = self.lock().learn(&record.topic, &topic, interest);
            let Some(partition) = record.partition else { return Ok(()) };
            match usize::try_from(partition) {
                Ok(number) if number < count => return Ok(()),
                Ok(_) if self.cluster.renewed(&mut news, deadline).await => (),
                _ => {
                    let topic = &record.topic;
                    let what = format!("{topic}-{partition} is not there: the topic has {count} partitions");
                    return Err(Error::new(ErrorKind::UnknownTopic).what(what).doing("sending a record"));
                }
            }
        }
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

/// A sender that waits for memory; as long as there is one, others queue up behind it.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
