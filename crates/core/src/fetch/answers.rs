//! What answers change: where partitions stand, whom to ask, what the owner hears.

use std::collections::BTreeSet;

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{
        FetchResponse, ListOffsetsResponse, OffsetForLeaderEpochResponse,
        fetch::{EpochEndOffset, FetchableTopicResponse, NodeEndpoint, PartitionData},
    },
    record::batches,
};

use super::{
    epochs::{self, Checked, EpochEnd, Truncation},
    event::{Ends, Event, Failure, Fetched, Stall},
    position::{Replica, State, Waiting},
    positions::{Asked, Positions},
    reset::{self, Cause, Found, Place, Point, Reset},
    verdict::Verdict,
};
use crate::{
    Moment, Rng,
    cluster::{Leader, NodeId, TopicPartition, View},
    planted::{Plant, planted},
    session,
};

/// No batch is larger, whoever wrote it: brokers take 100 MiB in a request at most, unless told otherwise.
const BATCH_BYTES_MAX: i32 = 1 << 30;

/// Who refused, and whether the refusal said who leads now.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    node: NodeId,
    error: ErrorCode,
    told_leader: bool,
}

/// Leaders that an answer names beside its errors (KIP-951), which saves asking for metadata.
#[derive(Debug, Default)]
pub struct Hints {
    brokers: Vec<NodeEndpoint>,
    leaders: Vec<(TopicPartition, Leader)>,
}

impl Hints {
    /// Whether no leader was named.
    pub fn is_empty(&self) -> bool {
        self.leaders.is_empty()
    }

    /// Has the view know of them.
    pub fn tell(self, view: &mut View) {
        for NodeEndpoint { node_id, host, port, rack } in self.brokers {
            view.on_broker(node_id, host, port, rack);
        }
        for (partition, leader) in self.leaders {
            view.on_leader(&partition, leader);
        }
    }
}

impl Positions {
    /// Takes the answer of a broker to its latest fetch. Gives back the leaders that it names.
    #[must_use]
    pub fn on_fetched(&mut self, now: Moment, node: NodeId, answer: FetchResponse, rng: &mut Rng) -> Hints {
        let mut hints = Hints::default();
        let Some(broker) = self.brokers.get_mut(&node) else { return hints };
        let Some(flight) = broker.fetch.take() else { return hints };
        let begun = broker.session.is_begun();
        let outcome = broker.session.on_answer(&answer);
        let FetchResponse { responses, node_endpoints, throttle_time_ms, .. } = answer;
        broker.rests_until = now + session::rest(throttle_time_ms);
        let parts = self.named(node, responses);
        let mut current = self.answered(flight.asked);
        if let Err(error) = outcome {
            for partition in &current {
                self.on_no_session(now, partition, Refusal { node, error, told_leader: false }, begun, rng);
            }
            return hints;
        }
        hints.brokers = node_endpoints;
        for (partition, part) in parts {
            // What the answer says of a partition a second time is not believed.
            let Some(position) = self.partitions.get(&partition).filter(|_| current.remove(&partition))
            else {
                continue;
            };
            let told = leader(&part).filter(|it| it.epoch > position.leader_epoch());
            hints.leaders.extend(told.map(|it| (partition.clone(), it)));
            self.on_part(now, node, partition, part, told.is_some(), rng);
        }
        hints
    }

    /// Takes the answer of a broker to its latest lookup.
    pub fn on_offsets(&mut self, now: Moment, node: NodeId, answer: &ListOffsetsResponse, rng: &mut Rng) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.lookup.take()) else { return };
        let mut missing = self.answered(asked);
        for found in reset::found(answer) {
            if missing.remove(&found.partition) {
                self.on_found(now, node, found, rng);
            }
        }
        missing.iter().for_each(|it| self.again(now, it, rng));
    }

    /// Takes the answer of a broker to its latest question for the ends of epochs.
    pub fn on_epochs(
        &mut self,
        now: Moment,
        node: NodeId,
        answer: &OffsetForLeaderEpochResponse,
        rng: &mut Rng,
    ) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.check.take()) else { return };
        let mut missing = self.answered(asked);
        for checked in epochs::checked(answer) {
            if missing.remove(&checked.partition) {
                self.on_checked(now, node, checked, rng);
            }
        }
        missing.iter().for_each(|it| self.again(now, it, rng));
    }

    /// A broker is too old to be asked for the ends of epochs: it is believed that the log is the same.
    pub fn on_epochs_unknown(&mut self, node: NodeId) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.check.take()) else { return };
        self.answered(asked).iter().for_each(|it| self.believe(it));
    }

    /// The latest fetch of a broker, and its session, came to nothing.
    pub fn on_fetch_cut(&mut self, now: Moment, node: NodeId, rng: &mut Rng) {
        let Some(broker) = self.brokers.get_mut(&node) else { return };
        broker.session.reset();
        let Some(flight) = broker.fetch.take() else { return };
        self.cut(now, node, flight.asked, rng);
    }

    /// The latest lookup of a broker came to nothing.
    pub fn on_lookup_cut(&mut self, now: Moment, node: NodeId, rng: &mut Rng) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.lookup.take()) else { return };
        self.cut(now, node, asked, rng);
    }

    /// The latest question for the ends of epochs came to nothing.
    pub fn on_epochs_cut(&mut self, now: Moment, node: NodeId, rng: &mut Rng) {
        let Some(asked) = self.brokers.get_mut(&node).and_then(|it| it.check.take()) else { return };
        self.cut(now, node, asked, rng);
    }

    fn cut(&mut self, now: Moment, node: NodeId, asked: Vec<Asked>, rng: &mut Rng) {
        self.stale = true;
        for partition in self.answered(asked) {
            self.change(&partition, |it| {
                it.replica = None;
                it.watch.met = Some(Stall::Cut(node));
                if planted(Plant::ErrorSkipped)
                    && let State::At(point) = &mut it.state
                {
                    point.offset += 1;
                }
            });
            if planted(Plant::ResetOnTemporaryError) {
                self.on_out_of_range(&partition);
            }
            self.again(now, &partition, rng);
        }
    }

    /// Those of a question that still stand where they stood.
    fn answered(&mut self, asked: Vec<Asked>) -> BTreeSet<TopicPartition> {
        let mut current = BTreeSet::new();
        for (partition, turn) in asked {
            if let Some(position) = self.partitions.get_mut(&partition).filter(|it| it.turn == turn) {
                position.asked = false;
                current.insert(partition);
            }
        }
        current
    }

    /// The partitions of an answer, by name.
    fn named(
        &self,
        node: NodeId,
        responses: Vec<FetchableTopicResponse>,
    ) -> Vec<(TopicPartition, PartitionData)> {
        let Some(broker) = self.brokers.get(&node) else { return Vec::new() };
        let mut named = Vec::new();
        for topic in responses {
            for part in topic.partitions {
                let partition = broker.session.partition(&topic.topic, topic.topic_id, part.partition_index);
                named.extend(partition.map(|it| (it, part)));
            }
        }
        named
    }

    fn on_part(
        &mut self,
        now: Moment,
        node: NodeId,
        partition: TopicPartition,
        part: PartitionData,
        told_leader: bool,
        rng: &mut Rng,
    ) {
        let error = ErrorCode::from(part.error_code);
        if error != ErrorCode::None {
            return self.on_error(now, &partition, Refusal { node, error, told_leader }, rng);
        }
        let end = end(&part.diverging_epoch);
        if let Some(end) = end {
            return self.on_end(&partition, end);
        }
        let Some(position) = self.partitions.get_mut(&partition) else { return };
        let State::At(from) = position.state else { return };
        position.ends = Some(Ends {
            log_start: part.log_start_offset,
            high_watermark: part.high_watermark,
            last_stable_offset: part.last_stable_offset,
        });
        if part.preferred_read_replica >= 0 {
            let until = now + self.config.replica_age_max;
            position.replica = Some(Replica { node: NodeId(part.preferred_read_replica), until });
        }
        self.on_records(now, node, partition, from, part);
    }

    fn on_records(
        &mut self,
        now: Moment,
        node: NodeId,
        partition: TopicPartition,
        from: Point,
        part: PartitionData,
    ) {
        let Some(position) = self.partitions.get_mut(&partition) else { return };
        let records = part.records.unwrap_or_default();
        let bytes = records.len();
        match walk(&records, from) {
            Ok(Some(next)) => {
                self.served += 1;
                position.goes_on(now);
                (position.state, position.served) = (State::At(next), self.served);
                position.unread = false;
                let bytes = bytes + position.waiting.map_or(0, |before| before.bytes);
                position.waiting = Some(Waiting { since: now, bytes, is_begun: false });
                position.bytes_max = self.config.partition_bytes_max;
                let ends = position.ends.expect("it was set with the answer");
                let aborted = part.aborted_transactions.unwrap_or_default();
                let (from, next) = (from.offset, next.offset);
                let fetched = Fetched { partition, records, from, next, ends, aborted };
                self.events.push_back(Event::Fetched(fetched));
            }
            Ok(None) => {
                position.failures = 0;
                position.watch.met = Some(Stall::Nothing(node));
                if bytes > 0 {
                    position.bytes_max = position.bytes_max.saturating_mul(2).min(BATCH_BYTES_MAX);
                }
            }
            Err(error) => self.refused(&partition, error),
        }
    }

    fn on_found(&mut self, now: Moment, node: NodeId, found: Found, rng: &mut Rng) {
        let Found { partition, error, point } = found;
        let Some(position) = self.partitions.get_mut(&partition) else { return };
        let State::Lost { place, from, cause } = position.state else { return };
        if error == ErrorCode::None && point.offset < 0 && place.is_by_time() {
            position.state = State::Lost { place: Place::Latest, from, cause };
            return;
        }
        if error != ErrorCode::None || point.offset < 0 {
            return self.on_error(now, &partition, Refusal { node, error, told_leader: false }, rng);
        }
        position.goes_on(now);
        (position.state, position.unread) = (State::At(point), true);
        self.events.push_back(Event::Jumped { partition, from, to: point.offset, cause });
    }

    fn on_checked(&mut self, now: Moment, node: NodeId, checked: Checked, rng: &mut Rng) {
        let Checked { partition, error, end } = checked;
        match error {
            ErrorCode::None => self.on_end(&partition, end),
            // Brokers before 2.3 tell epochs to other brokers only.
            ErrorCode::ClusterAuthorizationFailed => self.believe(&partition),
            error => self.on_error(now, &partition, Refusal { node, error, told_leader: false }, rng),
        }
    }

    /// The log is taken for the one that was read.
    fn believe(&mut self, partition: &TopicPartition) {
        self.change(partition, |it| {
            if let State::Unsure(point) = it.state {
                it.state = State::At(point);
            }
            it.failures = 0;
            it.checked = it.leader_epoch();
        });
    }

    /// The leader has told where the epoch ends that was read last.
    fn on_end(&mut self, partition: &TopicPartition, end: EpochEnd) {
        let Some(point) = self.partitions.get(partition).and_then(|it| it.point()) else { return };
        match (end.truncation(point), self.config.reset) {
            (None, _) => self.believe(partition),
            // What was read last was another's; what comes next is the same.
            (Some(Truncation::From(to)), _) if to.offset == point.offset => {
                self.go_back(partition, point, to);
            }
            (Some(Truncation::From(to)), Reset::To(_)) => self.go_back(partition, point, to),
            (Some(Truncation::Unknown), Reset::To(place)) => {
                let lost = State::Lost { place, from: Some(point.offset), cause: Cause::Truncated };
                self.change(partition, |it| it.state = lost);
            }
            (Some(Truncation::From(to)), Reset::Fail) => {
                self.give_up(partition, Failure::Truncated { safe: Some(to.offset) });
            }
            (Some(Truncation::Unknown), Reset::Fail) => {
                self.give_up(partition, Failure::Truncated { safe: None });
            }
        }
    }

    fn go_back(&mut self, partition: &TopicPartition, from: Point, to: Point) {
        self.change(partition, |it| it.state = State::At(to));
        // The leader that the end of the log was asked of has gone without writing anything.
        if from.offset == to.offset && self.partitions.get(partition).is_some_and(|it| it.unread) {
            return;
        }
        let (from, to, partition) = (Some(from.offset), to.offset, partition.clone());
        self.events.push_back(Event::Jumped { partition, from, to, cause: Cause::Truncated });
    }

    /// A session that the broker has dropped is begun anew at once; one that it would not begin, after a pause.
    fn on_no_session(
        &mut self,
        now: Moment,
        partition: &TopicPartition,
        refusal: Refusal,
        begun: bool,
        rng: &mut Rng,
    ) {
        let dropped = matches!(
            refusal.error,
            ErrorCode::FetchSessionIdNotFound
                | ErrorCode::InvalidFetchSessionEpoch
                | ErrorCode::FetchSessionTopicIdError
        );
        if !(begun && dropped) {
            self.on_error(now, partition, refusal, rng);
        }
    }

    fn on_error(&mut self, now: Moment, partition: &TopicPartition, refusal: Refusal, rng: &mut Rng) {
        let Refusal { node, error, told_leader } = refusal;
        let Some(position) = self.partitions.get_mut(partition) else { return };
        position.watch.met = Some(Stall::Refused(node, error));
        let verdict = Verdict::from(error);
        let is_leader = position.leader.is_none_or(|it| it.node == node);
        match verdict {
            Verdict::Answered | Verdict::Wait => self.again(now, partition, rng),
            // The leader is there at once for whoever was told of it.
            Verdict::Refresh if told_leader => position.failures = 0,
            // A replica does not decide what is to be done: the leader is asked.
            _ if !is_leader => {
                position.replica = None;
                self.again(now, partition, rng);
            }
            Verdict::Refresh => {
                self.stale = true;
                self.again(now, partition, rng);
            }
            Verdict::OutOfRange => self.on_out_of_range(partition),
            Verdict::Fatal => self.refused(partition, error),
        }
    }

    fn on_out_of_range(&mut self, partition: &TopicPartition) {
        let Reset::To(place) = self.config.reset else {
            return self.refused(partition, ErrorCode::OffsetOutOfRange);
        };
        let from = self.offset(partition);
        self.change(partition, |it| it.state = State::Lost { place, from, cause: Cause::OutOfRange });
    }

    fn again(&mut self, now: Moment, partition: &TopicPartition, rng: &mut Rng) {
        let backoff = self.backoff;
        self.change(partition, |it| it.again(now, backoff, rng));
    }

    pub(super) fn refused(&mut self, partition: &TopicPartition, error: ErrorCode) {
        self.give_up(partition, Failure::Refused(error));
    }

    fn give_up(&mut self, partition: &TopicPartition, failure: Failure) {
        let offset = self.offset(partition);
        self.change(partition, |it| it.state = State::Failed);
        self.events.push_back(Event::Failed { partition: partition.clone(), offset, failure });
    }
}

/// Who leads by now, if the answer says so.
fn leader(part: &PartitionData) -> Option<Leader> {
    let told = &part.current_leader;
    (told.leader_id >= 0).then_some(Leader { node: NodeId(told.leader_id), epoch: told.leader_epoch })
}

/// Where the epochs part, if the answer says that they do.
fn end(diverging: &EpochEndOffset) -> Option<EpochEnd> {
    let parted = diverging.epoch >= 0 || diverging.end_offset >= 0;
    parted.then_some(EpochEnd { epoch: diverging.epoch, offset: diverging.end_offset })
}

/// Where the last whole batch ends, and who wrote it; none if there is no whole batch that reaches `from`.
fn walk(records: &Bytes, from: Point) -> Result<Option<Point>, ErrorCode> {
    let mut end = None;
    for batch in batches(records.clone()) {
        let batch = batch.map_err(|_| ErrorCode::CorruptMessage)?;
        let next = batch.last_offset().checked_add(1).ok_or(ErrorCode::CorruptMessage)?;
        if next > from.offset {
            end = Some(Point { offset: next, leader_epoch: batch.leader_epoch });
        }
    }
    Ok(end)
}
