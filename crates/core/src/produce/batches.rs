//! A producer without its sockets: records go into open batches, batches go out, come back, and are done.
//!
//! Records are encoded where they are pushed. A batch leaves when it is full, has lingered, or is flushed, and its
//! partition has a slot free. All memory is counted, and none is given out beyond the limit. `T` is the owner's
//! ticket, one for each batch: it comes back with what became of the batch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    record::{BatchBuilder, RecordError, RecordSlices, Stamp},
};

use super::{
    closed::Closed,
    config::Config,
    divide::{self, Fate},
    outcome::Outcome,
    outgoing::{Body, Outgoing},
    rejected::Rejected,
    sequence::{Rules, Sequence, Todo},
    spare::Spare,
    stamp::Identity,
    verdict::{Answer, Verdict},
};
use crate::{
    Moment, Rng,
    cluster::{NodeId, TopicPartition},
    session,
};

/// The batches of one producer.
#[derive(Debug)]
pub struct Batches<T> {
    config: Config,
    lanes: Vec<Partition<T>>,
    numbers: BTreeMap<TopicPartition, Lane>,
    /// How many batches were opened.
    opened: u64,
    /// Lanes that have a batch, open or not.
    busy: BTreeSet<Lane>,
    /// The lane that goes first, so that none is always last.
    turn: Lane,
    used_bytes: usize,
    /// Somebody waits for memory, so open batches do not linger.
    pressed: bool,
    identity: Option<Identity>,
    wants_identity: bool,
    done: VecDeque<Done<T>>,
    spare: Spare,
    fatal: Option<ErrorCode>,
}

/// A partition, as [`Batches`] numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u32);

/// A batch that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    lane: Lane,
    key: u64,
}

/// The batches of one partition.
#[derive(Debug)]
struct Partition<T> {
    name: TopicPartition,
    open: Option<Open<T>>,
    sequence: Sequence<Closed<T>>,
    /// The batch that was handed out last is not kept yet. The next one waits for it, or could overtake it.
    packing: bool,
    /// The batches of this partition take further records until they have so many bytes. Less than others may take
    /// once a broker found one too large.
    batch_bytes: usize,
}

/// A batch that takes records.
#[derive(Debug)]
struct Open<T> {
    builder: BatchBuilder,
    ticket: T,
    serial: u64,
    since: Moment,
    /// When it has lingered long enough.
    due: Moment,
}

/// All batches that were opened up to some moment. See [`Batches::flush`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// Where a record went.
#[derive(Debug)]
pub struct Pushed<'a, T> {
    /// Of its batch.
    pub ticket: &'a T,
    /// Its place in the batch, from 0.
    pub index: u32,
    /// Whether [`Batches::poll`] may have something to do that it had not before, or its deadline has moved.
    pub news: bool,
}

/// A batch that is done, or a part of one that the broker did not take as a whole.
#[derive(Debug)]
pub struct Done<T> {
    /// Where it belongs.
    pub partition: TopicPartition,
    /// The owner's.
    pub ticket: T,
    /// The place of its first record in the batch. The base offset is that record's.
    pub first: u32,
    /// How many records it has.
    pub count: u32,
    /// What became of it.
    pub outcome: Outcome,
}

impl<T: Clone> Batches<T> {
    /// A producer with no records.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            lanes: Vec::new(),
            numbers: BTreeMap::new(),
            opened: 0,
            busy: BTreeSet::new(),
            turn: Lane(0),
            used_bytes: 0,
            pressed: false,
            identity: None,
            wants_identity: false,
            done: VecDeque::new(),
            spare: Spare::default(),
            fatal: None,
        }
    }

    /// The number of a partition, which it keeps.
    pub fn lane(&mut self, partition: &TopicPartition) -> Lane {
        if let Some(&lane) = self.numbers.get(partition) {
            return lane;
        }
        let lane = Lane(self.lanes.len() as u32);
        let Config { idempotent, in_flight_max, .. } = self.config;
        let rules = Rules { idempotent, in_flight_max };
        self.numbers.insert(partition.clone(), lane);
        self.lanes.push(Partition {
            name: partition.clone(),
            open: None,
            sequence: Sequence::new(rules),
            packing: false,
            batch_bytes: self.config.batch_bytes,
        });
        lane
    }

    /// Appends a record. If a new batch is opened, `now` tells when that is, and `ticket` makes its ticket.
    pub fn push<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        now: impl FnOnce() -> Moment,
        lane: Lane,
        record: RecordSlices<'_, N, V>,
        ticket: impl FnOnce() -> T,
    ) -> Result<Pushed<'_, T>, Rejected> {
        if let Some(error) = self.fatal {
            return Err(Rejected::Fatal(error));
        }
        let partition = &self.lanes[lane.0 as usize];
        let (open_bytes, with) = match &partition.open {
            Some(open) => (open.builder.bytes(), open.builder.size_with(&record)),
            None => (0, BatchBuilder::size_of_one(&record)),
        };
        let fits = with <= partition.batch_bytes || open_bytes == 0;
        let bytes = if fits { with - open_bytes } else { BatchBuilder::size_of_one(&record) };
        self.admit(bytes)?;
        if fits && open_bytes > 0 {
            let open = self.lanes[lane.0 as usize].open.as_mut().expect("an open batch has bytes");
            let index = open.builder.append(record).map_err(Rejected::Unsound)?;
            self.used_bytes += bytes;
            return Ok(Pushed { ticket: &open.ticket, index, news: false });
        }
        // An error must not leave an empty batch behind, so the first record goes in before the batch is there.
        let mut builder = BatchBuilder::in_memory(self.spare.take());
        let index = builder.append(record).map_err(Rejected::Unsound)?;
        self.close(lane);
        self.used_bytes += bytes;
        self.busy.insert(lane);
        let (now, serial) = (now(), self.opened);
        let due = now + self.config.linger;
        self.opened += 1;
        let open = Open { builder, ticket: ticket(), serial, since: now, due };
        let open = self.lanes[lane.0 as usize].open.insert(open);
        Ok(Pushed { ticket: &open.ticket, index, news: true })
    }

    /// The latest record of a partition was sent at that moment already, and had to wait until it could be pushed: its
    /// batch is given up as if it had been opened then, with all that is in it. As everywhere, records that share a
    /// batch share its time, which is that of the one that was sent first.
    pub fn backdate(&mut self, lane: Lane, since: Moment) {
        if let Some(open) = &mut self.lanes[lane.0 as usize].open {
            open.since = open.since.min(since);
        }
    }

    /// Lets every open batch go as soon as it can. [`is_flushed`](Self::is_flushed) tells when all that was pushed
    /// before is done.
    pub fn flush(&mut self) -> Mark {
        for lane in &self.busy {
            if let Some(open) = &mut self.lanes[lane.0 as usize].open {
                open.due = Moment::default();
            }
        }
        Mark(self.opened)
    }

    /// Whether everything up to the mark is done.
    pub fn is_flushed(&self, mark: Mark) -> bool {
        self.busy.iter().all(|it| {
            let Partition { open, sequence, .. } = &self.lanes[it.0 as usize];
            let first = sequence.payloads().next().map(|it| it.serial);
            first.or(open.as_ref().map(|it| it.serial)).is_none_or(|it| it >= mark.0)
        })
    }

    /// What is to be sent: at most one batch of each partition, as many as a request may have, with the broker that
    /// `leader` names. It is asked only about partitions that have something to send; without a leader they wait.
    pub fn poll(
        &mut self,
        now: Moment,
        mut leader: impl FnMut(&TopicPartition) -> Option<NodeId>,
    ) -> Vec<(NodeId, Outgoing)> {
        let mut all = Vec::new();
        self.wants_identity = false;
        let turn = self.turn;
        let busy: Vec<Lane> = self.busy.range(turn..).chain(self.busy.range(..turn)).copied().collect();
        self.turn = busy.get(1).copied().unwrap_or(turn);
        for lane in busy {
            self.advance(now, lane);
            let partition = &mut self.lanes[lane.0 as usize];
            if partition.packing || !partition.sequence.is_ready(now) {
                continue;
            }
            let Some(node) = leader(&partition.name) else { continue };
            match partition.sequence.poll(now, self.identity) {
                Todo::Send { key, numbered, payload } => {
                    let id = BatchId { lane, key };
                    let stamp = numbered.map_or(Stamp::NONE, |it| it.stamp());
                    partition.packing = true;
                    all.push((node, payload.outgoing(id, &partition.name, stamp)));
                }
                Todo::Identify => self.identify(lane),
                Todo::Nothing => {}
            }
        }
        all
    }

    /// Keeps the bytes of a batch that is about to be sent. Says whether it is: it may have been given up while it
    /// was packed.
    #[must_use]
    pub fn keep(&mut self, id: BatchId, stamp: Stamp, bytes: Bytes) -> bool {
        let partition = &mut self.lanes[id.lane.0 as usize];
        partition.packing = false;
        let batch = partition.sequence.on_packed(id.key);
        let is_wanted = batch.is_some();
        if let Some(batch) = batch {
            batch.body = Some(Body::Packed(bytes, stamp));
        }
        self.collect(id.lane);
        is_wanted
    }

    /// A batch could not be packed, so it was not sent.
    pub fn on_unsendable(&mut self, id: BatchId, error: RecordError) {
        self.lanes[id.lane.0 as usize].packing = false;
        self.sequence(id).on_unsendable(id.key, error);
        self.collect(id.lane);
    }

    /// A broker answered. The verdict is for the owner to see whether metadata has to be asked for; the batch is
    /// taken care of.
    pub fn on_answer(&mut self, now: Moment, id: BatchId, answer: Answer, rng: &mut Rng) -> Verdict {
        let verdict = Verdict::from(answer.error);
        if let Some(parts) = self.parts(id, &answer) {
            self.divide(id, parts);
        } else {
            self.sequence(id).on_answer(now, id.key, answer, rng);
        }
        self.collect(id.lane);
        verdict
    }

    /// The connection broke before the answer came.
    pub fn on_cut(&mut self, now: Moment, id: BatchId, fate: session::Fate, rng: &mut Rng) {
        self.sequence(id).on_cut(now, id.key, fate, rng);
        self.collect(id.lane);
    }

    /// Whether InitProducerId is to be asked for an identity: the latest poll found something that waits for one.
    pub fn wants_identity(&self) -> bool {
        self.wants_identity
    }

    /// InitProducerId has given an identity. A partition that writes under an earlier one goes on so.
    pub fn on_identity(&mut self, identity: Identity) {
        self.identity = Some(identity);
        self.wants_identity = false;
    }

    /// No identity is to be had: gives up what waits for one. What is pushed later asks again.
    pub fn on_no_identity(&mut self) {
        self.wants_identity = false;
        for lane in self.busy.clone() {
            self.lanes[lane.0 as usize].sequence.on_no_identity();
            self.collect(lane);
        }
    }

    /// Gives up everything, for good.
    pub fn fail(&mut self, error: ErrorCode) {
        self.fatal = Some(error);
        for lane in self.busy.clone() {
            self.close(lane);
            self.lanes[lane.0 as usize].sequence.fail(error);
            self.collect(lane);
        }
    }

    /// Drops everything that is not done; what is pushed later goes on. What is in flight may be written.
    pub fn purge(&mut self) {
        for lane in self.busy.clone() {
            self.close(lane);
            self.lanes[lane.0 as usize].sequence.purge();
            self.collect(lane);
        }
    }

    /// The next batch that is done.
    pub fn done(&mut self) -> Option<Done<T>> {
        self.done.pop_front()
    }

    /// When `poll` may have something to do that it does not have now, after `now`. What is due by now waits for
    /// something else: a leader, an identity, an answer.
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        let lanes = self.busy.iter().map(|it| &self.lanes[it.0 as usize]);
        let moments = lanes.flat_map(|it| {
            let open = it.open.as_ref().map(|it| [it.due, it.since + self.config.delivery_timeout]);
            it.sequence.deadlines().into_iter().flatten().chain(open.into_iter().flatten())
        });
        moments.filter(|it| *it > now).min()
    }

    /// How many records are not done.
    pub fn records(&self) -> usize {
        let lanes = self.busy.iter().map(|it| &self.lanes[it.0 as usize]);
        let records = lanes.flat_map(|it| {
            let open = it.open.as_ref().map(|it| it.builder.count());
            it.sequence.payloads().map(|it| it.count).chain(open)
        });
        records.map(|it| it as usize).sum()
    }

    /// Whether every batch is done and nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.busy.is_empty()
    }

    /// Bytes of all batches that are not done.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// What a batch is to be divided into, if it was answered so.
    fn parts(&self, id: BatchId, answer: &Answer) -> Option<Vec<divide::Part>> {
        let batch = self.lanes[id.lane.0 as usize].sequence.payload(id.key)?;
        match &batch.body {
            Some(Body::Packed(bytes, _)) => divide::divide(bytes, answer),
            _ => None,
        }
    }

    fn divide(&mut self, id: BatchId, parts: Vec<divide::Part>) {
        let Self { lanes, used_bytes, .. } = self;
        let Partition { sequence, batch_bytes, .. } = &mut lanes[id.lane.0 as usize];
        sequence.divide(id.key, |whole| {
            *used_bytes -= whole.bytes;
            if parts.iter().all(|it| matches!(it.fate, Fate::Goes(_))) {
                // It was too large, and so would the next ones be.
                *batch_bytes = (*batch_bytes).min(whole.bytes / 2);
            }
            let parts: Vec<_> = parts.into_iter().map(|it| whole.part(it)).collect();
            *used_bytes += parts.iter().map(|it| it.payload.bytes).sum::<usize>();
            parts
        });
    }

    fn sequence(&mut self, id: BatchId) -> &mut Sequence<Closed<T>> {
        &mut self.lanes[id.lane.0 as usize].sequence
    }

    fn admit(&mut self, bytes: usize) -> Result<(), Rejected> {
        let bytes_max = self.config.record_bytes_max;
        if bytes > bytes_max {
            return Err(Rejected::TooLarge { bytes, bytes_max });
        }
        // One record may always be on its way, however little memory there is.
        if self.used_bytes > 0 && self.used_bytes + bytes > self.config.memory_bytes {
            self.pressed = true;
            return Err(Rejected::Full { bytes });
        }
        Ok(())
    }

    /// Closes the open batch of a partition once it is time, and gives up what is overdue.
    fn advance(&mut self, now: Moment, lane: Lane) {
        let Partition { open, sequence, packing, .. } = &mut self.lanes[lane.0 as usize];
        if let Some(open) = open {
            let overdue = open.since + self.config.delivery_timeout <= now;
            let due = open.due <= now || self.pressed;
            if overdue || (due && sequence.has_room() && !*packing) {
                self.close(lane);
            }
        }
        self.lanes[lane.0 as usize].sequence.expire(now);
        self.collect(lane);
    }

    fn close(&mut self, lane: Lane) {
        let partition = &mut self.lanes[lane.0 as usize];
        let Some(Open { builder, ticket, serial, since, .. }) = partition.open.take() else { return };
        let (count, bytes) = (builder.count(), builder.bytes());
        let batch = Closed { ticket, serial, first: 0, body: Some(Body::Open(builder)), count, bytes };
        partition.sequence.push(batch, count, since + self.config.delivery_timeout);
    }

    fn collect(&mut self, lane: Lane) {
        let partition = &mut self.lanes[lane.0 as usize];
        while let Some((batch, outcome)) = partition.sequence.finished() {
            let Closed { ticket, first, count, bytes, body, .. } = batch;
            self.used_bytes -= bytes;
            body.and_then(Body::packed).into_iter().for_each(|it| self.spare.put(it));
            self.pressed = false;
            self.done.push_back(Done { partition: partition.name.clone(), ticket, first, count, outcome });
        }
        if partition.open.is_none() && partition.sequence.is_empty() {
            self.busy.remove(&lane);
        }
        if self.busy.is_empty() {
            self.spare.clear();
        }
    }

    fn identify(&mut self, lane: Lane) {
        let retired = self.lanes[lane.0 as usize].sequence.retired();
        if self.identity.is_none_or(|it| Some(it.id) == retired) {
            self.identity = None;
            self.wants_identity = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vltava_wire::{Compression, Compressor, record::Batch};

    use super::*;
    use crate::produce::{Failure, Reason, Rejection};

    const NOW: Moment = Moment(1_000_000);
    const NODE: NodeId = NodeId(1);

    /// A producer whose every batch has the number of its opening as ticket.
    struct Producer {
        batches: Batches<u32>,
        opened: u32,
        rng: Rng,
    }

    fn producer(config: Config) -> Producer {
        let mut batches = Batches::new(config);
        batches.on_identity(Identity { id: 7, epoch: 0 });
        Producer { batches, opened: 0, rng: Rng::new(1) }
    }

    fn orders(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    impl Producer {
        /// Pushes a record with a value of so many bytes; gives its batch and place.
        fn push(&mut self, partition: i32, bytes: usize) -> Result<(u32, u32), Rejected> {
            let lane = self.batches.lane(&orders(partition));
            let (value, opened) = (vec![0; bytes], &mut self.opened);
            let record = RecordSlices::new(0, None, Some(&value));
            let pushed = self.batches.push(
                || NOW,
                lane,
                record,
                || {
                    *opened += 1;
                    *opened
                },
            )?;
            Ok((*pushed.ticket, pushed.index))
        }

        /// Packs and keeps all that may go out.
        fn sends(&mut self, now: Moment) -> Vec<(BatchId, i32, Bytes)> {
            let outgoing = self.batches.poll(now, |_| Some(NODE));
            let mut sent = Vec::new();
            for (_, it) in outgoing {
                let (id, stamp, partition) = (it.id, it.stamp(), it.partition.partition);
                let bytes = it.encode(&mut Compressor::new(Compression::None)).expect("it can be packed");
                assert!(self.batches.keep(id, stamp, bytes.clone()), "nothing is given up meanwhile");
                sent.push((id, partition, bytes));
            }
            sent
        }

        fn answered(&mut self, id: BatchId, error: ErrorCode) {
            let answer = Answer { base_offset: 40, ..Answer::refused(error) };
            self.batches.on_answer(NOW, id, answer, &mut self.rng);
        }

        fn done(&mut self) -> Option<(u32, Outcome)> {
            self.batches.done().map(|it| (it.ticket, it.outcome))
        }
    }

    fn lingering(linger: Duration) -> Producer {
        producer(Config { linger, ..Config::default() })
    }

    #[test]
    fn records_of_a_partition_share_a_batch_while_it_is_open() {
        let mut producer = lingering(Duration::from_millis(5));
        assert_eq!(producer.push(0, 10), Ok((1, 0)));
        assert_eq!(producer.push(0, 10), Ok((1, 1)));
        assert_eq!(producer.push(1, 10), Ok((2, 0)));
    }

    #[test]
    fn a_batch_leaves_when_it_has_lingered() {
        let mut producer = lingering(Duration::from_millis(5));
        producer.push(0, 10).expect("there is memory");
        assert_eq!(producer.sends(NOW).len(), 0);
        let due = producer.batches.deadline(NOW).expect("a batch lingers");
        assert_eq!(due, NOW + Duration::from_millis(5));
        assert_eq!(producer.sends(due).len(), 1);
    }

    #[test]
    fn a_full_batch_does_not_linger() {
        let mut producer =
            producer(Config { linger: Duration::from_secs(60), batch_bytes: 200, ..Config::default() });
        assert_eq!(producer.push(0, 100), Ok((1, 0)));
        assert_eq!(producer.push(0, 100), Ok((2, 0)));
        assert_eq!(producer.sends(NOW).len(), 1);
    }

    #[test]
    fn a_flushed_batch_does_not_linger() {
        let mut producer = lingering(Duration::from_secs(60));
        producer.push(0, 10).expect("there is memory");
        producer.batches.flush();
        assert_eq!(producer.sends(NOW).len(), 1);
    }

    #[test]
    fn while_its_partition_has_no_slot_a_batch_goes_on_filling() {
        let mut producer = lingering(Duration::ZERO);
        for ticket in 1..=6 {
            assert_eq!(producer.push(0, 10), Ok((ticket, 0)));
            let sent = producer.sends(NOW);
            assert_eq!(sent.len(), 1);
            if ticket == 1 {
                producer.answered(sent[0].0, ErrorCode::None);
            }
        }
        assert_eq!(producer.push(0, 10), Ok((7, 0)));
        assert_eq!(producer.sends(NOW).len(), 0);
        assert_eq!(producer.push(0, 10), Ok((7, 1)));
    }

    #[test]
    fn memory_of_what_is_done_is_kept_for_what_comes_while_anything_does() {
        let mut producer = producer(Config::default());
        producer.push(0, 8_000).expect("there is memory");
        let (first, _, bytes) = producer.sends(NOW).remove(0);
        let at = bytes.as_ptr();
        drop(bytes);
        producer.push(1, 10).expect("there is memory");
        producer.answered(first, ErrorCode::None);
        producer.push(0, 8_000).expect("there is memory");
        let sent = producer.sends(NOW);
        assert_eq!(sent.iter().find(|it| it.1 == 0).map(|it| it.2.as_ptr()), Some(at));
        for (id, _, bytes) in sent {
            drop(bytes);
            producer.answered(id, ErrorCode::None);
        }
        assert_eq!(producer.batches.spare.take().capacity(), 0, "nothing is kept when nothing is left");
    }

    #[test]
    fn a_request_takes_one_batch_of_each_partition() {
        let mut producer = producer(Config { batch_bytes: 150, ..Config::default() });
        for partition in [0, 0, 1, 1] {
            producer.push(partition, 100).expect("there is memory");
        }
        let sent = producer.sends(NOW);
        assert_eq!(sent.iter().map(|it| it.1).collect::<Vec<_>>(), [0, 1]);
        sent.iter().for_each(|it| producer.answered(it.0, ErrorCode::None));
        assert_eq!(producer.sends(NOW).len(), 2);
    }

    #[test]
    fn while_a_batch_is_packed_the_next_one_of_its_partition_waits_and_fills() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        let (first, ..) = producer.sends(NOW)[0];
        producer.answered(first, ErrorCode::None);
        assert_eq!(producer.push(0, 10), Ok((2, 0)));
        let (_, packed) = producer.batches.poll(NOW, |_| Some(NODE)).pop().expect("it may go out");
        assert_eq!([producer.push(0, 10), producer.push(1, 10)], [Ok((3, 0)), Ok((4, 0))]);
        assert_eq!(producer.sends(NOW).iter().map(|it| it.1).collect::<Vec<_>>(), [1]);
        assert_eq!(producer.push(0, 10), Ok((3, 1)));

        let (id, stamp) = (packed.id, packed.stamp());
        let bytes = packed.encode(&mut Compressor::new(Compression::Gzip)).expect("it can be packed");
        assert!(producer.batches.keep(id, stamp, bytes));
        assert_eq!(producer.sends(NOW).iter().map(|it| it.1).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_batch_that_cannot_be_packed_does_not_hold_up_the_next_one() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        let (_, packed) = producer.batches.poll(NOW, |_| Some(NODE)).pop().expect("it may go out");
        producer.push(0, 10).expect("there is memory");
        let error = BatchBuilder::new().finish(Stamp::NONE, Compression::None).expect_err("it is empty");
        producer.batches.on_unsendable(packed.id, error);
        assert!(producer.done().is_some_and(|it| it.1.is_err()));
        assert_eq!(producer.sends(NOW).len(), 1);
    }

    #[test]
    fn a_batch_that_is_given_up_while_it_is_packed_is_not_sent_and_its_memory_comes_back() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 300).expect("there is memory");
        let (_, packed) = producer.batches.poll(NOW, |_| Some(NODE)).pop().expect("it may go out");
        assert!(producer.batches.used_bytes() > 300, "what is packed still takes memory");
        let late = NOW + Config::default().delivery_timeout;
        assert!(producer.batches.poll(late, |_| Some(NODE)).is_empty());
        assert!(producer.done().is_some_and(|it| it.1.is_err()));
        assert_eq!(producer.batches.used_bytes(), 0);

        let (id, stamp) = (packed.id, packed.stamp());
        let bytes = packed.encode(&mut Compressor::new(Compression::Gzip)).expect("it can be packed");
        assert!(!producer.batches.keep(id, stamp, bytes));
        assert!(producer.batches.is_empty());
        producer.push(0, 10).expect("there is memory");
        assert_eq!(producer.sends(NOW).len(), 1, "the partition goes on");
    }

    #[test]
    fn what_has_no_leader_waits_and_expires() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        assert!(producer.batches.poll(NOW, |_| None).is_empty());
        let deadline = producer.batches.deadline(NOW).expect("it does not wait for ever");
        assert_eq!(deadline, NOW + Duration::from_secs(120));
        assert!(producer.batches.poll(deadline, |_| None).is_empty());
        let (ticket, outcome) = producer.done().expect("it has expired");
        assert_eq!((ticket, outcome.map_err(|it| it.maybe_written)), (1, Err(false)));
        assert!(producer.batches.is_empty());
    }

    #[test]
    fn memory_is_given_out_once_and_comes_back() {
        let mut producer = producer(Config { memory_bytes: 500, ..Config::default() });
        producer.push(0, 300).expect("there is memory");
        assert!(matches!(producer.push(0, 300), Err(Rejected::Full { .. })));
        let (id, ..) = producer.sends(NOW)[0].clone();
        producer.answered(id, ErrorCode::None);
        let (ticket, outcome) = producer.done().expect("it is written");
        assert_eq!((ticket, outcome.map(|it| it.base_offset)), (1, Ok(Some(40))));
        assert_eq!(producer.batches.used_bytes(), 0);
        assert_eq!(producer.push(0, 300), Ok((2, 0)));
    }

    #[test]
    fn who_waits_for_memory_does_not_wait_for_lingering() {
        let mut producer =
            producer(Config { linger: Duration::from_secs(60), memory_bytes: 500, ..Config::default() });
        producer.push(0, 300).expect("there is memory");
        assert_eq!(producer.sends(NOW).len(), 0);
        assert!(producer.push(1, 300).is_err());
        assert_eq!(producer.sends(NOW).len(), 1);
    }

    #[test]
    fn a_record_that_is_too_large_is_refused_and_one_larger_than_memory_is_not() {
        let mut producer =
            producer(Config { memory_bytes: 100, record_bytes_max: 1000, ..Config::default() });
        assert!(matches!(producer.push(0, 1000), Err(Rejected::TooLarge { bytes_max: 1000, .. })));
        assert_eq!(producer.push(0, 800), Ok((1, 0)));
    }

    #[test]
    fn a_batch_goes_out_again_as_it_was_and_in_a_new_epoch_with_a_new_number() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        let (id, _, first) = producer.sends(NOW)[0].clone();
        producer.answered(id, ErrorCode::NotEnoughReplicas);
        let later = NOW + Duration::from_secs(1);
        let (id, _, second) = producer.sends(later)[0].clone();
        assert_eq!(first, second);
        producer.answered(id, ErrorCode::CorruptMessage);
        let (id, _, third) = producer.sends(later)[0].clone();
        assert_eq!(first, third);
        producer.batches.on_cut(NOW, id, session::Fate::NotSent, &mut producer.rng);
        assert!(producer.batches.deadline(NOW).is_some());
    }

    #[test]
    fn a_batch_that_is_too_large_goes_in_parts_and_later_ones_are_smaller() {
        let mut producer = lingering(Duration::from_secs(1));
        (0..4).for_each(|index| assert_eq!(producer.push(0, 100), Ok((1, index))));
        let later = NOW + Duration::from_secs(1);
        let (id, ..) = producer.sends(later)[0];
        let used = producer.batches.used_bytes();
        producer.answered(id, ErrorCode::MessageTooLarge);
        assert!((used..used + 100).contains(&producer.batches.used_bytes()), "a header more");

        let mark = producer.batches.flush();
        let mut done = Vec::new();
        for _ in 0..2 {
            assert!(!producer.batches.is_flushed(mark));
            let (id, ..) = producer.sends(later)[0];
            producer.answered(id, ErrorCode::None);
            let it = producer.batches.done().expect("a part is written");
            done.push((it.ticket, it.first, it.count, it.outcome.is_ok()));
        }
        assert_eq!(done, [(1, 0, 2, true), (1, 2, 2, true)]);
        assert!(producer.batches.is_flushed(mark) && producer.batches.is_empty());
        assert_eq!(producer.batches.used_bytes(), 0);
        let tickets: Vec<_> = (0..3).map(|_| producer.push(0, 100).expect("there is memory").0).collect();
        assert_eq!(tickets, [2, 3, 4], "half of what was refused has room for one");
    }

    #[test]
    fn a_rejected_record_fails_and_the_others_do_not() {
        let mut producer = lingering(Duration::from_secs(1));
        (0..3).for_each(|index| assert_eq!(producer.push(0, 100), Ok((1, index))));
        let later = NOW + Duration::from_secs(1);
        let (id, ..) = producer.sends(later)[0];
        let rejected = vec![Rejection { index: 1, message: Some("no key".to_owned()) }];
        let answer = Answer { rejected, ..Answer::refused(ErrorCode::InvalidRecord) };
        producer.batches.on_answer(NOW, id, answer, &mut producer.rng);
        let it = producer.batches.done().expect("a record has failed");
        let reason = Reason::Refused(ErrorCode::InvalidRecord, Some("no key".to_owned()));
        assert_eq!((it.first, it.count), (1, 1));
        assert_eq!(it.outcome, Err(Failure { reason, maybe_written: false }));
        for first in [0, 2] {
            let (id, _, bytes) = producer.sends(later)[0].clone();
            assert_eq!(Batch::parse(bytes).expect("it is a batch").producer_epoch, 1);
            producer.answered(id, ErrorCode::None);
            let it = producer.batches.done().expect("a part is written");
            assert_eq!((it.first, it.count, it.outcome.is_ok()), (first, 1, true));
        }
        assert_eq!((producer.batches.used_bytes(), producer.batches.records()), (0, 0));
    }

    #[test]
    fn a_flush_does_not_wait_for_what_is_pushed_later() {
        let mut producer = lingering(Duration::from_secs(60));
        producer.push(0, 10).expect("there is memory");
        let mark = producer.batches.flush();
        let (id, ..) = producer.sends(NOW)[0];
        producer.push(0, 10).expect("there is memory");
        producer.push(1, 10).expect("there is memory");
        assert!(!producer.batches.is_flushed(mark));
        producer.answered(id, ErrorCode::None);
        assert!(producer.batches.is_flushed(mark) && !producer.batches.is_empty());
    }

    #[test]
    fn what_is_left_behind_when_numbers_start_again_is_told_at_once() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        let mark = producer.batches.flush();
        let (id, ..) = producer.sends(NOW)[0].clone();
        producer.batches.on_cut(NOW, id, session::Fate::Unknown, &mut producer.rng);
        let later = NOW + Duration::from_secs(1);
        let (id, ..) = producer.sends(later)[0].clone();
        producer.answered(id, ErrorCode::UnknownProducerId);
        assert_eq!(producer.sends(later + Duration::from_secs(1)).len(), 0);
        let orphaned = Failure { reason: Reason::Orphaned, maybe_written: true };
        assert_eq!(producer.done(), Some((1, Err(orphaned))), "nothing else would ever ask again");
        assert!(producer.batches.is_flushed(mark) && producer.batches.is_empty());
    }

    #[test]
    fn a_record_that_waited_has_that_much_less_time() {
        let mut producer = lingering(Duration::from_secs(60));
        producer.push(0, 10).expect("there is memory");
        let waited = Duration::from_millis(700);
        let lane = producer.batches.lane(&orders(0));
        producer.batches.backdate(lane, Moment(NOW.0 - waited.as_micros() as u64));
        producer.batches.backdate(lane, NOW);
        let end = NOW + (Config::default().delivery_timeout - waited);
        assert_eq!(producer.sends(end).len(), 0, "it is given up before it is sent");
        let failure = producer.done().expect("it is done").1.expect_err("it is late");
        assert_eq!(failure.reason, Reason::Expired(None));
    }

    #[test]
    fn a_record_that_waited_is_given_up_in_its_time_behind_one_that_has_more() {
        let (timeout, waited) = (Config::default().delivery_timeout, Duration::from_millis(700));
        for is_closed in [false, true] {
            let mut producer = lingering(Duration::from_secs(600));
            producer.push(0, 10).expect("there is memory");
            producer.batches.flush();
            let (first, ..) = producer.sends(NOW).remove(0);
            assert_eq!(producer.push(0, 10), Ok((2, 0)));
            let lane = producer.batches.lane(&orders(0));
            producer.batches.backdate(lane, Moment(NOW.0 - waited.as_micros() as u64));
            if is_closed {
                producer.batches.close(lane);
            }
            let due = NOW + (timeout - waited);
            assert_eq!(producer.batches.deadline(NOW), Some(due));
            assert!(producer.sends(due).is_empty());
            let done = producer.done().expect("its time is over");
            assert!(matches!(
                &done,
                (2, Err(Failure { reason: Reason::Expired(None), maybe_written: false }))
            ));
            assert_eq!(producer.done(), None, "the first has more time");
            assert_eq!(producer.batches.deadline(due), Some(NOW + timeout));
            producer.answered(first, ErrorCode::None);
            assert!(matches!(producer.done(), Some((1, Ok(_)))));
        }
    }

    #[test]
    fn what_shares_a_batch_with_a_record_that_waited_shares_its_time() {
        let mut producer = lingering(Duration::from_secs(600));
        producer.push(0, 10).expect("there is memory");
        let lane = producer.batches.lane(&orders(0));
        let waited = Duration::from_millis(700);
        producer.batches.backdate(lane, Moment(NOW.0 - waited.as_micros() as u64));
        assert_eq!(producer.push(0, 10), Ok((1, 1)));
        assert!(producer.sends(NOW + (Config::default().delivery_timeout - waited)).is_empty());
        let done = producer.batches.done().expect("its time is over");
        assert_eq!(done.count, 2);
    }

    #[test]
    fn a_new_number_is_written_over_the_old_one() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        let (id, ..) = producer.sends(NOW)[0].clone();
        producer.answered(id, ErrorCode::UnknownProducerId);
        let later = NOW + Duration::from_secs(1);
        let (_, _, again) = producer.sends(later)[0].clone();
        let batch = Batch::parse(again).expect("it is a batch");
        assert_eq!((batch.producer_id, batch.producer_epoch, batch.base_sequence), (7, 1, 0));
        assert_eq!(batch.check_crc(), Ok(()));
    }

    #[test]
    fn an_identity_is_asked_for_when_there_is_something_to_send() {
        let mut producer = lingering(Duration::ZERO);
        producer.batches = Batches::new(Config::default());
        assert!(!producer.batches.wants_identity());
        producer.push(0, 10).expect("there is memory");
        assert_eq!(producer.sends(NOW).len(), 0);
        assert!(producer.batches.wants_identity());
        producer.batches.on_identity(Identity { id: 9, epoch: 0 });
        assert!(!producer.batches.wants_identity());
        assert_eq!(producer.sends(NOW).len(), 1);
    }

    #[test]
    fn without_anything_that_waits_no_identity_is_asked_for() {
        let mut producer = lingering(Duration::ZERO);
        producer.batches = Batches::new(Config::default());
        producer.push(0, 10).expect("there is memory");
        assert_eq!(producer.sends(NOW + Config::default().delivery_timeout).len(), 0);
        assert!(producer.done().is_some_and(|it| it.1.is_err()));
        assert!(!producer.batches.wants_identity(), "it is overdue, and nothing else is there");
    }

    #[test]
    fn where_no_identity_is_to_be_had_what_waits_fails_and_what_comes_asks_again() {
        let mut producer = lingering(Duration::ZERO);
        producer.push(0, 10).expect("there is memory");
        assert_eq!(producer.sends(NOW).len(), 1, "this one has an identity");
        producer.batches.identity = None;
        producer.push(1, 10).expect("there is memory");
        producer.sends(NOW);
        producer.batches.on_no_identity();
        let failure = Failure { reason: Reason::Anonymous, maybe_written: false };
        assert_eq!(producer.done(), Some((2, Err(failure))));
        assert_eq!(producer.done(), None);
        assert!(!producer.batches.wants_identity());
        producer.push(1, 10).expect("there is memory");
        producer.sends(NOW);
        assert!(producer.batches.wants_identity());
    }

    #[test]
    fn what_is_purged_gives_its_memory_back_and_the_producer_goes_on() {
        let mut producer = lingering(Duration::from_secs(60));
        producer.push(0, 10).expect("there is memory");
        producer.push(1, 10).expect("there is memory");
        assert_eq!(producer.batches.records(), 2);
        producer.batches.purge();
        let purged = Failure { reason: Reason::Purged, maybe_written: false };
        assert_eq!(
            [producer.done(), producer.done()],
            [Some((1, Err(purged.clone()))), Some((2, Err(purged)))]
        );
        assert_eq!((producer.batches.used_bytes(), producer.batches.records()), (0, 0));
        assert_eq!(producer.push(0, 10), Ok((3, 0)));
    }

    #[test]
    fn a_producer_that_is_not_idempotent_stamps_nothing() {
        let mut producer = producer(Config { idempotent: false, ..Config::default() });
        producer.batches = Batches::new(Config { idempotent: false, ..Config::default() });
        producer.push(0, 10).expect("there is memory");
        let (_, _, bytes) = producer.sends(NOW)[0].clone();
        let batch = Batch::parse(bytes).expect("it is a batch");
        assert_eq!((batch.producer_id, batch.producer_epoch, batch.base_sequence), (-1, -1, -1));
        assert!(!producer.batches.wants_identity());
    }

    #[test]
    fn a_producer_that_cannot_go_on_says_so() {
        let mut producer = lingering(Duration::from_secs(60));
        producer.push(0, 10).expect("there is memory");
        producer.batches.fail(ErrorCode::ClusterAuthorizationFailed);
        assert!(producer.done().is_some_and(|it| it.1.is_err()));
        assert!(producer.batches.is_empty());
        assert!(matches!(producer.push(0, 10), Err(Rejected::Fatal(ErrorCode::ClusterAuthorizationFailed))));
    }
}
