//! Where a consumer stands in each of its partitions, and what to ask of which broker next.
//!
//! One fetch is under way per broker, independent of the others. Each partition may have one answer waiting behind
//! the one that is read; until its reader begins with that, the partition is left out and the others go on. Positions move by what was read, and
//! otherwise only by an answer of the leader that says why: what answers change is in `answers`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use vltava_wire::{Uuid, messages::FetchRequest};

use super::{
    epochs::{self, Check},
    event::{Config, Ends, Event, Todo},
    position::{Position, State, Watch},
    reset::{self, Cause, Lookup, Place, Point, Reset, Start},
    session::{Session, Wanted},
};
use crate::{
    Backoff, Moment, Timestamp,
    cluster::{NodeId, TopicPartition, View},
};

/// The last version of Fetch that names topics by name.
const BY_NAME_MAX: i16 = 12;

/// A fetch is not held longer than its broker's partitions have been left out for being full, and not shorter than
/// this: their readers may be about to take what waits, and the next fetch is the one that brings more.
const HELD_MIN: Duration = Duration::from_millis(5);

/// The positions of one consumer.
#[derive(Debug)]
pub struct Positions {
    pub(super) config: Config,
    pub(super) partitions: BTreeMap<TopicPartition, Position>,
    pub(super) brokers: BTreeMap<NodeId, Broker>,
    pub(super) events: VecDeque<Event>,
    pub(super) stale: bool,
    pub(super) backoff: Backoff,
    /// Of the next partition or position.
    next_turn: u64,
    /// How often partitions got records.
    pub(super) served: u64,
    /// Of the view that leaders and topics are known from; none if there are partitions that were not looked up.
    revision: Option<u64>,
    /// How many brokers lead what is read.
    leaders: usize,
}

/// What is under way with one broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) session: Session,
    pub(super) fetch: Option<Flight>,
    pub(super) lookup: Option<Vec<Asked>>,
    pub(super) check: Option<Vec<Asked>>,
    /// It asked not to be asked for records before (KIP-219).
    pub(super) rests_until: Moment,
}

/// A partition that a question is about, and its turn.
pub(super) type Asked = (TopicPartition, u64);

/// A fetch under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) asked: Vec<Asked>,
    bytes_max: usize,
}

impl Positions {
    /// Without partitions.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            partitions: BTreeMap::new(),
            brokers: BTreeMap::new(),
            events: VecDeque::new(),
            stale: false,
            backoff: Backoff::default(),
            next_turn: 0,
            served: 0,
            revision: None,
            leaders: 0,
        }
    }

    /// Starts to read a partition, or goes on with it elsewhere; one that is paused stays so. What was asked before
    /// is forgotten.
    pub fn assign(&mut self, now: Moment, partition: TopicPartition, start: Start) {
        let state = match start {
            Start::Place(place) => State::Lost { place, from: None, cause: Cause::Started },
            Start::At(point) => State::At(point),
        };
        let mut position = Position::new(self.turn(), state, self.config.partition_bytes_max);
        position.watch = Watch::new(now);
        if let Some(before) = self.partitions.get(&partition) {
            (position.paused, position.ends) = (before.paused, before.ends);
        }
        self.partitions.insert(partition, position);
        self.revision = None;
    }

    /// No longer reads a partition. Events that were not taken yet are dropped.
    pub fn unassign(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
        self.events.retain(|it| it.partition() != partition);
    }

    /// Asks no more for a partition, but keeps what has come and where it stands.
    pub fn pause(&mut self, partition: &TopicPartition) {
        self.change(partition, |it| it.paused = true);
    }

    /// Goes on with a partition that was paused.
    pub fn resume(&mut self, partition: &TopicPartition) {
        self.change(partition, |it| it.paused = false);
    }

    /// The reader has begun with the last answer that came, of which so many bytes are left: the next may come.
    pub fn begun(&mut self, partition: &TopicPartition, bytes_left: usize) {
        self.change(partition, |it| match &mut it.waiting {
            Some(waiting) if bytes_left > 0 => (waiting.bytes, waiting.is_begun) = (bytes_left, true),
            waiting => *waiting = None,
        });
    }

    /// The offset that is asked for next; none before it is looked up, and after reading failed.
    pub fn offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition)?.offset()
    }

    /// How far the log goes, as the latest answer said.
    pub fn ends(&self, partition: &TopicPartition) -> Option<Ends> {
        self.partitions.get(partition)?.ends
    }

    /// Every partition that is read.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// Whether metadata has to be asked for: a partition has no leader, or an answer said it moved. Asking resets it.
    pub fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// The next event.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next question and whom to ask, if there is one. A broker is asked one of each kind at a time.
    pub fn poll(&mut self, now: Moment, wall: Timestamp, view: &View) -> Option<(NodeId, Todo)> {
        if self.revision != Some(view.revision()) {
            self.look_at(view);
        }
        self.watch(now);
        self.due(now).into_iter().find_map(|node| {
            let todo = self.check(now, node).or_else(|| self.lookup(now, wall, node));
            Some((node, todo.or_else(|| self.fetch(now, node))?))
        })
    }

    /// When `poll` may have something that it does not have now, after `now`. What is due by now waits for something
    /// else: a leader, an answer, a reader.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        let stall_after = self.patience();
        let waiting = self.partitions.values().filter(|it| it.wants() && it.not_before > now);
        let watched = self.partitions.values().map(|it| it.watch.since + stall_after);
        let resting = self.brokers.values().map(|it| it.rests_until);
        waiting.map(|it| it.not_before).chain(watched.chain(resting).filter(|it| *it > now)).min()
    }

    /// Takes over what has become known of leaders and topics.
    fn look_at(&mut self, view: &View) {
        self.revision = Some(view.revision());
        let (mut recreated, mut leaders) = (Vec::new(), BTreeSet::new());
        for (partition, position) in &mut self.partitions {
            let leader = view.leader(partition);
            leaders.extend(leader.map(|it| it.node));
            position.led_by(leader);
            position.replica = position.replica.filter(|it| view.broker(it.node).is_some());
            let id = view.topic(&partition.topic).map_or(Uuid::ZERO, |it| it.id);
            if id == Uuid::ZERO {
                continue;
            }
            // An offset means nothing in another topic, though it have the same name.
            let before = std::mem::replace(&mut position.topic_id, id);
            if before != Uuid::ZERO && before != id {
                recreated.push(partition.clone());
            }
        }
        self.leaders = leaders.len();
        recreated.iter().for_each(|it| self.on_recreated(it));
    }

    /// Whoever is to be asked about something.
    fn due(&mut self, now: Moment) -> BTreeSet<NodeId> {
        let mut nodes = BTreeSet::new();
        for position in self.partitions.values_mut().filter(|it| it.is_due(now)) {
            if position.has_to_be_checked()
                && let Some(point) = position.point()
            {
                position.state = State::Unsure(point);
            }
            match position.node(now) {
                Some(node) => drop(nodes.insert(node)),
                None => self.stale = true,
            }
        }
        nodes
    }

    fn check(&mut self, now: Moment, node: NodeId) -> Option<Todo> {
        let broker = self.brokers.entry(node).or_default();
        if broker.check.is_some() {
            return None;
        }
        let (mut checks, mut asked) = (Vec::new(), Vec::new());
        for (partition, position) in &mut self.partitions {
            let State::Unsure(point) = position.state else { continue };
            if position.is_due(now) && position.node(now) == Some(node) {
                position.asked = true;
                asked.push((partition.clone(), position.turn));
                let (current, read) = (position.leader_epoch(), point.leader_epoch);
                checks.push(Check { partition: partition.clone(), current, read });
            }
        }
        if checks.is_empty() {
            return None;
        }
        broker.check = Some(asked);
        Some(Todo::Validate(epochs::request(&checks)))
    }

    fn lookup(&mut self, now: Moment, wall: Timestamp, node: NodeId) -> Option<Todo> {
        let broker = self.brokers.entry(node).or_default();
        if broker.lookup.is_some() {
            return None;
        }
        let (mut lookups, mut asked) = (Vec::new(), Vec::new());
        for (partition, position) in &mut self.partitions {
            let State::Lost { place, .. } = position.state else { continue };
            if position.is_due(now) && position.node(now) == Some(node) {
                position.asked = true;
                asked.push((partition.clone(), position.turn));
                let leader_epoch = position.leader_epoch();
                lookups.push(Lookup { partition: partition.clone(), leader_epoch, place });
            }
        }
        if lookups.is_empty() {
            return None;
        }
        broker.lookup = Some(asked);
        Some(Todo::Lookup(reset::request(&lookups, self.config.isolation, wall)))
    }

    fn fetch(&mut self, now: Moment, node: NodeId) -> Option<Todo> {
        let bytes_max = self.share();
        let broker = self.brokers.entry(node).or_default();
        if broker.fetch.is_some() || now < broker.rests_until {
            return None;
        }
        let (mut due, mut held) = (Vec::new(), self.config.wait_max);
        for (partition, position) in &mut self.partitions {
            let State::At(point) = position.state else { continue };
            if position.node(now) != Some(node) {
                continue;
            }
            if let Some(waiting) = position.waiting.filter(|it| !it.is_begun && !position.paused) {
                held = held.min(now.since(waiting.since).max(HELD_MIN));
            }
            if position.is_due(now) {
                position.asked = true;
                due.push((position.served, partition, wanted(position, point), position.turn));
            }
        }
        if due.is_empty() {
            return None;
        }
        // The first one gets a batch even if it is too large: everybody comes first in turn.
        due.sort_by_key(|it| (it.0, it.1));
        let by_name = due.iter().any(|it| it.2.topic_id == Uuid::ZERO);
        let asked = due.iter().map(|it| (it.1.clone(), it.3)).collect();
        let request = FetchRequest {
            max_wait_ms: i32::try_from(held.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.bytes_min,
            max_bytes: bytes_max,
            isolation_level: self.config.isolation.level(),
            rack_id: self.config.rack.clone(),
            ..broker.session.request(due.into_iter().map(|it| (it.1.clone(), it.2)), by_name)
        };
        broker.fetch = Some(Flight { asked, bytes_max: bytes_max as usize });
        Some(Todo::Fetch { request, version_max: if by_name { BY_NAME_MAX } else { i16::MAX } })
    }

    /// How much the next answer may bring: what is left of the whole, and no more than the part of a broker, so that
    /// none takes all. One batch comes even if nothing is left.
    fn share(&self) -> i32 {
        let whole = self.config.queue_bytes_max;
        let waiting = self.partitions.values().filter_map(|it| Some(it.waiting?.bytes));
        let under_way = self.brokers.values().filter_map(|it| Some(it.fetch.as_ref()?.bytes_max));
        let left = whole.saturating_sub(waiting.chain(under_way).sum());
        let part = left.min(whole / self.leaders.max(1));
        i32::try_from(part).unwrap_or(i32::MAX).min(self.config.bytes_max).max(1)
    }

    /// Nothing of the new topic was read, so reading starts at its beginning: what is there is new. What was asked about
    /// the old one is forgotten.
    fn on_recreated(&mut self, partition: &TopicPartition) {
        let turn = self.turn();
        self.change(partition, |it| {
            (it.turn, it.asked) = (turn, false);
            (it.ends, it.replica, it.checked) = (None, None, -1);
        });
        let Some(offset) = self.offset(partition) else { return };
        if self.config.reset == Reset::Fail {
            return self.refused(partition, vltava_wire::ErrorCode::InconsistentTopicId);
        }
        let lost = State::Lost { place: Place::Earliest, from: Some(offset), cause: Cause::Recreated };
        self.change(partition, |it| it.state = lost);
    }

    /// Tells of partitions that have not got on for long, and asks anew all that there is to ask about them.
    fn watch(&mut self, now: Moment) {
        let patience = self.patience();
        for (partition, position) in &mut self.partitions {
            let Some(since) = position.stalled(now, self.config.isolation) else { continue };
            if since < patience {
                continue;
            }
            let stall = position.stall(now);
            if let Some(broker) = position.node(now).and_then(|it| self.brokers.get_mut(&it)) {
                broker.session.renew();
            }
            position.watch = Watch::new(now);
            position.replica = None;
            self.stale = true;
            self.events.push_back(Event::Stalled { partition: partition.clone(), since, stall });
        }
    }

    /// A broker that may hold a fetch for long is not told of for doing so.
    fn patience(&self) -> Duration {
        self.config.stall_after.max(self.config.wait_max * 2)
    }

    fn turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    pub(super) fn change(&mut self, partition: &TopicPartition, how: impl FnOnce(&mut Position)) {
        if let Some(position) = self.partitions.get_mut(partition) {
            how(position);
        }
    }
}

fn wanted(position: &Position, point: Point) -> Wanted {
    Wanted {
        topic_id: position.topic_id,
        offset: point.offset,
        leader_epoch: position.leader_epoch(),
        last_epoch: point.leader_epoch,
        bytes_max: position.bytes_max,
    }
}
