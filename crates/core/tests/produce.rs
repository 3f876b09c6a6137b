//! Both ends of producing over a network that delays and cuts, against a broker that crashes.
//!
//! A connection that was cut may still deliver what was written to it, long after its client has gone on with
//! another: copies of a batch arrive in any order and number. Nothing of that may show in the log.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use vltava_core::{
    Moment, Rng, Timestamp, TopicPartition,
    cluster::NodeId,
    produce::{Answer, BatchId, Batches, Check, Config, Done, Identity, Numbered, Rejection, Windows},
    session::Pipeline,
};
use vltava_wire::{
    Api, Compression, Compressor, ErrorCode,
    record::{Batch, Limits, RecordSlices},
};

const SEEDS: u64 = 2_000;
const RECORDS: u64 = 80;
const PARTITIONS: i32 = 2;
/// More than a partition may have in flight, so that it is the partition that waits.
const REQUESTS_MAX: usize = 12;
const REQUEST_TIMEOUT: Duration = Duration::from_millis(300);
/// By then the world is calm, so that everything comes to an end.
const CALM: Moment = Moment(5_000_000);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A batch on its way, and what it is an attempt of.
type Copy = (BatchId, i32, Bytes);
/// An answer to each batch of a request.
type Answers = Vec<(BatchId, Answer)>;

/// A connection as both ends and the network see it.
#[derive(Default)]
struct Connection {
    /// The client has given it up.
    cut: bool,
    pipeline: Pipeline<Vec<BatchId>>,
    outbound: VecDeque<(Moment, i32, Vec<Copy>)>,
    inbound: VecDeque<(Moment, i32, Answers)>,
}

/// A partition on disk.
#[derive(Default)]
struct Log {
    /// Batches by their base offsets.
    batches: Vec<(i64, Bytes)>,
    end: i64,
    windows: Windows,
}

/// A broker whose disk keeps what was synced, and perhaps some of the rest.
#[derive(Default)]
struct Broker {
    logs: BTreeMap<i32, Log>,
    /// How many batches of each partition are synced.
    synced: BTreeMap<i32, usize>,
    /// Answers that wait for the next sync: connection, correlation id, answers.
    waiting: Vec<(usize, i32, Answers)>,
    sync_at: Option<Moment>,
    down_until: Moment,
    identities: i64,
}

struct World {
    rng: Rng,
    now: Moment,
    client: Batches<usize>,
    /// The records of each batch, by ticket.
    tickets: Vec<Vec<u64>>,
    sent: BTreeMap<i32, Vec<u64>>,
    /// What became of each batch, or part of one, by ticket and place of its first record.
    outcomes: BTreeMap<(usize, usize), Done<usize>>,
    connections: Vec<Connection>,
    connect_at: Moment,
    identify_at: Option<Moment>,
    broker: Broker,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let config = Config {
            linger: millis(rng.below(3) * 4),
            batch_bytes: 120 + rng.below(200) as usize,
            record_bytes_max: 1_000,
            memory_bytes: 2_000,
            delivery_timeout: millis(500 + rng.below(2_500)),
            ..Config::default()
        };
        Self {
            rng,
            now: Moment(1_000),
            client: Batches::new(config),
            tickets: Vec::new(),
            sent: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            connections: Vec::new(),
            connect_at: Moment(0),
            identify_at: None,
            broker: Broker::default(),
        }
    }

    fn soon(&mut self, most: u64) -> Moment {
        self.now + millis(self.rng.below(most))
    }

    fn is_calm(&self) -> bool {
        self.now >= CALM
    }

    fn open(&mut self) -> Option<usize> {
        let latest = self.connections.len().checked_sub(1)?;
        (!self.connections[latest].cut).then_some(latest)
    }

    /// Appends a record, unless there is no memory. Records are numbered as they are appended.
    fn send(&mut self, record: u64) -> bool {
        let partition = self.rng.below(PARTITIONS as u64) as i32;
        let lane = self.client.lane(&TopicPartition::new("orders", partition));
        let value = record.to_be_bytes();
        let next = self.tickets.len();
        let slices = RecordSlices::new(0, None, Some(&value));
        let now = self.now;
        let Ok(pushed) = self.client.push(|| now, lane, slices, || next) else { return false };
        let ticket = *pushed.ticket;
        if ticket == next {
            self.tickets.push(Vec::new());
        }
        assert_eq!(self.tickets[ticket].len(), pushed.index as usize);
        self.tickets[ticket].push(record);
        self.sent.entry(partition).or_default().push(record);
        true
    }

    /// The client's shell: connects, packs, writes.
    fn drive(&mut self) {
        if self.client.wants_identity() && self.identify_at.is_none() {
            self.identify_at = Some(self.soon(20));
        }
        if self.identify_at.is_some_and(|at| at <= self.now) {
            self.identify_at = None;
            self.broker.identities += 1;
            // Some are near the end of their epochs, to see what happens behind it.
            let epoch = if self.rng.chance(30) { i16::MAX - 2 } else { 0 };
            self.client.on_identity(Identity { id: self.broker.identities, epoch });
        }
        if self.open().is_none() && self.now >= self.connect_at && self.now >= self.broker.down_until {
            self.connections.push(Connection::default());
        }
        let open = self.open();
        let free = open.is_some_and(|it| self.connections[it].pipeline.len() < REQUESTS_MAX);
        let batches = self.client.poll(self.now, |_| free.then_some(NodeId(1)));
        let mut copies = Vec::new();
        for (_, outgoing) in batches {
            let (id, stamp, partition) = (outgoing.id, outgoing.stamp(), outgoing.partition.partition);
            let bytes = outgoing.encode(&mut Compressor::new(Compression::None)).expect("it can be packed");
            assert!(self.client.keep(id, stamp, bytes.clone()), "nothing is given up meanwhile");
            copies.push((id, partition, bytes));
        }
        if copies.is_empty() {
            return;
        }
        let ids = copies.iter().map(|it| it.0).collect();
        let connection = &mut self.connections[open.expect("batches are taken only when connected")];
        let deadline = self.now + REQUEST_TIMEOUT;
        let correlation_id = connection.pipeline.push(Api::Produce, 11, deadline, ids);
        // Some requests are cut before they are written at all.
        if self.rng.chance(95) {
            connection.pipeline.on_write(correlation_id);
            let at = self.now + millis(self.rng.below(20));
            let at = connection.outbound.back().map_or(at, |it| it.0.max(at));
            connection.outbound.push_back((at, correlation_id, copies));
        } else {
            self.cut();
        }
        while let Some(done) = self.client.done() {
            self.outcomes.insert((done.ticket, done.first as usize), done);
        }
    }

    /// The client loses its connection. What it has written may still arrive, up to some point, some time.
    fn cut(&mut self) {
        let Some(open) = self.open() else { return };
        let connection = &mut self.connections[open];
        connection.cut = true;
        let survive = self.rng.below(connection.outbound.len() as u64 + 1) as usize;
        connection.outbound.truncate(survive);
        let late = millis(self.rng.below(200));
        connection.outbound.iter_mut().for_each(|it| it.0 += late);
        for cut in connection.pipeline.cut() {
            for id in cut.tag {
                self.client.on_cut(self.now, id, cut.fate, &mut self.rng);
            }
        }
        self.connect_at = self.soon(50);
    }

    /// The process is gone, its connections with it; of what was not synced, some may have reached the disk.
    fn crash(&mut self) {
        self.cut();
        self.connections.iter_mut().for_each(|it| it.outbound.clear());
        self.broker.waiting.clear();
        self.broker.sync_at = None;
        self.broker.down_until = self.soon(800);
        for (partition, log) in &mut self.broker.logs {
            let synced = self.broker.synced.get(partition).copied().unwrap_or(0);
            let left = synced + self.rng.below((log.batches.len() - synced) as u64 + 1) as usize;
            log.batches.truncate(left);
            log.recover();
            self.broker.synced.insert(*partition, left);
        }
    }

    fn deliver(&mut self) {
        if self.now < self.broker.down_until {
            return;
        }
        for index in 0..self.connections.len() {
            while self.connections[index].outbound.front().is_some_and(|it| it.0 <= self.now) {
                let due = self.connections[index].outbound.pop_front();
                let (_, correlation_id, copies) = due.expect("there is a first");
                let answers = copies.into_iter().map(|it| self.serve(it)).collect();
                self.broker.waiting.push((index, correlation_id, answers));
                self.broker.sync_at.get_or_insert(self.now + millis(self.rng.below(8)));
            }
        }
    }

    /// The broker's shell: one batch of a request.
    fn serve(&mut self, (id, partition, bytes): Copy) -> (BatchId, Answer) {
        let log = self.broker.logs.entry(partition).or_default();
        let calm = self.now >= CALM;
        let error = |error| (id, Answer::refused(error));
        let batch = Batch::parse(bytes.clone()).expect("the network does not change bytes");
        let luck = if calm { 100 } else { self.rng.below(100) };
        match luck {
            0..2 => return error(ErrorCode::NotEnoughReplicas),
            2 => return error(ErrorCode::MessageTooLarge),
            5 => {
                let index = self.rng.below(batch.count as u64) as u32;
                let rejected = vec![Rejection { index, message: None }];
                return (id, Answer { rejected, ..Answer::refused(ErrorCode::InvalidRecord) });
            }
            _ => {}
        }
        batch.check_produced().expect("the client packs proper batches");
        let numbered = Numbered::of(&batch).expect("it is sound").expect("the producer numbers its batches");
        let base_offset = match log.windows.check(&numbered) {
            Check::Append => log.append(&numbered, bytes),
            Check::Duplicate(known) => known.base_offset,
            Check::Refused(code) => return error(code),
        };
        match luck {
            3 => error(ErrorCode::RequestTimedOut),
            4 => error(ErrorCode::NotLeaderOrFollower),
            _ => (id, Answer::written(base_offset)),
        }
    }

    fn sync(&mut self) {
        if self.broker.sync_at.is_none_or(|at| self.now < at) {
            return;
        }
        self.broker.sync_at = None;
        for (partition, log) in &self.broker.logs {
            self.broker.synced.insert(*partition, log.batches.len());
        }
        for (index, correlation_id, answers) in std::mem::take(&mut self.broker.waiting) {
            let at = self.now + millis(self.rng.below(20));
            let connection = &mut self.connections[index];
            let at = connection.inbound.back().map_or(at, |it| it.0.max(at));
            connection.inbound.push_back((at, correlation_id, answers));
        }
    }

    fn receive(&mut self) {
        let Some(open) = self.open() else { return };
        let connection = &mut self.connections[open];
        while connection.inbound.front().is_some_and(|it| it.0 <= self.now) {
            let (_, correlation_id, answers) = connection.inbound.pop_front().expect("there is a first");
            let sent = connection.pipeline.on_answer(correlation_id).expect("answers come in order");
            assert_eq!(sent.tag, answers.iter().map(|it| it.0).collect::<Vec<_>>());
            for (id, answer) in answers {
                self.client.on_answer(self.now, id, answer, &mut self.rng);
            }
        }
        if self.connections[open].pipeline.overdue(self.now).is_some() {
            self.cut();
        }
    }

    /// Trouble comes in about one step of so many.
    fn trouble(&mut self) {
        if self.is_calm() {
            return;
        }
        match self.rng.below(400) {
            0..6 => self.cut(),
            6 => self.crash(),
            _ => {}
        }
    }

    fn step(&mut self) {
        self.now += millis(1);
        self.trouble();
        self.deliver();
        self.sync();
        self.receive();
        self.drive();
    }

    fn is_acknowledged(&self, record: u64) -> bool {
        self.outcomes.values().any(|it| it.outcome.is_ok() && self.records(it).contains(&record))
    }

    /// The records of a batch, or part of one.
    fn records(&self, done: &Done<usize>) -> &[u64] {
        let (first, count) = (done.first as usize, done.count as usize);
        &self.tickets[done.ticket][first..first + count]
    }

    fn is_over(&self) -> bool {
        self.client.is_empty() && self.connections.iter().all(|it| it.outbound.is_empty())
    }
}

impl Log {
    fn append(&mut self, numbered: &Numbered, bytes: Bytes) -> i64 {
        let base_offset = self.end;
        self.end += i64::from(numbered.count);
        self.windows.appended(numbered, base_offset, Timestamp(0));
        self.batches.push((base_offset, bytes));
        base_offset
    }

    /// Builds everything again from the batches that are left.
    fn recover(&mut self) {
        let batches = std::mem::take(self).batches;
        for (base_offset, bytes) in batches {
            let batch = Batch::parse(bytes.clone()).expect("the disk keeps what it keeps");
            let numbered = Numbered::of(&batch).expect("it is sound").expect("it is numbered");
            assert_eq!(self.append(&numbered, bytes), base_offset);
        }
    }

    /// The records, by offset.
    fn records(&self) -> Vec<u64> {
        let mut all = Vec::new();
        for (_, bytes) in &self.batches {
            let batch = Batch::parse(bytes.clone()).expect("the disk keeps what it keeps");
            let records = batch.decompress(Limits::default()).expect("it is not packed");
            all.extend(records.iter().map(|it| {
                u64::from_be_bytes(it.value().expect("it has a value").try_into().expect("it is a number"))
            }));
        }
        all
    }
}

/// What became of all batches: how many were written, failed for certain, and failed without certainty.
#[derive(Debug, Default)]
struct Tally {
    written: u64,
    unwritten: u64,
    in_doubt: u64,
}

fn judge(world: &World, seed: u64, tally: &mut Tally) {
    let logs: BTreeMap<i32, Vec<u64>> = world.broker.logs.iter().map(|it| (*it.0, it.1.records())).collect();
    for (partition, log) in &logs {
        // A new identity does not fence copies that went out under the one before, as a new epoch does. So what was
        // given up then may still arrive late, but nothing that is acknowledged is ever in its wrong place.
        let fenced = world.broker.identities == 1;
        let matters: Vec<_> = log.iter().filter(|it| fenced || world.is_acknowledged(**it)).collect();
        let rising = matters.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rising, "seed {seed}: partition {partition} has a record out of order: {log:?}");
        let once = log.iter().collect::<BTreeSet<_>>().len() == log.len();
        assert!(once, "seed {seed}: partition {partition} has a record twice: {log:?}");
    }
    let mut done: Vec<_> = world.outcomes.values().flat_map(|it| world.records(it)).copied().collect();
    done.sort_unstable();
    assert!(done.into_iter().eq(0..RECORDS), "seed {seed}: each record is done once");
    for done in world.outcomes.values() {
        let log = logs.get(&done.partition.partition).map_or(&[][..], |it| it);
        let records = world.records(done);
        match &done.outcome {
            Ok(written) => {
                let base = written.base_offset.expect("the broker knows where") as usize;
                let found = log.get(base..base + records.len());
                assert_eq!(found, Some(records), "seed {seed}: not at the offset that was acknowledged");
                tally.written += 1;
            }
            Err(failure) if !failure.maybe_written => {
                let found = log.iter().find(|it| records.contains(it));
                assert_eq!(found, None, "seed {seed}: {failure:?}, but it is written");
                tally.unwritten += 1;
            }
            Err(_) => tally.in_doubt += 1,
        }
    }
}

fn play(seed: u64) -> World {
    let mut world = World::new(seed);
    let mut record = 0;
    let pace = 1 + world.rng.below(30);
    for step in 0.. {
        if record < RECORDS && step % pace == 0 && world.send(record) {
            record += 1;
        }
        if record == RECORDS && world.is_over() {
            break;
        }
        assert!(step < 60_000, "seed {seed}: it does not end");
        world.step();
    }
    while let Some(done) = world.client.done() {
        world.outcomes.insert((done.ticket, done.first as usize), done);
    }
    world
}

#[test]
fn every_acknowledged_record_lands_once_in_order_at_its_offset() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        judge(&play(seed), seed, &mut tally);
    }
    // The network is bad enough to matter, and good enough for most to arrive.
    assert!(tally.written > 20 * SEEDS / 2, "{tally:?}");
    assert!(tally.unwritten > SEEDS / 10 && tally.in_doubt > SEEDS / 10, "{tally:?}");
}
