//! What senders and the driver share under one lock: the batches, and where records of a topic may go.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::oneshot;
use vltava_core::{
    Moment, Rng, TopicPartition,
    cluster::{Topic, View},
    produce::{Batches, Lane, Mark, Rejected, Sticky, keyed},
};
use vltava_wire::record::RecordSlices;

use super::{Delivery, ProducerRecord, delivery::Ticket};
use crate::{
    cluster::Interest,
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
    /// Who waits until all up to a mark is done.
    flushes: Vec<(Mark, oneshot::Sender<()>)>,
    /// The driver is gone, as everything is done and nothing comes.
    ended: bool,
    topics: BTreeMap<Arc<str>, Spread>,
    batch_bytes: usize,
}

/// Where the records of a topic may go.
struct Spread {
    lanes: Vec<Lane>,
    /// The partitions that have a leader.
    led: Vec<i32>,
    sticky: Sticky,
    _interest: Interest,
}

/// What came of a push.
pub(super) enum Pushed {
    /// It is in a batch; `news` tells that the driver may have something to do.
    Taken { delivery: Delivery, news: bool },
    /// The topic, or the partition that the record names, is not known yet.
    Unknown,
    /// There is no memory left.
    Full,
}

impl Open {
    pub(super) fn new(batches: Batches<Arc<Ticket>>, batch_bytes: usize, rng: Rng) -> Self {
        let (flushes, topics) = (Vec::new(), BTreeMap::new());
        Self { batches, rng, closed: false, waiting: 0, flushes, ended: false, topics, batch_bytes }
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
    }

    /// The driver goes.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.flushes.clear();
    }

    /// Learns what partitions a topic has; says how many.
    pub(super) fn learn(&mut self, name: &Arc<str>, topic: &Topic, interest: Interest) -> usize {
        let spread = self.topics.entry(name.clone()).or_insert_with(|| Spread {
            lanes: Vec::new(),
            led: Vec::new(),
            sticky: Sticky::default(),
            _interest: interest,
        });
        spread.learn(name, topic, &mut self.batches);
        spread.lanes.len()
    }

    /// Looks what has become of the topics that are produced to: they may have grown, leaders may have moved.
    pub(super) fn refresh(&mut self, view: &View) {
        for (name, spread) in &mut self.topics {
            if let Some(topic) = view.topic(name) {
                spread.learn(name, topic, &mut self.batches);
            }
        }
    }

    /// Encodes a record into the open batch of its partition. `time` is its timestamp unless it has one.
    pub(super) fn push(&mut self, now: Moment, time: i64, record: &ProducerRecord) -> Result<Pushed> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed).doing("sending a record"));
        }
        let Some(spread) = self.topics.get_mut(&record.topic) else { return Ok(Pushed::Unknown) };
        let Some(partition) = spread.partition(record, self.batch_bytes, &mut self.rng) else {
            return Ok(Pushed::Unknown);
        };
        let slices = RecordSlices {
            timestamp: record.timestamp.map_or(time, |timestamp| timestamp.0),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        let ticket = || Ticket::new(TopicPartition::new(record.topic.clone(), partition));
        match self.batches.push(now, spread.lanes[partition as usize], slices, ticket) {
            Ok(pushed) => {
                let delivery = Delivery::new(pushed.ticket.clone(), pushed.index);
                Ok(Pushed::Taken { delivery, news: pushed.news })
            }
            Err(Rejected::Full { .. }) => Ok(Pushed::Full),
            Err(rejected) => Err(refused(rejected, &record.topic, partition)),
        }
    }
}

impl Spread {
    fn learn(&mut self, name: &Arc<str>, topic: &Topic, batches: &mut Batches<Arc<Ticket>>) {
        for partition in self.lanes.len()..topic.partitions.len() {
            self.lanes.push(batches.lane(&TopicPartition::new(name.clone(), partition as i32)));
        }
        self.led.clear();
        let led = topic.partitions.iter().enumerate().filter(|(_, it)| it.leader.is_some());
        self.led.extend(led.map(|(partition, _)| partition as i32));
    }

    /// Where a record goes: as it says, else as its key says, else where records without a key go just now. None if
    /// it names a partition that is not there yet.
    fn partition(&mut self, record: &ProducerRecord, batch_bytes: usize, rng: &mut Rng) -> Option<i32> {
        let count = self.lanes.len();
        match (record.partition, &record.key) {
            (Some(partition), _) => {
                Some(partition).filter(|it| usize::try_from(*it).is_ok_and(|number| number < count))
            }
            (None, Some(key)) => Some(keyed(key, count as u32) as i32),
            (None, None) => {
                let bytes = record.value.as_ref().map_or(0, bytes::Bytes::len);
                // Without any leader one partition is as good as another: it waits for one.
                Some(self.sticky.next(bytes.max(1), batch_bytes, &self.led, rng).unwrap_or(0))
            }
        }
    }
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
