//! A producer whose calls are written down.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;
use vltava_client::{Client, Error, ProducerRecord, RecordMetadata, RecordRef, config};

use super::{Call, Durability, Pending, Record, Recorder, What, recorder::micros};

/// What becomes of a record, for whoever wants to wait for it. Dropping it changes nothing.
pub type Receipt = oneshot::Receiver<Result<RecordMetadata, Error>>;

/// A record to be sent: everything but its value, which is made where it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    topic: Arc<str>,
    partition: Option<i32>,
    key: Option<String>,
    bytes: usize,
}

impl Draft {
    /// A record for a topic, without a key and as short as can be.
    pub fn to(topic: impl Into<Arc<str>>) -> Self {
        Self { topic: topic.into(), partition: None, key: None, bytes: 0 }
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the partition, whatever the key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets how many bytes the value has at least.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    fn record(self, value: &str) -> ProducerRecord {
        let record = ProducerRecord::to(self.topic).value(padded(value, self.bytes));
        let record = self.key.into_iter().fold(record, ProducerRecord::key);
        self.partition.into_iter().fold(record, ProducerRecord::partition)
    }
}

/// What a value is padded with. No name of a producer ends like this.
const PADDING: char = '.';

fn padded(value: &str, bytes: usize) -> String {
    let mut padded = value.to_owned();
    padded.extend(std::iter::repeat_n(PADDING, bytes.saturating_sub(value.len())));
    padded
}

impl Record {
    /// A record as histories name it: without what only makes its value longer.
    pub fn of(record: &RecordRef<'_>) -> Self {
        Self::at(record.offset(), record.value())
    }

    pub(super) fn at(offset: i64, value: Option<&[u8]>) -> Self {
        let value = String::from_utf8_lossy(value.unwrap_or_default());
        Self(offset, value.trim_end_matches(PADDING).to_owned())
    }
}

/// A producer whose calls are written down. Its values are `name:number`, and it sends one after the other, so that
/// their order is known; who sends side by side takes [`another`](Self::another) name on the same producer.
#[derive(Debug)]
pub struct Producer {
    inner: vltava_client::Producer,
    recorder: Recorder,
    name: String,
    timeout: Duration,
    durability: Durability,
    idempotent: bool,
    sent: u64,
}

impl Producer {
    /// A producer of this client, under a name that nobody else has.
    pub fn new(
        recorder: &Recorder,
        name: impl Into<String>,
        client: &Client,
        config: config::Producer,
    ) -> Result<Self, Error> {
        let (timeout, durability, idempotent) =
            (config.delivery_timeout, config.acks.into(), config.idempotent);
        let inner = vltava_client::Producer::builder(client).config(config).build()?;
        Ok(Self::begin(inner, recorder.clone(), name.into(), timeout, durability, idempotent))
    }

    /// Another name for the same producer, for whoever sends at the same time.
    pub fn another(&self, name: impl Into<String>) -> Self {
        let Self { inner, recorder, timeout, durability, idempotent, .. } = self;
        Self::begin(inner.clone(), recorder.clone(), name.into(), *timeout, *durability, *idempotent)
    }

    fn begin(
        inner: vltava_client::Producer,
        recorder: Recorder,
        name: String,
        timeout: Duration,
        durability: Durability,
        idempotent: bool,
    ) -> Self {
        let (client, acks) = (name.clone(), durability);
        recorder.note(What::Producer { client, acks, idempotent, timeout: micros(timeout) });
        Self { inner, recorder, name, timeout, durability, idempotent, sent: 0 }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a record on its way, as [`vltava_client::Producer::send`] does.
    pub async fn send(&mut self, draft: Draft) -> Result<Receipt, Error> {
        let (pending, record) = self.call(draft);
        let unsent = Unsent(Some(pending));
        let sent = self.inner.send(record).await;
        let pending = unsent.was_answered();
        match sent {
            Ok(delivery) => Ok(follow(pending, delivery)),
            Err(error) => Err(refused(pending, error)),
        }
    }

    /// Puts a record on its way if that can be done at once, as [`vltava_client::Producer::try_send`] does.
    pub fn try_send(&mut self, draft: Draft) -> Result<Receipt, Error> {
        let (pending, record) = self.call(draft);
        match self.inner.try_send(record) {
            Ok(delivery) => Ok(follow(pending, delivery)),
            Err(unsent) => Err(refused(pending, unsent.into())),
        }
    }

    /// Puts many records on their way, as [`vltava_client::Producer::send_many`] does. If it is dropped before it
    /// returns, nobody knows which were sent.
    pub async fn send_many(&mut self, drafts: impl IntoIterator<Item = Draft>) -> Vec<Receipt> {
        let (pending, records): (Vec<_>, Vec<_>) = drafts.into_iter().map(|it| self.call(it)).unzip();
        let deliveries = self.inner.send_many(records).await;
        pending.into_iter().zip(deliveries).map(|(pending, delivery)| follow(pending, delivery)).collect()
    }

    /// As [`vltava_client::Producer::flush`].
    pub async fn flush(&self) {
        let pending = self.recorder.call(&self.name, Call::Flush);
        self.inner.flush().await;
        pending.end(&Ok(()));
    }

    /// As [`vltava_client::Producer::purge`].
    pub fn purge(&self) -> usize {
        let pending = self.recorder.call(&self.name, Call::Purge);
        let purged = self.inner.purge();
        pending.end(&Ok(()));
        purged
    }

    /// As [`vltava_client::Producer::shutdown`].
    pub async fn shutdown(self, within: Duration) -> Result<(), Error> {
        let pending = self.recorder.call(&self.name, Call::Shutdown { within: micros(within) });
        let outcome = self.inner.shutdown(within).await;
        pending.end(&outcome);
        outcome
    }

    fn call(&mut self, draft: Draft) -> (Pending, ProducerRecord) {
        let value = format!("{}:{}", self.name, self.sent);
        self.sent += 1;
        let (topic, partition) = (draft.topic.to_string(), draft.partition);
        let call = Call::Send { value: value.clone(), topic, partition };
        (self.recorder.call(&self.name, call), draft.record(&value))
    }
}

/// Writes down what becomes of a record at the moment when it is known.
fn follow(pending: Pending, delivery: vltava_client::Delivery) -> Receipt {
    let (told, receipt) = oneshot::channel();
    delivery.then(move |outcome| {
        pending.delivered(&outcome);
        // Nobody has to wait for it.
        let _ = told.send(outcome);
    });
    receipt
}

fn refused(pending: Pending, error: Error) -> Error {
    pending.delivered(&Err(error.clone()));
    error
}

/// A send that has not returned. Dropped, nothing was sent, as the producer promises.
struct Unsent(Option<Pending>);

impl Unsent {
    fn was_answered(mut self) -> Pending {
        self.0.take().expect("it is taken here alone")
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Pending::was_not_begun);
    }
}
