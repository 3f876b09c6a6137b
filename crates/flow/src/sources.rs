//! The partitions of a shard: taking their batches as long as there is room, and knowing how far each is.

use std::{
    mem,
    task::{Context, Poll},
};

use vltava_client::{Commit, PartitionStream, RecordBatch, TopicPartition};
use vltava_core::work::{Place, Schedule};

use crate::{Error, Record, error::Result, wakes::Wakes};

/// The partitions of a shard, by the index of their place in its schedule.
#[derive(Default)]
pub(crate) struct Sources {
    sources: Vec<Option<Source>>,
    wakes: Wakes,
}

/// One partition.
pub(crate) struct Source {
    pub(crate) place: Place,
    stream: PartitionStream,
    /// What is left of the batch that was taken last.
    batch: Option<Batch>,
    /// Everything below was given to the schedule, or holds nothing to work on; none while it is not known where the
    /// partition starts, or since it went back.
    position: Option<i64>,
    /// What the group knows, as far as we do.
    committed: Option<i64>,
    /// The epoch of the leader that wrote the latest batch.
    leader_epoch: i32,
    /// It waits for room rather than for its stream.
    is_full: bool,
}

/// A batch and where in it we are.
struct Batch {
    records: std::vec::IntoIter<vltava_client::Record>,
    next_offset: i64,
}

/// What a stream that has no batch says.
type Polled = Poll<Option<vltava_client::Result<RecordBatch>>>;

/// How far a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// Every record below this offset is done; none until it is known where the partition starts.
    pub done: Option<i64>,
    /// The offset the group has committed; none if it has committed nothing.
    pub committed: Option<i64>,
    /// The end of what can be read; none until a broker told.
    pub end: Option<i64>,
}

impl Progress {
    /// How many offsets lie between what is done and the end; none until both are known.
    pub fn lag(&self) -> Option<u64> {
        Some(self.end?.saturating_sub(self.done?).max(0).unsigned_abs())
    }
}

impl Sources {
    /// Takes a partition in. Its records come from the next [`Sources::feed`] on.
    pub(crate) fn add(&mut self, schedule: &mut Schedule<Record>, stream: PartitionStream) {
        // Where it starts is known later; until then nothing of it is committed.
        let place = schedule.assign(0);
        let committed = stream.committed().map(|(offset, _)| offset);
        let source = Source {
            place,
            stream,
            batch: None,
            position: None,
            committed,
            leader_epoch: -1,
            is_full: false,
        };
        if self.sources.len() <= place.index() {
            self.sources.resize_with(place.index() + 1, || None);
        }
        self.sources[place.index()] = Some(source);
        self.wakes.wake(place.index() as u32);
    }

    /// Forgets a partition.
    pub(crate) fn remove(&mut self, place: Place) {
        self.sources[place.index()].take_if(|it| it.place == place);
    }

    /// The partitions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().flatten()
    }

    /// The place of a partition.
    pub(crate) fn find(&self, topic_partition: &TopicPartition) -> Option<Place> {
        self.iter().find(|it| it.stream.topic_partition() == topic_partition).map(|it| it.place)
    }

    /// Gives the schedule records of those partitions that have some and that it has room for.
    pub(crate) fn feed(
        &mut self,
        schedule: &mut Schedule<Record>,
        context: &mut Context<'_>,
    ) -> Result<bool> {
        let mut fed = false;
        while let Some(number) = self.wakes.take(context) {
            let Some(source) = &mut self.sources[number as usize] else { continue };
            let context = &mut Context::from_waker(self.wakes.waker(number));
            fed |= source.feed(schedule, context)?;
        }
        Ok(fed)
    }

    /// A record of this place is no longer held: there may be room again. A partition is fed again once half of
    /// what it may hold is done, rather than record by record.
    pub(crate) fn freed(&mut self, schedule: &Schedule<Record>, place: Place, most: usize) {
        let source = self.sources[place.index()].as_mut().filter(|it| it.place == place && it.is_full);
        if let Some(source) = source
            && schedule.held_of(place) <= most / 2
        {
            source.is_full = false;
            self.wakes.wake(place.index() as u32);
        }
    }

    /// The commits due for those partitions that `chosen` says.
    pub(crate) fn commits(&self, schedule: &Schedule<Record>, chosen: impl Fn(Place) -> bool) -> Vec<Commit> {
        let chosen = self.iter().filter(|it| chosen(it.place));
        chosen.filter_map(|source| source.commit(schedule)).collect()
    }

    /// These are known to the group.
    pub(crate) fn committed(&mut self, commits: &[Commit]) {
        for commit in commits {
            let same = |it: &&mut Source| {
                it.stream.assignment() == commit.assignment
                    && *it.stream.topic_partition() == commit.topic_partition
            };
            if let Some(source) = self.sources.iter_mut().flatten().find(same) {
                source.committed = Some(commit.offset);
            }
        }
    }

    /// How far each partition is.
    pub(crate) fn progress(&self, schedule: &Schedule<Record>) -> Vec<Progress> {
        self.iter().map(|source| source.progress(schedule)).collect()
    }
}

impl Source {
    /// The partition.
    pub(crate) fn topic_partition(&self) -> &TopicPartition {
        self.stream.topic_partition()
    }

    fn feed(&mut self, schedule: &mut Schedule<Record>, context: &mut Context<'_>) -> Result<bool> {
        let mut fed = false;
        loop {
            if !schedule.has_room(self.place) {
                self.is_full = true;
                return Ok(fed);
            }
            if let Some(batch) = &mut self.batch {
                match batch.records.next() {
                    Some(record) => self.offer(schedule, record)?,
                    None => {
                        let next_offset = batch.next_offset;
                        self.batch = None;
                        self.skip_to(schedule, next_offset)?;
                    }
                }
                fed = true;
                continue;
            }
            match self.stream.poll_next(context) {
                Poll::Ready(Some(Ok(batch))) => self.batch = Some(self.open(&batch)),
                other => return self.stand_still(schedule, other).map(|()| fed),
            }
        }
    }

    /// There is no further batch; still the stream may have moved.
    fn stand_still(&mut self, schedule: &mut Schedule<Record>, polled: Polled) -> Result<()> {
        if let Some(position) = self.stream.position() {
            self.skip_to(schedule, position)?;
        }
        match polled {
            Poll::Ready(Some(Err(error))) => {
                Err(Error::client(format!("reading {} failed", self.topic_partition()), error))
            }
            // Where the assignment has ended, the driver says why.
            _ => Ok(()),
        }
    }

    fn offer(&mut self, schedule: &mut Schedule<Record>, record: vltava_client::Record) -> Result<()> {
        let (offset, bytes) = (record.offset(), mem::size_of::<Record>() + record.bytes());
        self.go_on_at(offset)?;
        schedule.offer(self.place, offset, bytes, Record::new(self.topic_partition().clone(), record));
        self.position = Some(offset + 1);
        Ok(())
    }

    fn skip_to(&mut self, schedule: &mut Schedule<Record>, position: i64) -> Result<()> {
        self.go_on_at(position)?;
        schedule.skip_to(self.place, position);
        self.position = Some(position);
        Ok(())
    }

    /// Offsets only grow, as long as the log is the same. Of another nothing is known, and nothing is committed.
    fn go_on_at(&mut self, offset: i64) -> Result<()> {
        match self.position.take_if(|position| offset < *position) {
            Some(position) => Err(Error::went_back(self.topic_partition(), position, offset)),
            None => Ok(()),
        }
    }

    fn open(&mut self, batch: &RecordBatch) -> Batch {
        self.leader_epoch = batch.leader_epoch();
        let records: Vec<_> = batch.records().collect();
        Batch { records: records.into_iter(), next_offset: batch.next_offset() }
    }

    /// The offset from which another would have to go on.
    fn done(&self, schedule: &Schedule<Record>) -> Option<i64> {
        self.position?;
        schedule.watermark(self.place)
    }

    fn commit(&self, schedule: &Schedule<Record>) -> Option<Commit> {
        let offset = self.done(schedule)?;
        if self.committed == Some(offset) {
            return None;
        }
        let at_end = self.batch.is_none() && self.position == Some(offset);
        Some(Commit {
            topic_partition: self.stream.topic_partition().clone(),
            assignment: self.stream.assignment(),
            offset,
            leader_epoch: if at_end { self.leader_epoch } else { -1 },
            metadata: String::new(),
        })
    }

    fn progress(&self, schedule: &Schedule<Record>) -> Progress {
        Progress {
            topic_partition: self.stream.topic_partition().clone(),
            done: self.done(schedule),
            committed: self.committed,
            end: self.stream.high_watermark().filter(|end| *end >= 0),
        }
    }
}
