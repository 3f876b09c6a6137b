//! What became of all records of a producer, for who watches: nothing is kept until somebody asks.

use std::sync::OnceLock;

use tokio::sync::broadcast::{self, error::RecvError};
use vltava_core::TopicPartition;

use crate::error::Error;

/// A watcher that is behind by more misses the oldest. Nobody waits for one.
const KEPT: usize = 1_024;

/// What became of records that went together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DeliveryEvent {
    /// They were written.
    Delivered {
        /// Where.
        topic_partition: TopicPartition,
        /// How many.
        records: u32,
        /// The offset of the first, if it is known.
        base_offset: Option<i64>,
    },
    /// They were given up.
    Failed {
        /// Where they were to go.
        topic_partition: TopicPartition,
        /// How many.
        records: u32,
        /// Why.
        error: Error,
    },
    /// So many events came faster than they were read, and are gone.
    Missed(u64),
}

/// What becomes of the records of a producer from now on. Deliveries tell the same of each record.
#[derive(Debug)]
pub struct DeliveryEvents(broadcast::Receiver<DeliveryEvent>);

impl DeliveryEvents {
    /// The next event. None once the producer is gone.
    pub async fn next(&mut self) -> Option<DeliveryEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => Some(DeliveryEvent::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Where events are handed out.
#[derive(Debug, Default)]
pub(super) struct Watchers(OnceLock<broadcast::Sender<DeliveryEvent>>);

impl Watchers {
    pub(super) fn watch(&self) -> DeliveryEvents {
        DeliveryEvents(self.0.get_or_init(|| broadcast::Sender::new(KEPT)).subscribe())
    }

    /// Tells those who watch, if there are any.
    pub(super) fn tell(&self, event: impl FnOnce() -> DeliveryEvent) {
        if let Some(watchers) = self.0.get().filter(|it| it.receiver_count() > 0) {
            // The last one may leave just now.
            let _ = watchers.send(event());
        }
    }
}
