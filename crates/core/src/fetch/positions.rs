//! Where a consumer stands in each of its partitions, and what to ask of which broker next.
//!
//! One fetch is under way per broker, independent of the others. Each partition may have one answer waiting for its
//! reader; until that is taken, the partition is left out and the others go on. Positions move by what was read, and
//! otherwise only by an answer of the leader that says why.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{FetchRequest, FetchResponse, ListOffsetsResponse, fetch::PartitionData},
    record::batches,
};

use super::{
    event::{Config, Event, Fetched, Todo},
    reset::{self, Cause, Edge, Found, Lookup, Reset, Start},
    session::{Session, Wanted},
    verdict::Verdict,
};
use crate::{
    Backoff, Moment, Rng,
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
    config: Config,
    partitions: BTreeMap<TopicPartition, Position>,
    brokers: BTreeMap<NodeId, Broker>,
    /// Of the next partition or position, so that answers to an earlier one are known as such.
    next_turn: u64,
    events: VecDeque<Event>,
    stale: bool,
    backoff: Backoff,
}

#[derive(Debug)]
struct Position {
    turn: u64,
    /// The topic that its offset is of; zero until that is known, and where brokers are too old for ids.
    topic_id: Uuid,
    state: State,
    paused: bool,
    /// Since when an answer waits for its reader.
    full_since: Option<Moment>,
    /// A question about it is under way.
    asked: bool,
    not_before: Moment,
    failures: u32,
    high_watermark: Option<i64>,
    log_start: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// Where to go on has to be looked up.
    Lost { edge: Edge, from: Option<i64>, cause: Cause },
    /// The next record to read.
    At(i64),
    /// The owner was told why.
    Failed,
}

/// What is under way with one broker.
#[derive(Debug, Default)]
struct Broker {
    session: Session,
    fetch: Option<Vec<(TopicPartition, u64)>>,
    lookup: Option<Vec<(TopicPartition, u64)>>,
}

impl Positions {
    /// Without partitions.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            partitions: BTreeMap::new(),
            brokers: BTreeMap::new(),
            next_turn: 0,
            events: VecDeque::new(),
            stale: false,
            backoff: Backoff::default(),
        }
    }

    /// Starts to read a partition, or goes on with it elsewhere. What was asked before is forgotten.
    pub fn assign(&mut self, partition: TopicPartition, start: Start) {
        let state = match start {
            Start::Edge(edge) => State::Lost { edge, from: None, cause: Cause::Started },
            Start::At(offset) => State::At(offset),
        };
        self.next_turn += 1;
        let position = Position {
            turn: self.next_turn,
            topic_id: Uuid::ZERO,
            state,
            paused: false,
            full_since: None,
            asked: false,
            not_before: Moment::default(),
            failures: 0,
            high_watermark: None,
            log_start: None,
        };
        self.partitions.insert(partition, position);
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

    /// The reader has taken the batches that waited: the next may come.
    pub fn taken(&mut self, partition: &TopicPartition) {
        self.change(partition, |it| it.full_since = None);
    }

    /// The offset that is asked for next; none before it is looked up, and after reading failed.
    pub fn offset(&self, partition: &TopicPartition) -> Option<i64> {
        match self.partitions.get(partition)?.state {
            State::At(offset) => Some(offset),
            State::Lost { .. } | State::Failed => None,
        }
    }

    /// The offset behind the last record that may be read, as the latest answer said.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition)?.high_watermark
    }

    /// The oldest offset that is there, as the latest answer said.
    pub fn log_start(&self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.get(partition)?.log_start
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
    pub fn poll(&mut self, now: Moment, view: &View) -> Option<(NodeId, Todo)> {
        self.look_for_recreated(view);
        let mut nodes: Vec<NodeId> = Vec::new();
        for partition in self.due(now) {
            match view.leader(&partition) {
                Some(leader) => nodes.push(leader.node),
                None => self.stale = true,
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        nodes.into_iter().find_map(|node| {
            let todo = self.lookup(now, node, view).or_else(|| self.fetch(now, node, view))?;
            Some((node, todo))
        })
    }

    /// When `poll` may have something that it does not have now, after `now`. What is due by now waits for something
    /// else: a leader, an answer, a reader.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        let waiting = self.partitions.values().filter(|it| it.wants() && it.not_before > now);
        waiting.map(|it| it.not_before).min()
    }

    /// Takes the answer of a broker to its latest fetch.
    pub fn on_fetched(&mut self, now: Moment, node: NodeId, answer: FetchResponse, rng: &mut Rng) {
        let Some(broker) = self.brokers.get_mut(&node) else { return };
        let Some(asked) = broker.fetch.take() else { return };
        let outcome = broker.session.on_answer(&answer);
        let mut parts = Vec::new();
        for topic in answer.responses {
            for part in topic.partitions {
                let named = broker.session.partition(&topic.topic, topic.topic_id, part.partition_index);
                parts.extend(named.map(|it| (it, part)));
            }
        }
        let current = self.answered(asked);
        if let Err(error) = outcome {
            current.iter().for_each(|it| self.on_error(now, it, error, rng));
            return;
        }
        for (partition, part) in parts {
            if current.contains(&partition) {
                self.on_part(now, partition, part, rng);
            }
        }
    }

    /// Takes the answer of a broker to its latest lookup.
    pub fn on_offsets(&mut self, now: Moment, node: NodeId, answer: &ListOffsetsResponse, rng: &mut Rng) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.lookup.take()) else { return };
        let mut missing = self.answered(asked);
        for found in reset::found(answer) {
            let Some(index) = missing.iter().position(|it| *it == found.partition) else { continue };
            missing.swap_remove(index);
            self.on_found(now, found, rng);
        }
        for partition in missing {
            self.again(now, &partition, rng);
        }
    }

    /// The latest fetch of a broker, and its session, came to nothing.
    pub fn on_fetch_cut(&mut self, now: Moment, node: NodeId, rng: &mut Rng) {
        let Some(broker) = self.brokers.get_mut(&node) else { return };
        broker.session.reset();
        let Some(asked) = broker.fetch.take() else { return };
        self.cut(now, asked, rng);
    }

    /// The latest lookup of a broker came to nothing.
    pub fn on_lookup_cut(&mut self, now: Moment, node: NodeId, rng: &mut Rng) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.lookup.take()) else { return };
        self.cut(now, asked, rng);
    }

    fn cut(&mut self, now: Moment, asked: Vec<(TopicPartition, u64)>, rng: &mut Rng) {
        self.stale = true;
        for partition in self.answered(asked) {
            self.again(now, &partition, rng);
        }
    }

    /// Those of a question that still stand where they stood.
    fn answered(&mut self, asked: Vec<(TopicPartition, u64)>) -> Vec<TopicPartition> {
        let mut current = Vec::new();
        for (partition, turn) in asked {
            if let Some(position) = self.partitions.get_mut(&partition).filter(|it| it.turn == turn) {
                position.asked = false;
                current.push(partition);
            }
        }
        current
    }

    /// An offset means nothing in another topic, though it have the same name.
    fn look_for_recreated(&mut self, view: &View) {
        let mut recreated = Vec::new();
        for (partition, position) in &mut self.partitions {
            let id = view.topic(&partition.topic).map_or(Uuid::ZERO, |it| it.id);
            if id == Uuid::ZERO {
                continue;
            }
            let before = std::mem::replace(&mut position.topic_id, id);
            if before != Uuid::ZERO && before != id {
                recreated.push(partition.clone());
            }
        }
        recreated.iter().for_each(|it| self.on_recreated(it));
    }

    fn due(&self, now: Moment) -> Vec<TopicPartition> {
        let due = self.partitions.iter().filter(|it| it.1.wants() && it.1.not_before <= now);
        due.map(|it| it.0.clone()).collect()
    }

    fn lookup(&mut self, now: Moment, node: NodeId, view: &View) -> Option<Todo> {
        let broker = self.brokers.entry(node).or_default();
        if broker.lookup.is_some() {
            return None;
        }
        let (mut lookups, mut asked) = (Vec::new(), Vec::new());
        for (partition, position) in &mut self.partitions {
            let State::Lost { edge, .. } = position.state else { continue };
            let Some(leader) = view.leader(partition).filter(|it| it.node == node) else { continue };
            if position.wants() && position.not_before <= now {
                position.asked = true;
                asked.push((partition.clone(), position.turn));
                lookups.push(Lookup { partition: partition.clone(), leader_epoch: leader.epoch, edge });
            }
        }
        if lookups.is_empty() {
            return None;
        }
        broker.lookup = Some(asked);
        Some(Todo::Lookup(reset::request(&lookups)))
    }

    fn fetch(&mut self, now: Moment, node: NodeId, view: &View) -> Option<Todo> {
        let broker = self.brokers.entry(node).or_default();
        if broker.fetch.is_some() {
            return None;
        }
        let (mut wanted, mut asked, mut held) = (BTreeMap::new(), Vec::new(), self.config.wait_max);
        for (partition, position) in &mut self.partitions {
            let State::At(offset) = position.state else { continue };
            let Some(leader) = view.leader(partition).filter(|it| it.node == node) else { continue };
            if let Some(since) = position.full_since.filter(|_| !position.paused) {
                held = held.min(now.since(since).max(HELD_MIN));
            }
            if !position.wants() || position.not_before > now {
                continue;
            }
            position.asked = true;
            asked.push((partition.clone(), position.turn));
            let wants = Wanted {
                topic_id: view.topic(&partition.topic).map_or(Uuid::ZERO, |it| it.id),
                offset,
                leader_epoch: leader.epoch,
                bytes_max: self.config.partition_bytes_max,
            };
            wanted.insert(partition.clone(), wants);
        }
        if wanted.is_empty() {
            return None;
        }
        broker.fetch = Some(asked);
        let by_name = wanted.values().any(|it| it.topic_id == Uuid::ZERO);
        let request = FetchRequest {
            max_wait_ms: i32::try_from(held.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.bytes_min,
            max_bytes: self.config.bytes_max,
            ..broker.session.request(wanted)
        };
        Some(Todo::Fetch { request, version_max: if by_name { BY_NAME_MAX } else { i16::MAX } })
    }

    fn on_part(&mut self, now: Moment, partition: TopicPartition, part: PartitionData, rng: &mut Rng) {
        let error = ErrorCode::from(part.error_code);
        if error != ErrorCode::None {
            return self.on_error(now, &partition, error, rng);
        }
        let Some(position) = self.partitions.get_mut(&partition) else { return };
        let State::At(offset) = position.state else { return };
        position.failures = 0;
        position.high_watermark = Some(part.high_watermark);
        position.log_start = Some(part.log_start_offset).filter(|it| *it >= 0);
        let records = part.records.unwrap_or_default();
        match end(&records, offset) {
            Ok(Some(next)) => {
                position.state = State::At(next);
                position.full_since = Some(now);
                let high_watermark = part.high_watermark;
                let fetched = Fetched { partition, records, from: offset, next, high_watermark };
                self.events.push_back(Event::Fetched(fetched));
            }
            Ok(None) => {}
            Err(error) => self.give_up(&partition, error),
        }
    }

    fn on_found(&mut self, now: Moment, found: Found, rng: &mut Rng) {
        let Found { partition, error, offset } = found;
        if error != ErrorCode::None || offset < 0 {
            return self.on_error(now, &partition, error, rng);
        }
        let Some(position) = self.partitions.get_mut(&partition) else { return };
        let State::Lost { from, cause, .. } = position.state else { return };
        position.failures = 0;
        position.state = State::At(offset);
        self.events.push_back(Event::Jumped { partition, from, to: offset, cause });
    }

    fn on_error(&mut self, now: Moment, partition: &TopicPartition, error: ErrorCode, rng: &mut Rng) {
        match Verdict::from(error) {
            Verdict::Answered | Verdict::Wait => self.again(now, partition, rng),
            Verdict::Refresh => {
                self.stale = true;
                self.again(now, partition, rng);
            }
            Verdict::OutOfRange => self.on_out_of_range(partition),
            Verdict::Fatal => self.give_up(partition, error),
        }
    }

    fn on_out_of_range(&mut self, partition: &TopicPartition) {
        let Reset::To(edge) = self.config.reset else {
            return self.give_up(partition, ErrorCode::OffsetOutOfRange);
        };
        let from = self.offset(partition);
        self.change(partition, |it| it.state = State::Lost { edge, from, cause: Cause::OutOfRange });
    }

    /// Nothing of the new topic was read, so reading starts at its beginning: what is there is new. What was asked about
    /// the old one is forgotten.
    fn on_recreated(&mut self, partition: &TopicPartition) {
        self.next_turn += 1;
        let turn = self.next_turn;
        self.change(partition, |it| {
            (it.turn, it.asked) = (turn, false);
            (it.high_watermark, it.log_start) = (None, None);
        });
        let Some(offset) = self.offset(partition) else { return };
        if self.config.reset == Reset::Fail {
            return self.give_up(partition, ErrorCode::InconsistentTopicId);
        }
        let lost = State::Lost { edge: Edge::Earliest, from: Some(offset), cause: Cause::Recreated };
        self.change(partition, |it| it.state = lost);
    }

    fn again(&mut self, now: Moment, partition: &TopicPartition, rng: &mut Rng) {
        let backoff = self.backoff;
        self.change(partition, |it| {
            it.failures += 1;
            it.not_before = now + backoff.after(it.failures, rng);
        });
    }

    fn give_up(&mut self, partition: &TopicPartition, error: ErrorCode) {
        let offset = self.offset(partition);
        self.change(partition, |it| it.state = State::Failed);
        self.events.push_back(Event::Failed { partition: partition.clone(), offset, error });
    }

    fn change(&mut self, partition: &TopicPartition, how: impl FnOnce(&mut Position)) {
        if let Some(position) = self.partitions.get_mut(partition) {
            how(position);
        }
    }
}

impl Position {
    /// Whether there is something to ask about it, now or a little later.
    fn wants(&self) -> bool {
        let open = !self.asked && !self.paused && self.full_since.is_none();
        open && self.state != State::Failed
    }
}

/// The offset behind the last whole batch; none if there is no whole batch that reaches `from`.
fn end(records: &Bytes, from: i64) -> Result<Option<i64>, ErrorCode> {
    let mut end = None;
    for batch in batches(records.clone()) {
        let batch = batch.map_err(|_| ErrorCode::CorruptMessage)?;
        let next = batch.last_offset().checked_add(1).ok_or(ErrorCode::CorruptMessage)?;
        if next > from {
            end = Some(next);
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use vltava_wire::{
        Compression,
        messages::{
            ListOffsetsPartitionResponse, ListOffsetsTopicResponse, MetadataResponse, MetadataResponseBroker,
            MetadataResponsePartition, MetadataResponseTopic, fetch::FetchableTopicResponse,
        },
        record::{BatchBuilder, RecordSlices, Stamp, patch_base_offset},
    };

    use super::*;
    use crate::cluster::Ask;

    const NODE: NodeId = NodeId(1);
    const TOPIC_ID: Uuid = Uuid(77);
    const NOW: Moment = Moment(1_000_000);

    struct Consumer {
        positions: Positions,
        view: View,
        rng: Rng,
    }

    fn orders(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    /// A consumer that reads `orders` 0 and 1 from offset 10 on; both are led by broker 1.
    fn consumer(reset: Reset) -> Consumer {
        let config = Config { reset, ..Config::default() };
        let mut positions = Positions::new(config);
        (0..2).for_each(|it| positions.assign(orders(it), Start::At(10)));
        Consumer { positions, view: view(1, 3), rng: Rng::new(1) }
    }

    fn view(leader_id: i32, leader_epoch: i32) -> View {
        view_of(TOPIC_ID, leader_id, leader_epoch)
    }

    fn view_of(topic_id: Uuid, leader_id: i32, leader_epoch: i32) -> View {
        let led = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id,
            leader_epoch,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("orders".into()),
            topic_id,
            partitions: (0..2).map(led).collect(),
            ..Default::default()
        };
        let broker = MetadataResponseBroker { node_id: 1, port: 9092, ..Default::default() };
        let mut view = View::default();
        let answer = MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() };
        view.on_metadata(&Ask::All, answer);
        view
    }

    /// A batch of records from `base_offset` on.
    fn batch(base_offset: i64, count: i64) -> Vec<u8> {
        let mut builder = BatchBuilder::new();
        for _ in 0..count {
            builder.append(RecordSlices::new(0, None, Some(b"value"))).expect("it fits");
        }
        let mut bytes = builder.finish(Stamp::NONE, Compression::None).expect("it has records").to_vec();
        patch_base_offset(&mut bytes, base_offset);
        bytes
    }

    fn answer(parts: &[(i32, ErrorCode, Vec<u8>)]) -> FetchResponse {
        let part = |(number, error, records): &(i32, ErrorCode, Vec<u8>)| PartitionData {
            partition_index: *number,
            error_code: error.code(),
            high_watermark: 100,
            log_start_offset: 4,
            records: Some(Bytes::from(records.clone())),
            ..Default::default()
        };
        let partitions = parts.iter().map(part).collect();
        let topic = FetchableTopicResponse { topic_id: TOPIC_ID, partitions, ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }

    impl Consumer {
        /// What is fetched next, partition by offset, and how long the broker may hold it.
        fn fetches(&mut self, now: Moment) -> Option<(Vec<(i32, i64)>, i32)> {
            match self.positions.poll(now, &self.view)? {
                (NODE, Todo::Fetch { request, .. }) => {
                    let parts = request.topics.iter().flat_map(|it| &it.partitions);
                    Some((parts.map(|it| (it.partition, it.fetch_offset)).collect(), request.max_wait_ms))
                }
                other => panic!("{other:?} is no fetch from broker 1"),
            }
        }

        fn answered(&mut self, now: Moment, parts: &[(i32, ErrorCode, Vec<u8>)]) {
            self.positions.on_fetched(now, NODE, answer(parts), &mut self.rng);
        }

        fn looks_up(&mut self, now: Moment) -> bool {
            matches!(self.positions.poll(now, &self.view), Some((NODE, Todo::Lookup(_))))
        }

        fn found(&mut self, partition_index: i32, offset: i64, error: ErrorCode) {
            let error_code = error.code();
            let part =
                ListOffsetsPartitionResponse { partition_index, error_code, offset, ..Default::default() };
            let topic = ListOffsetsTopicResponse { name: "orders".into(), partitions: vec![part] };
            let answer = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
            self.positions.on_offsets(NOW, NODE, &answer, &mut self.rng);
        }
    }

    #[test]
    fn all_partitions_of_a_broker_are_asked_for_at_once_and_once() {
        let mut consumer = consumer(Reset::Fail);
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
        assert_eq!(consumer.fetches(NOW), None);
    }

    #[test]
    fn a_position_moves_behind_what_was_read() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::None, [batch(8, 4), batch(12, 3)].concat())]);
        let Some(Event::Fetched(fetched)) = consumer.positions.event() else { panic!("nothing was fetched") };
        assert_eq!((fetched.from, fetched.next, fetched.high_watermark), (10, 15, 100));
        assert_eq!(consumer.positions.offset(&orders(0)), Some(15));
        assert_eq!(consumer.positions.high_watermark(&orders(0)), Some(100));
        assert_eq!(consumer.positions.log_start(&orders(0)), Some(4));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_asked_for_again() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        let mut records = [batch(10, 2), batch(12, 3)].concat();
        records.truncate(records.len() - 1);
        consumer.answered(NOW, &[(0, ErrorCode::None, records)]);
        assert_eq!(consumer.positions.offset(&orders(0)), Some(12));
    }

    #[test]
    fn a_partition_whose_reader_is_busy_is_left_out_and_the_other_goes_on() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1)), (1, ErrorCode::None, vec![])]);
        assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 5)), "held shortly, the reader may come back");
        consumer.positions.taken(&orders(0));
        consumer.answered(NOW, &[(1, ErrorCode::None, vec![])]);
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 11), (1, 10)], 500)));
    }

    #[test]
    fn a_reader_that_stays_away_does_not_shorten_fetches_for_ever() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
        let later = NOW + Duration::from_millis(60);
        assert_eq!(consumer.fetches(later), Some((vec![(1, 10)], 60)));
    }

    #[test]
    fn a_paused_partition_is_not_asked_for_and_keeps_its_place() {
        let mut consumer = consumer(Reset::Fail);
        consumer.positions.pause(&orders(0));
        assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)));
        consumer.positions.resume(&orders(0));
        assert_eq!(consumer.fetches(NOW), None, "one fetch is under way at a time");
        consumer.answered(NOW, &[]);
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
    }

    #[test]
    fn an_answer_for_an_earlier_position_is_dropped() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.positions.assign(orders(0), Start::At(50));
        consumer.positions.unassign(&orders(1));
        let both = [(0, ErrorCode::None, batch(10, 1)), (1, ErrorCode::None, batch(10, 1))];
        consumer.answered(NOW, &both);
        assert!(consumer.positions.event().is_none());
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 50)], 500)));
    }

    #[test]
    fn what_waits_of_a_partition_is_dropped_with_it() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
        consumer.positions.unassign(&orders(0));
        assert!(consumer.positions.event().is_none());
    }

    #[test]
    fn no_temporary_error_moves_a_position() {
        let passing = ErrorCode::ALL.iter().filter(|it| {
            matches!(Verdict::from(**it), Verdict::Wait | Verdict::Refresh) && **it != ErrorCode::None
        });
        for &error in passing {
            let mut consumer = consumer(Reset::To(Edge::Latest));
            consumer.fetches(NOW);
            consumer.answered(NOW, &[(0, error, vec![])]);
            assert!(consumer.positions.event().is_none(), "{error}");
            assert_eq!(consumer.positions.offset(&orders(0)), Some(10), "{error}");
            assert_eq!(consumer.positions.take_stale(), Verdict::from(error) == Verdict::Refresh, "{error}");
            assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)), "{error} is followed by a pause");
            let due = consumer.positions.deadline(NOW).expect("it is asked for again");
            assert!((80..=100).contains(&due.since(NOW).as_millis()), "{error}");
        }
    }

    #[test]
    fn out_of_range_goes_on_at_the_end_of_the_log_that_was_chosen() {
        let mut consumer = consumer(Reset::To(Edge::Earliest));
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::OffsetOutOfRange, vec![])]);
        assert!(consumer.looks_up(NOW));
        assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)), "the other goes on");
        assert!(!consumer.looks_up(NOW), "the lookup is not put twice");
        consumer.found(0, 42, ErrorCode::None);
        let jumped = consumer.positions.event();
        let Some(Event::Jumped { from, to, cause, .. }) = jumped else { panic!("{jumped:?} is no jump") };
        assert_eq!((from, to, cause), (Some(10), 42, Cause::OutOfRange));
        assert_eq!(consumer.positions.offset(&orders(0)), Some(42));
    }

    #[test]
    fn out_of_range_stops_reading_if_that_was_chosen() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[(0, ErrorCode::OffsetOutOfRange, vec![])]);
        let failed = consumer.positions.event();
        let Some(Event::Failed { offset, error, .. }) = failed else { panic!("{failed:?} is no failure") };
        assert_eq!((offset, error), (Some(10), ErrorCode::OffsetOutOfRange));
        assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)), "the other goes on");
    }

    #[test]
    fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
        let mut consumer = consumer(Reset::To(Edge::Latest));
        consumer.fetches(NOW);
        consumer.view = view_of(Uuid(78), 1, 0);
        assert!(consumer.looks_up(NOW));
        consumer.answered(NOW, &[(0, ErrorCode::None, batch(10, 1))]);
        assert!(consumer.positions.event().is_none(), "that was of the old topic");
        consumer.found(0, 0, ErrorCode::None);
        let jumped = consumer.positions.event();
        let Some(Event::Jumped { from, to, cause, .. }) = jumped else { panic!("{jumped:?} is no jump") };
        assert_eq!((from, to, cause), (Some(10), 0, Cause::Recreated));
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 0)], 500)));
    }

    #[test]
    fn a_topic_that_was_made_anew_is_not_read_if_that_was_chosen() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.view = view_of(Uuid(78), 1, 0);
        assert_eq!(consumer.fetches(NOW), None);
        let failed = consumer.positions.event();
        let Some(Event::Failed { offset, error, .. }) = failed else { panic!("{failed:?} is no failure") };
        assert_eq!((offset, error), (Some(10), ErrorCode::InconsistentTopicId));
    }

    #[test]
    fn a_broker_that_tells_no_id_makes_no_topic_anew() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.answered(NOW, &[]);
        consumer.view = view_of(Uuid::ZERO, 1, 0);
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
        consumer.answered(NOW, &[]);
        consumer.view = view(1, 3);
        assert_eq!(consumer.fetches(NOW), Some((vec![(0, 10), (1, 10)], 500)));
    }

    #[test]
    fn a_start_at_an_end_of_the_log_is_looked_up() {
        let mut consumer = consumer(Reset::Fail);
        consumer.positions.assign(orders(0), Start::Edge(Edge::Latest));
        assert!(consumer.looks_up(NOW));
        consumer.found(0, -1, ErrorCode::LeaderNotAvailable);
        assert_eq!(consumer.positions.offset(&orders(0)), None);
        assert!(consumer.positions.take_stale());
        assert_eq!(consumer.fetches(NOW), Some((vec![(1, 10)], 500)));
        let later = NOW + Duration::from_millis(100);
        assert!(consumer.looks_up(later));
        consumer.found(0, 90, ErrorCode::None);
        assert_eq!(consumer.positions.offset(&orders(0)), Some(90));
    }

    #[test]
    fn a_cut_is_followed_by_a_pause_and_the_same_question() {
        let mut consumer = consumer(Reset::Fail);
        consumer.fetches(NOW);
        consumer.positions.on_fetch_cut(NOW, NODE, &mut consumer.rng);
        assert!(consumer.positions.take_stale());
        assert_eq!(consumer.fetches(NOW), None);
        let later = NOW + Duration::from_millis(100);
        assert_eq!(consumer.fetches(later), Some((vec![(0, 10), (1, 10)], 500)));
    }

    #[test]
    fn without_a_leader_metadata_is_asked_for() {
        let mut consumer = consumer(Reset::Fail);
        consumer.view = view(-1, 4);
        assert_eq!(consumer.fetches(NOW), None);
        assert!(consumer.positions.take_stale());
        assert!(!consumer.positions.take_stale());
    }

    #[test]
    fn damaged_lengths_stop_reading_instead_of_going_on() {
        let mut consumer = consumer(Reset::To(Edge::Latest));
        consumer.fetches(NOW);
        let mut records = batch(10, 2);
        records[16] = 9;
        consumer.answered(NOW, &[(0, ErrorCode::None, records)]);
        let failed = consumer.positions.event();
        assert!(matches!(failed, Some(Event::Failed { error: ErrorCode::CorruptMessage, .. })), "{failed:?}");
    }
}
