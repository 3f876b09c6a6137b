//! Consumers whose calls are written down, and what they are handed: a [`Reader`] of partitions that were named, a
//! [`Member`] of a group.

use std::{collections::BTreeMap, time::Duration};

use futures_util::FutureExt;
use vltava_client::{
    AssignedConsumer, AssignmentId, Client, Consumer, ConsumerRecord, Error, Notice, Notices, Offset,
    PartitionStream, RecordBatch, Result, TopicPartition, config,
};

use super::{Call, Partition, Record, Recorder, Start, What, recorder::micros};

/// A consumer of partitions that were named, whose calls are written down.
#[derive(Debug)]
pub struct Reader {
    inner: AssignedConsumer,
    scribe: Scribe,
}

impl Reader {
    /// Reads these partitions, under a name that nobody else has.
    pub async fn assign(
        recorder: &Recorder,
        name: impl Into<String>,
        client: &Client,
        config: config::Consumer,
        partitions: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) -> Result<Self> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let resets = config.start.offset().map(Start::from);
        let inner = client.consumer().config(config).assign(partitions.clone()).await?;
        let scribe = Scribe::begin(recorder, name.into(), (None, resets), inner.notices());
        for (partition, offset) in &partitions {
            scribe.assigned(AssignmentId(0), partition, (*offset).into());
        }
        Ok(Self { inner, scribe })
    }

    /// As [`AssignedConsumer::stop_at`].
    pub fn stop_at(&mut self, ends: impl IntoIterator<Item = (TopicPartition, i64)>) {
        self.inner.stop_at(ends);
    }

    /// The next batch, as [`AssignedConsumer::next`].
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let polled = self.inner.next().await;
        self.scribe.polled(&polled);
        polled
    }

    /// The next record, as [`AssignedConsumer::recv`].
    pub async fn recv(&mut self) -> Result<Option<ConsumerRecord>> {
        let polled = self.inner.recv().await;
        self.scribe.received(&polled);
        polled
    }

    /// Goes on elsewhere in a partition, if it is read.
    pub fn seek(&mut self, partition: &TopicPartition, offset: Offset) {
        if let Some(stream) = self.inner.partition(partition) {
            self.scribe.seek(stream, offset);
        }
    }

    /// Hands out no more of a partition for the time being.
    pub fn pause(&mut self, partition: &TopicPartition) {
        if let Some(stream) = self.inner.partition(partition) {
            self.scribe.pause(stream);
        }
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&mut self, partition: &TopicPartition) {
        if let Some(stream) = self.inner.partition(partition) {
            self.scribe.resume(stream);
        }
    }

    /// The partitions that are read.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &PartitionStream> {
        self.inner.partitions()
    }
}

/// A member of a group, whose calls are written down.
#[derive(Debug)]
pub struct Member {
    inner: Consumer,
    scribe: Scribe,
    /// Where a partition starts of which nothing is committed.
    start: Start,
    assigned: BTreeMap<TopicPartition, AssignmentId>,
}

impl Member {
    /// Becomes a member of the group, under a name that nobody else has.
    pub async fn subscribe(
        recorder: &Recorder,
        name: impl Into<String>,
        client: &Client,
        config: config::Consumer,
        (group, topics): (&str, &[&str]),
    ) -> Result<Self> {
        let resets = config.start.offset().map(Start::from);
        let topics = topics.iter().map(|it| (*it).to_owned());
        let inner = client.consumer().config(config).group(group).subscribe(topics).await?;
        let group = Some(group.to_owned());
        let scribe = Scribe::begin(recorder, name.into(), (group, resets), inner.notices());
        let start = resets.unwrap_or(Start::Latest);
        Ok(Self { inner, scribe, start, assigned: BTreeMap::new() })
    }

    /// The next batch, as [`Consumer::next`].
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let polled = self.inner.next().await;
        self.note_assignments();
        self.scribe.polled(&polled);
        polled
    }

    /// Commits that a batch is done, as [`Consumer::commit`].
    pub async fn commit(&self, batch: &RecordBatch) -> Result<()> {
        let call = Call::Commit { partition: batch.topic_partition().into(), offset: batch.next_offset() };
        let pending = self.scribe.recorder.call(&self.scribe.name, call);
        let outcome = self.inner.commit(batch).await;
        pending.end(&outcome);
        outcome
    }

    /// Leaves the group, as [`Consumer::shutdown`].
    pub async fn shutdown(self, within: Duration) -> Result<()> {
        let call = Call::Shutdown { within: micros(within) };
        let pending = self.scribe.recorder.call(&self.scribe.name, call);
        let outcome = self.inner.shutdown(within).await;
        pending.end(&outcome);
        outcome
    }

    /// Writes down what came and went since the last time.
    fn note_assignments(&mut self) {
        let now = self.inner.partitions().map(|it| (it.topic_partition().clone(), it.assignment()));
        let now: BTreeMap<_, _> = now.collect();
        for (partition, assignment) in &self.assigned {
            if now.get(partition) != Some(assignment) {
                self.scribe.revoked(*assignment, partition);
            }
        }
        for stream in self.inner.partitions() {
            if self.assigned.get(stream.topic_partition()) != Some(&stream.assignment()) {
                let start = stream.committed().map_or(self.start, |(offset, _)| Start::At(offset));
                self.scribe.assigned(stream.assignment(), stream.topic_partition(), start);
            }
        }
        self.assigned = now;
    }
}

/// Writes down what concerns one consumer.
#[derive(Debug)]
struct Scribe {
    recorder: Recorder,
    name: String,
    notices: Notices,
}

impl Scribe {
    fn begin(
        recorder: &Recorder,
        name: String,
        (group, resets): (Option<String>, Option<Start>),
        notices: Notices,
    ) -> Self {
        recorder.note(What::Consumer { client: name.clone(), group, resets });
        Self { recorder: recorder.clone(), name, notices }
    }

    /// Writes down what was polled, behind the notices that led there.
    fn polled(&mut self, polled: &Result<Option<RecordBatch>>) {
        self.note_notices();
        match polled {
            Ok(Some(batch)) => self.batch(batch),
            Ok(None) => (),
            Err(error) => self.failed(error),
        }
    }

    fn batch(&self, batch: &RecordBatch) {
        let records = batch.iter().map(|it| Record::of(&it));
        self.recorder.note(What::Poll {
            client: self.name.clone(),
            assignment: batch.assignment().0,
            partition: batch.topic_partition().into(),
            next: batch.next_offset(),
            records: records.collect(),
        });
    }

    /// The same for a single record.
    fn received(&mut self, received: &Result<Option<ConsumerRecord>>) {
        self.note_notices();
        match received {
            Ok(Some(it)) => self.recorder.note(What::Poll {
                client: self.name.clone(),
                assignment: it.assignment().0,
                partition: it.topic_partition().into(),
                next: it.offset() + 1,
                records: vec![Record::at(it.offset(), it.value())],
            }),
            Ok(None) => (),
            Err(error) => self.failed(error),
        }
    }

    fn failed(&self, error: &Error) {
        self.recorder.note(What::PollFailed { client: self.name.clone(), error: error.to_string() });
    }

    fn note_notices(&mut self) {
        while let Some(Some(notice)) = tokio::task::unconstrained(self.notices.next()).now_or_never() {
            self.notice(&notice);
        }
        assert_eq!(self.notices.missed(), 0, "a consumer told more between two polls than it keeps");
    }

    fn notice(&self, notice: &Notice) {
        let client = self.name.clone();
        self.recorder.note(match notice {
            Notice::Jumped(it) => What::Jump {
                client,
                partition: (&it.topic_partition).into(),
                from: it.from,
                to: it.to,
                cause: it.cause.into(),
            },
            Notice::EndReached { topic_partition, offset } => {
                What::EndReached { client, partition: topic_partition.into(), offset: *offset }
            }
            Notice::Stalled { topic_partition, since, stall } => What::Stalled {
                client,
                partition: topic_partition.into(),
                since: micros(*since),
                stall: stall.to_string(),
            },
            _ => return,
        });
    }

    fn assigned(&self, assignment: AssignmentId, partition: &TopicPartition, start: Start) {
        let (client, partition) = (self.name.clone(), Partition::from(partition));
        self.recorder.note(What::Assigned { client, assignment: assignment.0, partition, start });
    }

    fn revoked(&self, assignment: AssignmentId, partition: &TopicPartition) {
        let (client, partition) = (self.name.clone(), Partition::from(partition));
        self.recorder.note(What::Revoked { client, assignment: assignment.0, partition });
    }

    /// What was told before the seek is written down before it.
    fn seek(&mut self, stream: &mut PartitionStream, offset: Offset) {
        self.note_notices();
        let (client, partition) = (self.name.clone(), stream.topic_partition().into());
        self.recorder.note(What::Seek { client, partition, start: offset.into() });
        stream.seek(offset);
    }

    fn pause(&self, stream: &mut PartitionStream) {
        let (client, partition) = (self.name.clone(), stream.topic_partition().into());
        self.recorder.note(What::Pause { client, partition });
        stream.pause();
    }

    fn resume(&self, stream: &mut PartitionStream) {
        let (client, partition) = (self.name.clone(), stream.topic_partition().into());
        self.recorder.note(What::Resume { client, partition });
        stream.resume();
    }
}
