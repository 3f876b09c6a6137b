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
    cluster::{NodeId, Target},
    fetch::{self as room, Cause, Event, Isolation, Positions, Reset, Todo},
};
use vltava_wire::{
    Api,
    messages::{
        FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest,
        OffsetForLeaderEpochResponse,
    },
};

use super::{
    AssignmentId, Jump, JumpCause, Notice, Offset, PartitionStream, fetch,
    kept::{Answer, Kept},
    lane::{Item, Lane, Look},
    notice::Teller,
    partition::Partition,
    stream::{Identity, Way},
};
use crate::{
    Client,
    alarm::Alarm,
    cluster::{Attempt, Cluster},
    config,
    error::Result,
    net::{BoxFuture, Pool},
    news::Reader,
};

/// Before this version, the ends of epochs are told to other brokers only.
const EPOCHS_SINCE: i16 = 3;

/// A partition to read, and where from.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) start: Offset,
    /// The epoch of the leader that wrote the record before an exact start; below zero if unknown.
    pub(crate) leader_epoch: i32,
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

/// A partition whose log is another than the one that was read: it has to be read again from further back, under
/// another assignment.
#[derive(Debug)]
pub(crate) struct WentBack {
    pub(crate) assignment: AssignmentId,
    pub(crate) jump: Jump,
}

/// What the owner of a fetcher has to know.
#[derive(Debug)]
pub(crate) enum Told {
    /// Where a partition begins was looked up: before anything that was read from there on can be answered to.
    Started(Started),
    /// To be followed by [`Fetcher::start_over`]. Told only to who wants to, see [`Fetcher::for_member`].
    WentBack(WentBack),
}

/// The fetching of all that is assigned to one consumer.
pub(crate) struct Fetcher {
    cluster: Cluster,
    /// Its own connections: a fetch that waits for records holds up whatever is behind it.
    pool: Arc<Pool>,
    positions: Positions,
    partitions: BTreeMap<TopicPartition, Partition>,
    kept: Kept,
    teller: Teller,
    isolation: Isolation,
    end_notices: bool,
    /// Beyond the time that a broker may hold a fetch back, it has the request timeout to answer.
    wait_max: std::time::Duration,
    calls: FuturesUnordered<BoxFuture<Done>>,
    told: VecDeque<Told>,
    /// Whether the owner has partitions start over whose log is another.
    for_member: bool,
    room: Arc<Notify>,
    news: Reader,
    alarm: Alarm,
    rng: Rng,
}

/// An answer, or none.
enum Done {
    Fetched(NodeId, Result<FetchResponse>),
    Found(NodeId, Result<ListOffsetsResponse>),
    /// None from a broker that is too old to be asked.
    Checked(NodeId, Result<Option<OffsetForLeaderEpochResponse>>),
}

impl Fetcher {
    pub(crate) fn new(client: &Client, config: config::Consumer) -> Self {
        Self::with_pool(client, config, Arc::new(Pool::new(client.context.clone())))
    }

    /// For a member of a group, whose partitions have another assignment from when their log is another.
    pub(crate) fn for_member(client: &Client, config: config::Consumer) -> Self {
        Self { for_member: true, ..Self::new(client, config) }
    }

    /// With connections that others may use in turn.
    pub(crate) fn with_pool(client: &Client, config: config::Consumer, pool: Arc<Pool>) -> Self {
        let (context, cluster) = (&client.context, client.cluster.clone());
        Self {
            pool,
            partitions: BTreeMap::new(),
            kept: Kept::new(config.prefetch_bytes),
            teller: Teller::new(),
            isolation: config.isolation,
            end_notices: config.end_notices,
            wait_max: config.max_wait,
            positions: Positions::new(settings(config)),
            calls: FuturesUnordered::new(),
            told: VecDeque::new(),
            for_member: false,
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

    /// Reads a partition again from further back: from where its jump leads, or from the offset that is committed
    /// if that is earlier and still means something. What was fetched and not taken is dropped, and its stream ends.
    pub(crate) fn start_over(
        &mut self,
        WentBack { assignment: before, mut jump }: WentBack,
        assignment: AssignmentId,
        committed: Option<i64>,
    ) -> Option<PartitionStream> {
        let topic_partition = jump.topic_partition.clone();
        let partition = self.partitions.get_mut(&topic_partition).filter(|it| it.assignment == before)?;
        let lane = Arc::new(Lane::new(self.room.clone()));
        std::mem::replace(&mut partition.lane, lane.clone()).end();
        partition.assignment = assignment;
        if jump.cause == JumpCause::Truncated
            && let Some(undone) = committed.or(partition.begun).filter(|undone| *undone < jump.to)
        {
            jump.to = undone;
            self.go_to(&topic_partition, Offset::Exact(undone), -1);
        }
        lane.put([Item::Jumped(jump)]);
        Some(self.stream(Identity { topic_partition, assignment, committed: None }, lane))
    }

    /// Fetches, for as long as it is polled, until there is something to tell. Cancel-safe: nothing that came is
    /// lost.
    pub(crate) async fn drive(&mut self) -> Told {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
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

    /// Where notices are told.
    pub(crate) fn teller(&self) -> &Teller {
        &self.teller
    }

    fn assign_one(&mut self, assignment: AssignmentId, it: Assignment) -> PartitionStream {
        let Assignment { topic_partition, start, leader_epoch, committed } = it;
        let lane = Arc::new(Lane::new(self.room.clone()));
        let _interest = self.cluster.interest(&topic_partition.topic);
        let context = self.cluster.context();
        let patience = context.now() + context.connection.call_timeout;
        let partition = Partition {
            assignment,
            lane: lane.clone(),
            is_paused: false,
            begun: None,
            known: false,
            patience,
            _interest,
        };
        self.partitions.insert(topic_partition.clone(), partition);
        self.go_to(&topic_partition, start, leader_epoch);
        self.stream(Identity { topic_partition, assignment, committed }, lane)
    }

    fn stream(&self, identity: Identity, lane: Arc<Lane>) -> PartitionStream {
        let way = Way {
            lane,
            teller: self.teller.clone(),
            context: self.cluster.context().clone(),
            isolation: self.isolation,
            end_notices: self.end_notices,
        };
        PartitionStream::new(identity, way)
    }

    /// Goes on with a partition there.
    fn go_to(&mut self, partition: &TopicPartition, offset: Offset, leader_epoch: i32) {
        let now = self.cluster.context().now();
        self.positions.assign(now, partition.clone(), offset.start(leader_epoch));
        if let (Offset::Exact(offset), Some(it)) = (offset, self.partitions.get_mut(partition)) {
            it.begun = Some(offset);
            it.lane.put([Item::Position(offset)]);
        }
    }

    /// Starts whatever can be started; says when there may be more.
    fn act(&mut self) -> Option<Moment> {
        let (now, wall) = (self.cluster.context().now(), self.cluster.context().clock.wall());
        self.look_around(now);
        while let Some((node, todo)) = self.cluster.view(|view| self.positions.poll(now, wall, view)) {
            match todo {
                Todo::Fetch { request, version_max } => self.fetch(node, request, version_max),
                Todo::Lookup(request) => self.look_up(node, request),
                Todo::Validate(request) => self.validate(node, request),
            }
        }
        self.tell_all(None);
        if self.positions.take_stale() {
            self.cluster.stale();
        }
        let unknown = self.partitions.values().filter(|it| !it.known && it.patience > now);
        unknown.map(|it| it.patience).chain(self.positions.deadline(now)).min()
    }

    /// Takes note of lanes that were emptied or left, of what readers wish, and of partitions that are not there.
    fn look_around(&mut self, now: Moment) {
        let mut sought = Vec::new();
        let Self { positions, partitions, cluster, .. } = self;
        let is_fresh = cluster.is_answered();
        partitions.retain(|name, partition| {
            let Look { has_ended, begun, is_paused, seek } = partition.lane.look();
            if has_ended {
                positions.unassign(name);
                return false;
            }
            sought.extend(seek.map(|offset| (name.clone(), offset)));
            if let Some(bytes_left) = begun {
                positions.begun(name, bytes_left);
            }
            match (partition.is_paused, is_paused) {
                (false, true) => positions.pause(name),
                (true, false) => positions.resume(name),
                _ => (),
            }
            partition.is_paused = is_paused;
            if !partition.known {
                partition.look_for(name, cluster, is_fresh, now, positions);
            }
            true
        });
        for (partition, offset) in sought {
            self.go_to(&partition, offset, -1);
        }
    }

    fn fetch(&mut self, node: NodeId, request: FetchRequest, version_max: i16) {
        let (cluster, pool) = (self.cluster.clone(), self.pool.clone());
        let timeout = cluster.context().connection.request_timeout;
        let (deadline, patience) = (cluster.context().now() + timeout, timeout + self.wait_max);
        self.calls.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target: Target::Node(node), deadline };
            let build = |version| room::in_version(request, version);
            let answer = match cluster.link(&attempt).await {
                Ok(link) => match link.send_at_most(version_max, build, patience) {
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

    fn validate(&mut self, node: NodeId, request: OffsetForLeaderEpochRequest) {
        let (cluster, pool) = (self.cluster.clone(), self.pool.clone());
        let deadline = cluster.context().now() + cluster.context().connection.request_timeout;
        self.calls.push(Box::pin(async move {
            let attempt = Attempt { pool: &pool, target: Target::Node(node), deadline };
            Done::Checked(node, epochs(&cluster, &attempt, request).await)
        }));
    }

    fn settle(&mut self, done: Done) {
        let now = self.cluster.context().now();
        let mut answer = None;
        match done {
            Done::Fetched(node, Ok(fetched)) => {
                let bytes = fetch::bytes(&fetched);
                self.cluster.context().counters.bytes_fetched.add(bytes as u64);
                answer = Some(self.kept.begin(bytes));
                let hints = self.positions.on_fetched(now, node, fetched, &mut self.rng);
                if !hints.is_empty() {
                    self.cluster.learn(|view| hints.tell(view));
                }
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
            Done::Checked(node, Ok(Some(answer))) => {
                self.positions.on_epochs(now, node, &answer, &mut self.rng);
            }
            Done::Checked(node, Ok(None)) => self.positions.on_epochs_unknown(node),
            Done::Checked(node, Err(error)) => {
                debug!(%node, %error, "a question for epochs had no answer");
                self.positions.on_epochs_cut(now, node, &mut self.rng);
            }
        }
        for (name, partition) in &self.partitions {
            if let Some(ends) = self.positions.ends(name) {
                partition.lane.set_ends(ends);
            }
        }
        self.tell_all(answer.as_ref());
        if answer.is_some() && self.kept.is_too_much() {
            let lanes = || self.partitions.values().map(|it| &it.lane);
            let wasteful = self.kept.wasteful(lanes().filter_map(|it| it.part()));
            lanes().for_each(|it| it.copy_out(&wasteful));
        }
    }

    fn tell_all(&mut self, answer: Option<&Answer>) {
        while let Some(event) = self.positions.event() {
            self.tell(event, answer);
        }
    }

    /// Passes on to a partition's reader what has come of it.
    fn tell(&mut self, event: Event, answer: Option<&Answer>) {
        let Some(Partition { lane, assignment, begun, .. }) = self.partitions.get_mut(event.partition())
        else {
            return;
        };
        match event {
            Event::Fetched(fetched) => {
                let (items, is_copied) =
                    fetch::items(fetched, answer.map_or(0, Answer::bytes), self.isolation);
                lane.put_part(items, answer.filter(|_| !is_copied).cloned());
            }
            Event::Jumped { partition, to, cause: Cause::Started, .. } => {
                *begun = Some(to);
                lane.put([Item::Position(to)]);
                let (topic_partition, assignment) = (partition, *assignment);
                self.told.push_back(Told::Started(Started { topic_partition, assignment, offset: to }));
            }
            Event::Jumped { partition, from, to, cause } => {
                warn!(%partition, ?from, to, ?cause, "reading goes on elsewhere");
                let Some(cause) = JumpCause::of(cause) else { return };
                let jump = Jump { topic_partition: partition, from, to, cause };
                if self.for_member && from.is_some_and(|from| to < from) {
                    self.told.push_back(Told::WentBack(WentBack { assignment: *assignment, jump }));
                } else {
                    lane.put([Item::Jumped(jump)]);
                }
            }
            Event::Failed { partition, offset, failure } => {
                lane.put([Item::Failed(fetch::failure(&partition, offset, failure))]);
            }
            Event::Stalled { partition: topic_partition, since, stall } => {
                warn!(partition = %topic_partition, ?since, %stall, "a partition stands still: asking anew");
                if let Some(node) = stall.node() {
                    self.cluster.reconnect(&self.pool, node);
                }
                self.teller.tell(Notice::Stalled { topic_partition, since, stall });
            }
        }
    }
}

/// Where epochs end, if the broker tells that to clients.
async fn epochs(
    cluster: &Cluster,
    attempt: &Attempt<'_>,
    request: OffsetForLeaderEpochRequest,
) -> Result<Option<OffsetForLeaderEpochResponse>> {
    let link = cluster.link(attempt).await?;
    if !link.version(Api::OffsetForLeaderEpoch).is_ok_and(|version| version >= EPOCHS_SINCE) {
        return Ok(None);
    }
    cluster.attempt(attempt, |_| request).await.map(Some)
}

fn settings(config: config::Consumer) -> room::Config {
    room::Config {
        wait_max: config.max_wait,
        bytes_min: number(config.min_bytes),
        bytes_max: number(config.max_bytes),
        partition_bytes_max: number(config.partition_max_bytes),
        queue_bytes_max: config.prefetch_bytes,
        reset: config.start.offset().and_then(|it| it.place().ok()).map_or(Reset::Fail, Reset::To),
        isolation: config.isolation,
        rack: config.rack,
        stall_after: config.stall_after,
        ..room::Config::default()
    }
}

fn number(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
