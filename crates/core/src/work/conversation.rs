//! Workers that finish in any order, partitions that come and go, processes that die: order holds, a commit never
//! passes an unfinished record, nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};

use super::{Keyed, Limits, Order, Place, Schedule, Work};
use crate::Rng;

const PARTITIONS: usize = 3;
const SEEDS: u64 = 2_000;
const STEPS: usize = 300;
const LIMITS: Limits = Limits { partition_records: 12, partition_bytes: 400, total_bytes: 900, window: 24 };

#[derive(Debug, Clone, Copy)]
struct Record {
    partition: usize,
    offset: i64,
    key: Option<[u8; 1]>,
}

impl Keyed for Record {
    fn key(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|key| &key[..])
    }
}

/// A log, and what the group has committed of it: both outlive a process.
struct Log {
    records: Vec<Record>,
    end: i64,
    committed: i64,
    /// How often each offset was finished.
    finished: BTreeMap<i64, u32>,
}

/// One assignment of a partition, as the test sees it.
struct Assigned {
    place: Place,
    /// The next record of the log to offer, as an index.
    next: usize,
    unfinished: BTreeSet<i64>,
    /// The last offset that was started, by what has to stay in order.
    latest: BTreeMap<Option<[u8; 1]>, i64>,
}

struct World {
    seed: u64,
    rng: Rng,
    order: Order,
    logs: Vec<Log>,
    schedule: Schedule<Record>,
    assigned: Vec<Option<Assigned>>,
    at_work: Vec<Work<Record>>,
}

#[test]
fn order_holds_no_commit_passes_an_unfinished_record_and_nothing_is_left_behind() {
    for seed in 0..SEEDS {
        let order = [Order::Key, Order::Partition, Order::None][seed as usize % 3];
        let mut world = World::new(seed, order);
        for _ in 0..STEPS {
            world.step();
            world.check();
        }
        world.finish_all();
    }
}

impl World {
    fn new(seed: u64, order: Order) -> Self {
        let mut rng = Rng::new(seed);
        let logs = (0..PARTITIONS).map(|it| Log::new(it, &mut rng)).collect();
        let schedule = Schedule::new(order, LIMITS, seed);
        let assigned = (0..PARTITIONS).map(|_| None).collect();
        let mut world = Self { seed, rng, order, logs, schedule, assigned, at_work: Vec::new() };
        (0..PARTITIONS).for_each(|partition| world.assign(partition));
        world
    }

    fn step(&mut self) {
        let partition = self.rng.below(PARTITIONS as u64) as usize;
        match self.rng.below(100) {
            0..=39 => self.offer(partition),
            40..=59 => self.take(),
            60..=84 => self.finish_one(),
            85..=92 => self.commit(partition),
            93..=94 => self.close(partition),
            95..=96 => self.revoke(partition),
            97 => self.lose(partition),
            98 if self.rng.chance(10) => self.crash(),
            _ if self.assigned[partition].is_none() => self.assign(partition),
            _ => (),
        }
    }

    fn assign(&mut self, partition: usize) {
        let log = &self.logs[partition];
        let next = log.records.partition_point(|record| record.offset < log.committed);
        let place = self.schedule.assign(log.committed);
        let (unfinished, latest) = (BTreeSet::new(), BTreeMap::new());
        self.assigned[partition] = Some(Assigned { place, next, unfinished, latest });
    }

    fn offer(&mut self, partition: usize) {
        let Some(it) = &mut self.assigned[partition] else { return };
        if !self.schedule.has_room(it.place) {
            return;
        }
        let log = &self.logs[partition];
        let Some(record) = log.records.get(it.next) else {
            return self.schedule.skip_to(it.place, log.end);
        };
        it.next += 1;
        it.unfinished.insert(record.offset);
        let bytes = 1 + self.rng.below(120) as usize;
        self.schedule.offer(it.place, record.offset, bytes, *record);
    }

    fn take(&mut self) {
        let Some(work) = self.schedule.take() else { return };
        let Record { partition, offset, key } = work.record;
        let it = self.assigned[partition].as_mut().expect("work belongs to an assignment");
        assert_eq!(it.place, work.ticket.place(), "seed {}", self.seed);
        let lane = match self.order {
            Order::Key if key.is_some() => Some(key),
            Order::Partition => Some(None),
            _ => None,
        };
        if let Some(lane) = lane {
            let earlier = it.latest.insert(lane, offset);
            assert!(earlier.is_none_or(|earlier| earlier < offset), "seed {}", self.seed);
            let same = |other: &Work<Record>| {
                other.ticket.place() == it.place
                    && (self.order == Order::Partition || other.record.key == key)
            };
            assert!(!self.at_work.iter().any(same), "seed {}: two of a lane at work", self.seed);
        }
        self.at_work.push(work);
    }

    fn finish_one(&mut self) {
        if self.at_work.is_empty() {
            return;
        }
        let index = self.rng.below(self.at_work.len() as u64) as usize;
        let Work { record, ticket } = self.at_work.swap_remove(index);
        if self.rng.chance(3) {
            return self.schedule.cancelled(ticket);
        }
        let current = self.assigned[record.partition].as_mut().filter(|it| it.place == ticket.place());
        if let Some(it) = current {
            assert!(it.unfinished.remove(&record.offset), "seed {}", self.seed);
        }
        *self.logs[record.partition].finished.entry(record.offset).or_default() += 1;
        self.schedule.done(ticket);
    }

    fn commit(&mut self, partition: usize) {
        let Some(it) = &self.assigned[partition] else { return };
        let watermark = self.schedule.watermark(it.place).expect("it is assigned");
        let log = &mut self.logs[partition];
        assert!(log.committed <= watermark, "seed {}: a commit went backwards", self.seed);
        log.committed = watermark;
    }

    fn close(&mut self, partition: usize) {
        let Some(it) = &self.assigned[partition] else { return };
        self.schedule.close(it.place);
    }

    fn revoke(&mut self, partition: usize) {
        self.close(partition);
        self.commit(partition);
        self.lose(partition);
    }

    fn lose(&mut self, partition: usize) {
        let Some(it) = self.assigned[partition].take() else { return };
        self.schedule.release(it.place);
        assert_eq!(self.schedule.watermark(it.place), None, "seed {}", self.seed);
    }

    fn crash(&mut self) {
        self.at_work.clear();
        self.schedule = Schedule::new(self.order, LIMITS, self.seed);
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
    }

    fn check(&self) {
        for (it, log) in self.assigned.iter().zip(&self.logs) {
            let Some(it) = it else { continue };
            let watermark = self.schedule.watermark(it.place).expect("it is assigned");
            let first = it.unfinished.first();
            assert!(first.is_none_or(|first| watermark <= *first), "seed {}", self.seed);
            let done = |record: &&Record| record.offset < watermark;
            let missed =
                log.records.iter().take_while(done).find(|it| !log.finished.contains_key(&it.offset));
            assert!(missed.is_none(), "seed {}: {missed:?} was passed", self.seed);
            assert!(self.schedule.held_of(it.place) <= LIMITS.partition_records, "seed {}", self.seed);
        }
    }

    /// Every partition is worked to its end by assignments that nobody disturbs.
    fn finish_all(&mut self) {
        (0..PARTITIONS).for_each(|partition| self.revoke(partition));
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
        while let Some(work) = self.at_work.pop() {
            self.schedule.done(work.ticket);
        }
        while self.logs.iter().any(|log| log.committed < log.end) {
            for partition in 0..PARTITIONS {
                self.offer(partition);
                self.take();
                while let Some(Work { record, ticket }) = self.at_work.pop() {
                    *self.logs[record.partition].finished.entry(record.offset).or_default() += 1;
                    self.schedule.done(ticket);
                }
                self.commit(partition);
            }
        }
        assert_eq!((self.schedule.running(), self.schedule.waiting()), (0, 0), "seed {}", self.seed);
        for log in &self.logs {
            let left = log.records.iter().find(|record| !log.finished.contains_key(&record.offset));
            assert!(left.is_none(), "seed {}: {left:?} was left behind", self.seed);
        }
    }
}

impl Log {
    /// Some eighty records with holes between them and after the last.
    fn new(partition: usize, rng: &mut Rng) -> Self {
        let mut offset = 0;
        let mut records = Vec::new();
        for _ in 0..80 {
            offset += if rng.chance(20) { rng.below(5) as i64 } else { 0 };
            let key = (!rng.chance(20)).then(|| [rng.below(5) as u8]);
            records.push(Record { partition, offset, key });
            offset += 1;
        }
        Self { records, end: offset + rng.below(3) as i64, committed: 0, finished: BTreeMap::new() }
    }
}
