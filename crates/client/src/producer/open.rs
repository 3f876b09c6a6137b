//! What senders and the driver share under one lock: the batches, and where records of a topic may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::oneshot;
use vltava_core::{
    Moment, Rng, TopicPartition,
    cluster::{Topic, View},
    planted::{Plant, planted},
    produce::{Batches, Choice, Lane, Mark, Partitioner, Partitions, Rejected, Spread},
};
use vltava_wire::record::RecordSlices;

use super::{ProducerRecord, delivery::Ticket};
use crate::{
    cluster::Interest,
    config,
    error::{Error, ErrorKind, Result},
};

/// Batches that are open or under way, and the topics they belong to.
pub(super) struct Open {
    pub(super) batches: Batches<Arc<Ticket>>,
    pub(super) rng: Rng,
    /// No record is taken any more.
    pub(super) closed: bool,
    /// How many senders wait for memory. Others queue behind them.
    pub(super) waiting: usize,
    /// The driver may have something to do that it had not before.
    pub(super) news: bool,
    /// Topics that somebody is finding out about.
    pub(super) learning: BTreeSet<Arc<str>>,
    /// Who waits until all up to a mark is done.
    flushes: Vec<(Mark, oneshot::Sender<()>)>,
    /// The driver is gone, as everything is done and nothing comes.
    ended: bool,
    topics: BTreeMap<Arc<str>, Lanes>,
    partitioner: Partitioner,
    own: Option<OwnPartitioner>,
    batch_bytes: usize,
}

/// Where the records of a topic may go.
struct Lanes {
    lanes: Vec<Lane>,
    /// The partitions that have a leader.
    led: Vec<i32>,
    spread: Spread,
    _interest: Interest,
}

/// A function of the user's that chooses partitions.
#[derive(Clone)]
pub(super) struct OwnPartitioner(pub(super) Arc<Choose>);

type Choose = dyn Fn(&ProducerRecord, Partitions<'_>) -> i32 + Send + Sync;

impl fmt::Debug for OwnPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPartitioner")
    }
}

/// A record to be pushed.
pub(super) struct Sent<'a> {
    pub(super) record: &'a ProducerRecord,
    /// Its timestamp, unless it has one.
    pub(super) time: i64,
    /// When it was sent, if it had to wait since.
    pub(super) since: Option<Moment>,
}

/// What came of a push.
pub(super) enum Pushed<T> {
    /// It is in a batch.
    Taken(T),
    /// The topic, or the partition that the record names, is not known yet.
    Unknown,
    /// There is no memory left.
    Full,
}

impl Open {
    pub(super) fn new(
        batches: Batches<Arc<Ticket>>,
        config: &config::Producer,
        own: Option<OwnPartitioner>,
        rng: Rng,
    ) -> Self {
        let (flushes, topics) = (Vec::new(), BTreeMap::new());
        let config::Producer { partitioner, batch_bytes, .. } = *config;
        let (closed, waiting, news, learning, ended) = (false, 0, false, BTreeSet::new(), false);
        Self {
            batches,
            rng,
            closed,
            waiting,
            news,
            learning,
            flushes,
            ended,
            topics,
            partitioner,
            own,
            batch_bytes,
        }
    }

    /// Lets all go that was pushed; completes, if by an error, when it is done.
    pub(super) fn flush(&mut self) -> oneshot::Receiver<()> {
        let (flushed, wait) = oneshot::channel();
        if !self.ended {
            self.flushes.push((self.batches.flush(), flushed));
        }
        wait
    }

    /// Tells who waits for a flush that all of it is done, and that its records were told so.
    pub(super) fn tell_flushed(&mut self) {
        let Self { flushes, batches, .. } = self;
        // Who is told notices that nobody is there to tell.
        flushes.retain(|(mark, _)| !batches.is_flushed(*mark));
        if planted(Plant::FlushedEarly) {
            flushes.clear();
        }
    }

    /// The driver goes.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.flushes.clear();
    }

    /// Learns what partitions a topic has; says how many.
    pub(super) fn learn(&mut self, name: &Arc<str>, topic: &Topic, interest: Interest) -> usize {
        let lanes = self.topics.entry(name.clone()).or_insert_with(|| Lanes {
            lanes: Vec::new(),
            led: Vec::new(),
            spread: Spread::new(self.partitioner),
            _interest: interest,
        });
        lanes.learn(name, topic, &mut self.batches);
        lanes.lanes.len()
    }

    /// Looks what has become of the topics that are produced to: they may have grown, leaders may have moved.
    pub(super) fn refresh(&mut self, view: &View) {
        for (name, lanes) in &mut self.topics {
            if let Some(topic) = view.topic(name) {
                lanes.learn(name, topic, &mut self.batches);
            }
        }
    }

    /// Encodes a record into the open batch of its partition. What is made of the batch's ticket and the record's
    /// place in it is given back.
    pub(super) fn push<T>(
        &mut self,
        now: impl FnOnce() -> Moment,
        Sent { record, time, since }: Sent<'_>,
        taken: impl FnOnce(&Arc<Ticket>, u32) -> T,
    ) -> Result<Pushed<T>> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed).doing("sending a record"));
        }
        let Some(topic) = self.topics.get_mut(&record.topic) else { return Ok(Pushed::Unknown) };
        let (partition, lane) = match (record.partition, &self.own) {
            (Some(partition), _) => match topic.lane(partition) {
                Some(lane) => (partition, lane),
                None => return Ok(Pushed::Unknown),
            },
            (None, Some(own)) => topic.chosen((own.0)(record, topic.partitions()), record)?,
            (None, None) => {
                let key = record.key.as_deref();
                let bytes = key.map_or(0, <[u8]>::len) + record.value.as_ref().map_or(0, Bytes::len);
                let choice = Choice { key, bytes, batch_bytes: self.batch_bytes };
                let among = Partitions { count: topic.lanes.len() as u32, available: &topic.led };
                match topic.spread.choose(choice, among, &mut self.rng) {
                    Some(partition) => topic.chosen(partition, record)?,
                    None if self.partitioner == Partitioner::Manual => return Err(partitionless(record)),
                    None => return Ok(Pushed::Unknown),
                }
            }
        };
        let slices = RecordSlices {
            timestamp: record.timestamp.map_or(time, |timestamp| timestamp.0),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        let ticket = || Ticket::new(TopicPartition::new(record.topic.clone(), partition));
        match self.batches.push(now, lane, slices, ticket) {
            Ok(pushed) => {
                self.news |= pushed.news;
                let taken = taken(pushed.ticket, pushed.index);
                since.into_iter().for_each(|since| self.batches.backdate(lane, since));
                Ok(Pushed::Taken(taken))
            }
            Err(Rejected::Full { .. }) => {
                self.news = true;
                Ok(Pushed::Full)
            }
            Err(rejected) => Err(refused(rejected, &record.topic, partition)),
        }
    }
}

impl Lanes {
    fn learn(&mut self, name: &Arc<str>, topic: &Topic, batches: &mut Batches<Arc<Ticket>>) {
        for partition in self.lanes.len()..topic.partitions.len() {
            self.lanes.push(batches.lane(&TopicPartition::new(name.clone(), partition as i32)));
        }
        self.led.clear();
        let led = topic.partitions.iter().enumerate().filter(|(_, it)| it.leader.is_some());
        self.led.extend(led.map(|(partition, _)| partition as i32));
    }

    fn partitions(&self) -> Partitions<'_> {
        Partitions { count: self.lanes.len() as u32, available: &self.led }
    }

    fn lane(&self, partition: i32) -> Option<Lane> {
        self.lanes.get(usize::try_from(partition).ok()?).copied()
    }

    /// The lane of a partition that was chosen for a record.
    fn chosen(&self, partition: i32, record: &ProducerRecord) -> Result<(i32, Lane)> {
        let lane = self.lane(partition).ok_or_else(|| {
            let (topic, count) = (&record.topic, self.lanes.len());
            let what = format!("the partitioner chose {topic}-{partition}, and there are {count} partitions");
            Error::new(ErrorKind::Config).what(what).doing("sending a record")
        })?;
        Ok((partition, lane))
    }
}

fn partitionless(record: &ProducerRecord) -> Error {
    let what = format!("a record of {} names no partition, and the partitioner is manual", record.topic);
    let error = Error::new(ErrorKind::Config).what(what).doing("sending a record");
    error.fix("set its partition, or another partitioner")
}

fn refused(rejected: Rejected, topic: &str, partition: i32) -> Error {
    let error = match &rejected {
        Rejected::TooLarge { .. } => Error::new(ErrorKind::TooLarge)
            .fix("raise record_bytes_max, and max.message.bytes of the topic with it"),
        Rejected::Fatal(code) => Error::refused(*code),
        Rejected::Unsound(_) | Rejected::Full { .. } => Error::new(ErrorKind::Config),
    };
    error
        .doing(format!("sending a record to {topic}-{partition}"))
        .what(rejected.to_string())
        .because(rejected)
}
