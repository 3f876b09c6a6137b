//! Events on their way to whoever reads them, who may take their time.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use vltava_core::TopicPartition;

use crate::{
    consumer::{Event, PartitionStream},
    error::Result,
};

/// Events in order. It stays short: an assignment that ends before anybody saw it is taken back.
pub(super) struct Outbox {
    reader: mpsc::Sender<Result<Event>>,
    waiting: VecDeque<Result<Event>>,
    /// After an error nothing more comes.
    has_failed: bool,
}

impl Outbox {
    pub(super) fn new(reader: mpsc::Sender<Result<Event>>) -> Self {
        Self { reader, waiting: VecDeque::new(), has_failed: false }
    }

    /// Adds an event; one that nobody will read is dropped, which returns its ticket and ends its streams.
    pub(super) fn push(&mut self, event: Result<Event>) {
        if self.has_failed || self.reader.is_closed() {
            return;
        }
        self.has_failed = event.is_err();
        self.waiting.push_back(event);
    }

    /// Takes back the news that this partition was assigned; false if somebody may have read it.
    pub(super) fn withdraw(&mut self, partition: &TopicPartition) -> bool {
        let is_it = |stream: &PartitionStream| stream.topic_partition() == partition;
        for at in 0..self.waiting.len() {
            let Ok(Event::Assigned(streams)) = &mut self.waiting[at] else { continue };
            let Some(found) = streams.iter().position(is_it) else { continue };
            streams.remove(found);
            if streams.is_empty() {
                self.waiting.remove(at);
            }
            return true;
        }
        false
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody reads events any more.
    pub(super) fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }

    /// Hands the next event over when there is room; never completes while there is none. Cancel-safe.
    pub(super) async fn hand_over(&mut self) {
        if self.waiting.is_empty() {
            // Nothing to hand over: woken only by the reader's going.
            return self.reader.closed().await;
        }
        match self.reader.reserve().await {
            Ok(room) => {
                if let Some(event) = self.waiting.pop_front() {
                    room.send(event);
                }
            }
            Err(_) => self.waiting.clear(),
        }
    }
}
