//! Keeps one fetch under way for every broker that leads what is assigned, each independent of the others, and
//! hands what comes to the partitions' lanes as it came: checking and decompressing is left to whoever takes it.
//!
//! It is part of its owner's task, so that assigning, revoking and fetching cannot race.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Notify;
use tracing::{debug, warn};
use vltava_core::{
    Moment, Rng, TopicPartition,
    cluster::{Leader, NodeId, Target},
};
use vltava_wire::{
    ErrorCode,
    messages::{FetchResponse, fetch::PartitionData},
    record,
};

use super::{
    AssignmentId, Offset, PartitionStream,
    fetch::{self, Wanted},
    lane::{Item, Lane},
    stream::Identity,
};
use crate::{
    Client, StartOffset,
    alarm::Alarm,
    cluster::{Attempt, Cluster, Interest, Place},
    config,
    error::{Error, ErrorKind, Result},
    net::{BoxFuture, Pool},
    news::Reader,
};

/// A partition to read, and where from.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) start: Offset,
    /// What the group had committed, for the stream to tell.
    pub(crate) committed: Option<(i64, String)>,
}

/// The fetching of all that is assigned to one consumer.
pub(crate) struct Fetcher {
    cluster: Cluster,
    /// Its own connections: a fetch that waits for records holds up whatever is behind it.
    pool: Arc<Pool>,
    config: config::Consumer,
    partitions: BTreeMap<TopicPartition, Partition>,
    brokers: BTreeMap<NodeId, Pace>,
    looking_up: bool,
    calls: FuturesUnordered<BoxFuture<Done>>,
    room: Arc<Notify>,
    news: Reader,
    alarm: Alarm,
    rng: Rng,
}

/// A partition that is assigned.
struct Partition {
    assignment: AssignmentId,
    lane: Arc<Lane>,
    state: State,
    failures: u32,
    not_before: Moment,
    _interest: Interest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its offset is to be looked up.
    Sought(Place),
    /// It goes on here.
    At(i64),
    /// An answer for it is due.
    Asked(i64),
    /// It stands still for good.
    Failed,
}

/// How a broker has answered lately.
#[derive(Default)]
struct Pace {
    busy: bool,
    failures: u32,
    not_before: Moment,
}

/// An answer, or none.
enum Done {
    Fetched { leader: NodeId, wanted: Vec<Wanted>, answer: Result<FetchResponse> },
    Found { sought: BTreeMap<TopicPartition, AssignmentId>, found: Result<BTreeMap<TopicPartition, i64>> },
}

impl Fetcher {
    pub(crate) fn new(client: &Client, config: config::Consumer) -> Self {
        let (context, cluster) = (&client.context, client.cluster.clone());
        Self {
            pool: Arc::new(Pool::new(context.clone())),
            config,
            partitions: BTreeMap::new(),
            brokers: BTreeMap::new(),
            looking_up: false,
            calls: FuturesUnordered::new(),
            room: Arc::default(),
            news: cluster.news(),
            alarm: Alarm::new(context.clock.clone()),
            rng: context.rng(),
            cluster,
        }
    }

    /// Begins to read partitions, which must not be assigned already. What was fetched before it is polled again
    /// goes by the new assignment's number.
    pub(crate) fn assign(
        &mut self,
        assignment: AssignmentId,
        partitions: impl IntoIterator<Item = Assignment>,
    ) -> Vec<PartitionStream> {
        partitions.into_iter().map(|it| self.assign_one(assignment, it)).collect()
    }

    /// Ends the reading of partitions: their streams end, what was fetched and not taken is dropped.
    pub(crate) fn unassign<'a>(&mut self, partitions: impl IntoIterator<Item = &'a TopicPartition>) {
        for partition in partitions {
            if let Some(known) = self.partitions.remove(partition) {
                known.lane.end();
            }
        }
    }

    /// Fetches, for as long as it is polled. Cancel-safe: nothing that came is lost.
    pub(crate) async fn drive(&mut self) -> Infallible {
        loop {
            let deadline = self.act();
            tokio::select! {
                biased;
                Some(done) = self.calls.next() => self.settle(done),
                () = self.room.notified() => (),
                () = self.news.changed() => (),
                () = self.alarm.wait(deadline) => (),
            }
        }
    }

    fn assign_one(&mut self, assignment: AssignmentId, it: Assignment) -> PartitionStream {
        let Assignment { topic_partition, start, committed } = it;
        let lane = Arc::new(Lane::new(self.room.clone()));
        let state = match Place::of(start) {
            Ok(place) => State::Sought(place),
            Err(offset) => {
                lane.put([Item::Position(offset)], 0);
                State::At(offset)
            }
        };
        let partition = Partition {
            assignment,
            lane: lane.clone(),
            state,
            failures: 0,
            not_before: Moment::default(),
            _interest: self.cluster.interest(&topic_partition.topic),
        };
        self.partitions.insert(topic_partition.clone(), partition);
        let identity = Identity { topic_partition, assignment, committed };
        PartitionStream::new(identity, lane, self.cluster.context().counters.clone())
    }

    /// Starts whatever can be started; says when there may be more.
    fn act(&mut self) -> Option<Moment> {
        self.partitions.retain(|_, partition| !partition.lane.has_ended());
        let now = self.cluster.context().now();
        self.look_up(now);
        let queued: usize = self.partitions.values().map(|partition| partition.lane.bytes()).sum();
        for (leader, ready) in self.ready(now) {
            self.fetch(leader, ready, queued);
        }
        let pauses = self.partitions.values().map(|it| it.not_before);
        pauses.chain(self.brokers.values().map(|it| it.not_before)).filter(|at| *at > now).min()
    }

    /// Looks up the offsets that are sought, all at once, one time after another.
    fn look_up(&mut self, now: Moment) {
        let places: BTreeMap<_, _> = self
            .partitions
            .iter()
            .filter_map(|(name, it)| match it.state {
                State::Sought(place) if it.not_before <= now => Some((name.clone(), (it.assignment, place))),
                _ => None,
            })
            .collect();
        if self.looking_up || places.is_empty() {
            return;
        }
        self.looking_up = true;
        let (cluster, pool) = (self.cluster.clone(), self.pool.clone());
        let deadline = now + cluster.context().connection.call_timeout;
        self.calls.push(Box::pin(async move {
            let sought = places.iter().map(|(name, (assignment, _))| (name.clone(), *assignment)).collect();
            let places = places.into_iter().map(|(name, (_, place))| (name, place)).collect();
            Done::Found { sought, found: cluster.offsets(&pool, places, deadline).await }
        }));
    }

    /// What can be fetched now, by leader. A partition whose lane holds anything has its turn later.
    fn ready(&mut self, now: Moment) -> BTreeMap<NodeId, Ready> {
        let mut leaders: BTreeMap<NodeId, Ready> = BTreeMap::new();
        let mut leaderless = false;
        for (name, partition) in &self.partitions {
            let State::At(offset) = partition.state else { continue };
            if partition.not_before > now {
                continue;
            }
            let Some(Leader { node, epoch }) = self.cluster.leader(name) else {
                leaderless = true;
                continue;
            };
            if self.brokers.get(&node).is_some_and(|it| it.busy || it.not_before > now) {
                continue;
            }
            let ready = leaders.entry(node).or_default();
            if partition.lane.bytes() > 0 {
                ready.held_back = true;
                continue;
            }
            let (topic_partition, assignment) = (name.clone(), partition.assignment);
            ready.wanted.push(Wanted { topic_partition, assignment, offset, leader_epoch: epoch });
        }
        if leaderless {
            self.cluster.stale();
        }
        leaders.retain(|_, ready| !ready.wanted.is_empty());
        leaders
    }

    fn fetch(&mut self, leader: NodeId, ready: Ready, queued: usize) {
        let Ready { wanted, held_back } = ready;
        for it in &wanted {
            if let Some(partition) = self.partitions.get_mut(&it.topic_partition) {
                partition.state = State::Asked(it.offset);
            }
        }
        self.brokers.entry(leader).or_default().busy = true;
        let request = fetch::request(&self.config, &wanted, queued, held_back);
        let (cluster, pool) = (self.cluster.clone(), self.pool.clone());
        let timeout = cluster.context().connection.request_timeout;
        let (deadline, patience) = (cluster.context().now() + timeout, timeout + self.config.max_wait);
        self.calls.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target: Target::Node(leader), deadline };
            let answer = match cluster.link(&attempt).await {
                Ok(link) => link.call(|_| request, patience).await,
                Err(error) => Err(error),
            };
            Done::Fetched { leader, wanted, answer }
        }));
    }

    fn settle(&mut self, done: Done) {
        match done {
            Done::Fetched { leader, wanted, answer } => self.on_fetched(leader, wanted, answer),
            Done::Found { sought, found } => self.on_found(&sought, found),
        }
    }

    fn on_found(
        &mut self,
        sought: &BTreeMap<TopicPartition, AssignmentId>,
        found: Result<BTreeMap<TopicPartition, i64>>,
    ) {
        self.looking_up = false;
        let now = self.cluster.context().now();
        for (name, assignment) in sought {
            let Some(partition) = self.partitions.get_mut(name).filter(|it| it.assignment == *assignment)
            else {
                continue;
            };
            match &found {
                Ok(found) => {
                    if let Some(&offset) = found.get(name) {
                        partition.start_at(offset);
                    }
                }
                Err(error) if error.is_retriable() => {
                    debug!(partition = %name, %error, "no offset to start from yet");
                    partition.pause(now, &self.cluster, &mut self.rng);
                }
                Err(error) => partition.fail(error.clone()),
            }
        }
    }

    fn on_fetched(&mut self, leader: NodeId, wanted: Vec<Wanted>, answer: Result<FetchResponse>) {
        let now = self.cluster.context().now();
        self.brokers.entry(leader).or_default().busy = false;
        let wanted: BTreeMap<_, _> = wanted.into_iter().map(|it| (it.topic_partition.clone(), it)).collect();
        for it in wanted.values() {
            if let Some(partition) = self.asked(it) {
                partition.state = State::At(it.offset);
            }
        }
        let answer = answer.and_then(|answer| match ErrorCode::from(answer.error_code) {
            ErrorCode::None => Ok(answer),
            code => Err(Error::refused(code)),
        });
        let pace = self.brokers.entry(leader).or_default();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                debug!(%leader, %error, "a fetch failed");
                pace.failures = pace.failures.saturating_add(1);
                let backoff = self.cluster.context().connection.backoff;
                pace.not_before = now + backoff.after(pace.failures, &mut self.rng);
                self.cluster.lost(leader);
                return;
            }
        };
        pace.failures = 0;
        let frame_bytes = fetch::bytes(&answer);
        self.cluster.context().counters.bytes_fetched.add(frame_bytes as u64);
        for topic in answer.responses {
            for data in topic.partitions {
                let name = TopicPartition::new(topic.topic.as_str(), data.partition_index);
                if let Some(it) = wanted.get(&name) {
                    self.on_data(it, data, frame_bytes);
                }
            }
        }
    }

    /// The partition that something was wanted for, unless its assignment has ended since.
    fn asked(&mut self, wanted: &Wanted) -> Option<&mut Partition> {
        self.partitions.get_mut(&wanted.topic_partition).filter(|it| it.assignment == wanted.assignment)
    }

    fn on_data(&mut self, wanted: &Wanted, data: PartitionData, frame_bytes: usize) {
        let code = ErrorCode::from(data.error_code);
        let config_start = self.config.start;
        let now = self.cluster.context().now();
        let name = &wanted.topic_partition;
        let cluster = self.cluster.clone();
        let mut rng = self.rng.clone();
        let Some(partition) = self.asked(wanted) else { return };
        match code {
            ErrorCode::None => partition.take(wanted.offset, data, frame_bytes),
            ErrorCode::OffsetOutOfRange => partition.out_of_range(name, wanted.offset, config_start),
            code if code.is_retriable() => {
                debug!(partition = %name, %code, "not here, not now");
                partition.pause(now, &cluster, &mut rng);
                let (node, epoch) = (data.current_leader.leader_id, data.current_leader.leader_epoch);
                if node >= 0 {
                    cluster.on_leader(name, Leader { node: NodeId(node), epoch });
                }
                cluster.on_refusal(&Target::Leader(name.clone()), code);
            }
            code => partition.fail(Error::refused(code).doing(format!("fetching from {name}"))),
        }
        self.rng = rng;
    }
}

/// What a broker can be asked for.
#[derive(Default)]
struct Ready {
    wanted: Vec<Wanted>,
    /// Whether there are partitions that will want something as soon as their lanes are empty.
    held_back: bool,
}

impl Partition {
    fn start_at(&mut self, offset: i64) {
        self.failures = 0;
        self.state = State::At(offset);
        self.lane.put([Item::Position(offset)], 0);
    }

    fn pause(&mut self, now: Moment, cluster: &Cluster, rng: &mut Rng) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + cluster.context().connection.backoff.after(self.failures, rng);
    }

    fn fail(&mut self, error: Error) {
        self.state = State::Failed;
        self.lane.put([Item::Failed(error)], 0);
    }

    /// Puts what came into the lane, and goes on behind it.
    fn take(&mut self, offset: i64, data: PartitionData, frame_bytes: usize) {
        self.failures = 0;
        let high_watermark = data.high_watermark;
        let records = fetch::own(data.records.unwrap_or_default(), frame_bytes);
        let (mut next, mut items, mut failed) = (offset, Vec::new(), false);
        let bytes = records.len();
        let mut seen = BTreeSet::new();
        for batch in record::batches(records) {
            match batch {
                Ok(batch) if batch.last_offset() >= next && seen.insert(batch.base_offset) => {
                    next = batch.last_offset().saturating_add(1);
                    items.push(Item::Batch { batch, high_watermark });
                }
                Ok(_) => (),
                Err(error) => {
                    let what = format!("what was fetched at offset {next} is damaged: {error}");
                    items.push(Item::Failed(Error::new(ErrorKind::Corrupt).what(what).because(error)));
                    failed = true;
                    break;
                }
            }
        }
        self.state = if failed { State::Failed } else { State::At(next) };
        self.lane.set_high_watermark(high_watermark);
        if !items.is_empty() {
            self.lane.put(items, bytes);
        }
    }

    /// The log does not have the offset, or not any more. Starting elsewhere is told, never silent.
    fn out_of_range(&mut self, name: &TopicPartition, offset: i64, start: StartOffset) {
        let place = match start {
            StartOffset::Earliest => Place::Earliest,
            StartOffset::Latest => Place::Latest,
            StartOffset::None => {
                let what = format!("offset {offset} is not in the log of {name}, or not any more");
                let fix = "start elsewhere, or say by `start` where to start then";
                return self.fail(Error::new(ErrorKind::NoOffset).what(what).fix(fix));
            }
        };
        warn!(partition = %name, offset, ?start, "the log does not have this offset: starting elsewhere");
        self.state = State::Sought(place);
    }
}
