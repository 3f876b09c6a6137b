//! One partition, no group: reading and writing with a deadline for each call, wherever its leader moves. For tools,
//! and for those who are used to a connection to a partition's leader.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use vltava_core::{Timestamp, TopicPartition, fetch::Isolation};

use crate::{
    Client, Offset, OffsetAndTimestamp, Producer, ProducerRecord, RecordBatch, RecordMetadata, RecordRef,
    StartOffset, Watermarks,
    cluster::Interest,
    config,
    consumer::{Assignment, AssignmentId, Fetcher, PartitionStream},
    error::{Error, ErrorKind, Result},
    net::Pool,
    producer::IntoBytes,
};

/// A broker that holds a fetch is given so many hundredths of the time that is left, so that what it has arrives in
/// time.
const HELD_PERCENT: u32 = 90;

/// One partition of one topic. Made by [`Client::partition`]; cheap while it is not used.
///
/// ```no_run
/// # use std::time::Duration;
/// # use vltava_client::{Client, Offset, Result};
/// # async fn there_and_back(client: &Client) -> Result<()> {
/// let mut partition = client.partition("orders", 0).deadline(Duration::from_secs(10));
/// partition.write(["one!", "two!"]).await?;
/// let batch = partition.read(Offset::Earliest, 10_000..=1_000_000).await?;
/// for record in batch.iter() {
///     println!("{}: {:?}", record.offset(), record.value());
/// }
/// partition.seek(batch.next_offset().unwrap_or(0));
/// let more = partition.read_batch(1..=1_000_000).await?;
/// # Ok(())
/// # }
/// ```
pub struct PartitionClient {
    client: Client,
    topic_partition: TopicPartition,
    deadline: Duration,
    isolation: Isolation,
    /// Where [`read_batch`](Self::read_batch) goes on.
    next: Offset,
    /// Keeps its leader known.
    _interest: Interest,
    /// Its own connections, as a read that waits holds up whatever is behind it.
    pool: Arc<Pool>,
    producer: OnceLock<Producer>,
}

impl Client {
    /// One partition, to be read and written without a group. Each call gives up after 30 seconds, unless it is told
    /// otherwise.
    pub fn partition(&self, topic: impl Into<Arc<str>>, partition: i32) -> PartitionClient {
        let topic_partition = TopicPartition::new(topic, partition);
        PartitionClient {
            client: self.clone(),
            _interest: self.cluster.interest(&topic_partition.topic),
            topic_partition,
            deadline: Duration::from_secs(30),
            isolation: Isolation::ReadUncommitted,
            next: Offset::Earliest,
            pool: Arc::new(Pool::new(self.context.clone())),
            producer: OnceLock::new(),
        }
    }
}

impl PartitionClient {
    /// How long each call has. To be said before the first.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Whose records are read.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// Writes records that have a value alone, in their order, and waits until they are stored by all replicas in
    /// sync; says where. After an error, those before it are stored.
    pub async fn write<V: IntoBytes>(
        &self,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Vec<RecordMetadata>> {
        let topic = &self.topic_partition.topic;
        self.write_records(values.into_iter().map(|it| ProducerRecord::to(topic.clone()).value(it))).await
    }

    /// As [`write`](Self::write), for records with keys and headers. Whatever topic and partition they are for, they
    /// go to this one.
    pub async fn write_records(
        &self,
        records: impl IntoIterator<Item = ProducerRecord>,
    ) -> Result<Vec<RecordMetadata>> {
        let TopicPartition { topic, partition } = &self.topic_partition;
        let producer = self.producer()?;
        let mut deliveries = Vec::new();
        for record in records {
            let record = ProducerRecord { topic: topic.clone(), ..record.partition(*partition) };
            deliveries.push(producer.send(record).await?);
        }
        producer.flush().await;
        let mut stored = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            stored.push(delivery.await?);
        }
        Ok(stored)
    }

    /// Reads from there: at least so many bytes of batches if they come within the deadline, what there is if not,
    /// and no more than so many, save that one batch always comes. The bytes are those of the batches as they are
    /// stored. Without an error, nothing was there in time. Cancel-safe.
    pub async fn read(&self, offset: impl Into<Offset>, bytes: RangeInclusive<usize>) -> Result<ReadBatch> {
        if bytes.is_empty() {
            return Err(
                Error::new(ErrorKind::Config).what("fewer bytes at most than at least were asked for")
            );
        }
        let (context, offset) = (&self.client.context, offset.into());
        let deadline = context.now() + self.deadline;
        let mut fetcher = Fetcher::with_pool(&self.client, self.config(bytes), self.pool.clone());
        let assignment = Assignment {
            topic_partition: self.topic_partition.clone(),
            start: offset,
            leader_epoch: -1,
            committed: None,
        };
        let mut streams = fetcher.assign(AssignmentId(0), [assignment]);
        let stream = streams.first_mut().expect("one was assigned");
        let fetching = async {
            loop {
                fetcher.drive().await;
            }
        };
        let first = tokio::select! {
            biased;
            first = stream.next() => first.transpose()?,
            () = fetching => None,
            () = context.clock.sleep_until(deadline) => None,
        };
        rest(stream, first)
    }

    /// As [`read`](Self::read), from where the last one ended, or from where [`seek`](Self::seek) said; at first from
    /// the first record there is. Cancel-safe: a read that was dropped is done again.
    pub async fn read_batch(&mut self, bytes: RangeInclusive<usize>) -> Result<ReadBatch> {
        let batch = self.read(self.next, bytes).await?;
        self.next = batch.next_offset().map_or(self.next, Offset::Exact);
        Ok(batch)
    }

    /// Has the next [`read_batch`](Self::read_batch) begin there.
    pub fn seek(&mut self, offset: impl Into<Offset>) {
        self.next = offset.into();
    }

    /// Where the next [`read_batch`](Self::read_batch) begins.
    pub fn offset(&self) -> Offset {
        self.next
    }

    /// Asks between which offsets its records lie.
    pub async fn watermarks(&self) -> Result<Watermarks> {
        let found =
            self.within(self.client.watermarks([self.topic_partition.clone()], self.isolation)).await?;
        found.into_values().next().ok_or_else(|| self.overdue())
    }

    /// Asks for the first record that is as late as a time, or later; none if all are earlier.
    pub async fn offset_for_time(&self, time: Timestamp) -> Result<Option<OffsetAndTimestamp>> {
        let asked = [(self.topic_partition.clone(), time)];
        let found = self.within(self.client.offsets_for_times(asked)).await?;
        Ok(found.into_values().next().flatten())
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let context = &self.client.context;
        tokio::select! {
            biased;
            answer = asked => answer,
            () = context.clock.sleep_until(context.now() + self.deadline) => Err(self.overdue()),
        }
    }

    fn overdue(&self) -> Error {
        Error::new(ErrorKind::TimedOut).doing(format!("asking about {}", self.topic_partition))
    }

    fn producer(&self) -> Result<&Producer> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        let producer = Producer::builder(&self.client).delivery_timeout(self.deadline).build()?;
        Ok(self.producer.get_or_init(|| producer))
    }

    fn config(&self, bytes: RangeInclusive<usize>) -> config::Consumer {
        config::Consumer {
            start: StartOffset::None,
            max_wait: self.deadline * HELD_PERCENT / 100,
            min_bytes: *bytes.start(),
            max_bytes: *bytes.end(),
            partition_max_bytes: *bytes.end(),
            prefetch_bytes: *bytes.end(),
            isolation: self.isolation,
            ..config::Consumer::default()
        }
    }
}

impl fmt::Debug for PartitionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {:?}", self.topic_partition, self.next)
    }
}

/// What came along with the first batch.
fn rest(stream: &mut PartitionStream, first: Option<RecordBatch>) -> Result<ReadBatch> {
    let mut batches: Vec<_> = first.into_iter().collect();
    while let Poll::Ready(Some(batch)) = stream.poll_next(&mut Context::from_waker(Waker::noop())) {
        batches.push(batch?);
    }
    Ok(ReadBatch { batches, next_offset: stream.position(), high_watermark: stream.high_watermark() })
}

/// What one read brought.
#[derive(Debug, Clone)]
pub struct ReadBatch {
    batches: Vec<RecordBatch>,
    next_offset: Option<i64>,
    high_watermark: Option<i64>,
}

impl ReadBatch {
    /// The records in order, borrowed.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        self.batches.iter().flat_map(RecordBatch::iter)
    }

    /// The batches they came in.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// How many records it has.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::len).sum()
    }

    /// Whether nothing was there in time.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where reading goes on; none if it could not be found out in time where it begins.
    pub fn next_offset(&self) -> Option<i64> {
        self.next_offset
    }

    /// The end of the log, if the broker told it.
    pub fn high_watermark(&self) -> Option<i64> {
        self.high_watermark
    }
}
