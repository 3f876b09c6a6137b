//! Keeps one fetch under way for every broker that leads what is assigned, each independent of the others, and
//! hands what comes to the partitions' lanes as it came: checking and decompressing is left to whoever takes it.
//!
//! It is part of its owner's task, so that assigning, revoking and fetching cannot race.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Notify;
use tracing::{debug, warn};
use vltava_core::{
    Moment, Rng, TopicPartition,
    cluster::{NodeId, Target, View},
    fetch::{self as room, Cause, Edge, Event, Positions, Reset, Start, Todo},
};
use vltava_wire::{
    ErrorCode,
    messages::{FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse},
};

use super::{
    AssignmentId, Offset, PartitionStream, fetch,
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

/// Where a partition begins that was to start at an end of its log.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) assignment: AssignmentId,
    pub(crate) offset: i64,
}

/// The fetching of all that is assigned to one consumer.
pub(crate) struct Fetcher {
    cluster: Cluster,
    /// Its own connections: a fetch that waits for records holds up whatever is behind it.
    pool: Arc<Pool>,
    positions: Positions,
    partitions: BTreeMap<TopicPartition, Partition>,
    prefetch_bytes: usize,
    /// Beyond the time that a broker may hold a fetch back, it has the request timeout to answer.
    wait_max: std::time::Duration,
    calls: FuturesUnordered<BoxFuture<Done>>,
    started: VecDeque<Started>,
    room: Arc<Notify>,
    news: Reader,
    alarm: Alarm,
    rng: Rng,
}

/// A partition that is assigned.
struct Partition {
    assignment: AssignmentId,
    lane: Arc<Lane>,
    /// The cluster has told of it.
    known: bool,
    /// Whoever assigned it may know of it before this client does: until then it is waited for.
    patience: Moment,
    _interest: Interest,
}

/// An answer, or none.
enum Done {
    Fetched(NodeId, Result<FetchResponse>),
    Found(NodeId, Result<ListOffsetsResponse>),
    /// Where a time begins.
    Since(TopicPartition, AssignmentId, Result<BTreeMap<TopicPartition, i64>>),
}

impl Fetcher {
    pub(crate) fn new(client: &Client, config: config::Consumer) -> Self {
        let (context, cluster) = (&client.context, client.cluster.clone());
        Self {
            pool: Arc::new(Pool::new(context.clone())),
            positions: Positions::new(settings(&config)),
            partitions: BTreeMap::new(),
            prefetch_bytes: config.prefetch_bytes,
            wait_max: config.max_wait,
            calls: FuturesUnordered::new(),
            started: VecDeque::new(),
            room: Arc::default(),
            news: cluster.news(),
            alarm: Alarm::new(context.clock.clone()),
            rng: context.rng(),
            cluster,
        }
    }

    /// Begins to read partitions, which must not be assigned already.
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
                self.positions.unassign(partition);
            }
        }
    }

    /// Fetches, for as long as it is polled, and completes where a start was found: before anything that was read
    /// from there on can be answered to. Cancel-safe: nothing that came is lost.
    pub(crate) async fn drive(&mut self) -> Started {
        loop {
            if let Some(started) = self.started.pop_front() {
                return started;
            }
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
        let _interest = self.cluster.interest(&topic_partition.topic);
        let context = self.cluster.context();
        let patience = context.now() + context.connection.call_timeout;
        let partition = Partition { assignment, lane: lane.clone(), known: false, patience, _interest };
        self.partitions.insert(topic_partition.clone(), partition);
        match start {
            Offset::Exact(offset) => self.start_at(&topic_partition, offset),
            Offset::Earliest => self.positions.assign(topic_partition.clone(), Start::Edge(Edge::Earliest)),
            Offset::Latest => self.positions.assign(topic_partition.clone(), Start::Edge(Edge::Latest)),
            Offset::Timestamp(since) => self.seek(&topic_partition, assignment, Place::Since(since)),
        }
        let identity = Identity { topic_partition, assignment, committed };
        PartitionStream::new(identity, lane, self.cluster.context().clone())
    }

    fn start_at(&mut self, partition: &TopicPartition, offset: i64) {
        self.positions.assign(partition.clone(), Start::At(offset));
        if let Some(it) = self.partitions.get(partition) {
            it.lane.put([Item::Position(offset)], 0);
        }
    }

    /// Finds out where a time begins before anything is read.
    fn seek(&mut self, partition: &TopicPartition, assignment: AssignmentId, place: Place) {
        let (cluster, pool, partition) = (self.cluster.clone(), self.pool.clone(), partition.clone());
        let deadline = cluster.context().now() + cluster.context().connection.call_timeout;
        self.calls.push(Box::pin(async move {
            let places = BTreeMap::from([(partition.clone(), place)]);
            Done::Since(partition, assignment, cluster.offsets(&pool, places, deadline).await)
        }));
    }

    /// Starts whatever can be started; says when there may be more.
    fn act(&mut self) -> Option<Moment> {
        let now = self.cluster.context().now();
        self.look_around(now);
        let queued = self.partitions.values().map(|it| it.lane.bytes()).sum();
        while let Some((node, todo)) = self.cluster.view(|view| self.positions.poll(now, view)) {
            match todo {
                Todo::Fetch { request, version_max } => self.fetch(node, request, version_max, queued),
                Todo::Lookup(request) => self.look_up(node, request),
            }
        }
        self.tell_all(0);
        if self.positions.take_stale() {
            self.cluster.stale();
        }
        let unknown = self.partitions.values().filter(|it| !it.known && it.patience > now);
        unknown.map(|it| it.patience).chain(self.positions.deadline(now)).min()
    }

    /// Takes note of lanes that were emptied or left, and of partitions that are not there.
    fn look_around(&mut self, now: Moment) {
        let Self { positions, partitions, cluster, .. } = self;
        let is_fresh = cluster.is_answered();
        partitions.retain(|name, partition| {
            if partition.lane.has_ended() {
                positions.unassign(name);
                return false;
            }
            if partition.lane.bytes() == 0 {
                positions.taken(name);
            }
            if !partition.known {
                match cluster.view(|view| whether_known(view, name)) {
                    Ok(known) => partition.known = known,
                    Err(error)
                        if error.kind() == ErrorKind::UnknownTopic
                            && (now < partition.patience || !is_fresh) =>
                    {
                        cluster.stale();
                    }
                    Err(error) => {
                        positions.unassign(name);
                        partition.known = true;
                        partition.lane.put([Item::Failed(error)], 0);
                    }
                }
            }
            true
        });
    }

    fn fetch(&mut self, node: NodeId, mut request: FetchRequest, version_max: i16, queued: usize) {
        // One batch comes even if it is larger: no partition starves while others fill the memory.
        let free = self.prefetch_bytes.saturating_sub(queued).max(1);
        request.max_bytes = request.max_bytes.min(number(free));
        let (cluster, pool) = (self.cluster.clone(), self.pool.clone());
        let timeout = cluster.context().connection.request_timeout;
        let (deadline, patience) = (cluster.context().now() + timeout, timeout + self.wait_max);
        self.calls.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target: Target::Node(node), deadline };
            let answer = match cluster.link(&attempt).await {
                Ok(link) => match link.send_at_most(version_max, |_| request, patience) {
                    Ok(answer) => answer.wait().await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            Done::Fetched(node, answer)
        }));
    }

    fn look_up(&mut self, node: NodeId, request: ListOffsetsRequest) {
        let (cluster, pool) = (self.cluster.clone(), self.pool.clone());
        let deadline = cluster.context().now() + cluster.context().connection.request_timeout;
        self.calls.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target: Target::Node(node), deadline };
            Done::Found(node, cluster.attempt(&attempt, |_| request).await)
        }));
    }

    fn settle(&mut self, done: Done) {
        let now = self.cluster.context().now();
        let mut answer_bytes = 0;
        match done {
            Done::Fetched(node, Ok(answer)) => {
                answer_bytes = fetch::bytes(&answer);
                self.cluster.context().counters.bytes_fetched.add(answer_bytes as u64);
                self.positions.on_fetched(now, node, answer, &mut self.rng);
            }
            Done::Fetched(node, Err(error)) => {
                debug!(%node, %error, "a fetch had no answer");
                self.cluster.lost(node);
                self.positions.on_fetch_cut(now, node, &mut self.rng);
            }
            Done::Found(node, Ok(answer)) => self.positions.on_offsets(now, node, &answer, &mut self.rng),
            Done::Found(node, Err(error)) => {
                debug!(%node, %error, "a lookup of offsets had no answer");
                self.positions.on_lookup_cut(now, node, &mut self.rng);
            }
            Done::Since(partition, assignment, found) => self.on_since(&partition, assignment, found),
        }
        self.tell_all(answer_bytes);
        for (name, partition) in &self.partitions {
            if let Some(high_watermark) = self.positions.high_watermark(name) {
                partition.lane.set_high_watermark(high_watermark);
            }
        }
    }

    fn on_since(
        &mut self,
        partition: &TopicPartition,
        assignment: AssignmentId,
        found: Result<BTreeMap<TopicPartition, i64>>,
    ) {
        let Some(it) = self.partitions.get(partition).filter(|it| it.assignment == assignment) else {
            return;
        };
        match found {
            Ok(found) => found.values().for_each(|offset| self.start_at(partition, *offset)),
            Err(error) => it.lane.put([Item::Failed(error)], 0),
        }
    }

    fn tell_all(&mut self, answer_bytes: usize) {
        while let Some(event) = self.positions.event() {
            self.tell(event, answer_bytes);
        }
    }

    /// Passes on to a partition's reader what has come of it.
    fn tell(&mut self, event: Event, answer_bytes: usize) {
        let Some(Partition { lane, assignment, .. }) = self.partitions.get(event.partition()) else { return };
        match event {
            Event::Fetched(fetched) => {
                let bytes = fetched.records.len();
                lane.set_high_watermark(fetched.high_watermark);
                lane.put(fetch::items(fetched, answer_bytes), bytes);
            }
            Event::Jumped { partition, from, to, cause } => {
                match cause {
                    Cause::Started => (),
                    Cause::OutOfRange => {
                        warn!(%partition, ?from, to, "the log does not have the offset that is due: going on elsewhere");
                    }
                    Cause::Recreated => {
                        warn!(%partition, ?from, to, "the topic was made anew: starting over");
                    }
                }
                lane.put([Item::Position(to)], 0);
                if cause == Cause::Started {
                    let assignment = *assignment;
                    self.started.push_back(Started { topic_partition: partition, assignment, offset: to });
                }
            }
            Event::Failed { partition, offset, error } => {
                lane.put([Item::Failed(fetch::failure(&partition, offset, error))], 0);
            }
        }
    }
}

/// Whether the cluster has told of a partition yet; an error if, as far as is known, there is none.
fn whether_known(view: &View, partition: &TopicPartition) -> Result<bool> {
    let Some(topic) = view.topic(&partition.topic) else { return Ok(false) };
    let count = topic.partitions.len();
    let missing = |what: String| Err(Error::new(ErrorKind::UnknownTopic).what(what));
    match topic.error {
        ErrorCode::UnknownTopicOrPartition if count == 0 => {
            missing(format!("topic {} is not there", partition.topic))
        }
        code if count == 0 && code != ErrorCode::None && !code.is_retriable() => {
            Err(Error::refused(code).doing(format!("looking for topic {}", partition.topic)))
        }
        _ if count == 0 => Ok(false),
        _ if usize::try_from(partition.partition).is_ok_and(|number| number < count) => Ok(true),
        _ => missing(format!("{partition} is not there: the topic has {count} partitions")),
    }
}

fn settings(config: &config::Consumer) -> room::Config {
    room::Config {
        wait_max: config.max_wait,
        bytes_min: number(config.min_bytes),
        bytes_max: number(config.max_bytes),
        partition_bytes_max: number(config.partition_max_bytes),
        reset: match config.start {
            StartOffset::Earliest => Reset::To(Edge::Earliest),
            StartOffset::Latest => Reset::To(Edge::Latest),
            StartOffset::None => Reset::Fail,
        },
    }
}

fn number(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
