//! Members of KIP-848 that lose answers, ask again, crash and leave, while topics grow and the coordinator restarts.

use std::collections::BTreeSet;

use vltava_wire::{ErrorCode, Uuid};

use super::{
    super::{Groups, Limits, Topic},
    Desk,
    next::Worker,
};
use crate::Rng;

const SEEDS: u64 = 300;
const STEPS: usize = 400;
const WORKERS: usize = 5;

struct Play {
    seed: u64,
    rng: Rng,
    desk: Desk,
    workers: Vec<Worker>,
    partitions: i32,
    born: usize,
}

#[test]
fn no_two_members_hold_a_partition_and_all_come_to_rest() {
    for seed in 0..SEEDS {
        let mut play = Play {
            seed,
            rng: Rng::new(seed),
            desk: Desk::sharing(4),
            workers: Vec::new(),
            partitions: 4,
            born: 0,
        };
        for _ in 0..STEPS {
            play.step();
            play.check();
        }
        play.calm_down();
    }
}

impl Play {
    fn step(&mut self) {
        match self.rng.below(100) {
            0..3 => self.grow(),
            3..6 => self.restart(),
            6..15 => {
                let millis = 500 + self.rng.below(4_000);
                self.desk.pass(millis);
                self.desk.answers();
            }
            15..20 if self.workers.len() < WORKERS => {
                self.born += 1;
                self.workers.push(Worker::new(&format!("w{}", self.born)));
            }
            20..22 => self.go(),
            _ => self.work(),
        }
    }

    /// One of them crashes, or leaves.
    fn go(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        let at = self.rng.below(self.workers.len() as u64) as usize;
        let worker = self.workers.remove(at);
        if self.rng.chance(50) && worker.epoch > 0 {
            self.desk.leave(&worker);
        }
    }

    fn grow(&mut self) {
        self.partitions += 1;
        self.desk.topic("t", 1, self.partitions);
    }

    fn restart(&mut self) {
        self.desk.answers();
        self.desk.groups = Groups::new(Limits::default(), Rng::new(self.rng.bits()));
        let topic = Topic { id: Uuid(1), partitions: self.partitions };
        self.desk.groups.on_topic("t", Some(topic));
        self.desk.groups.restore(self.desk.now, &self.desk.kept);
    }

    fn work(&mut self) {
        if self.workers.is_empty() {
            return;
        }
        let at = self.rng.below(self.workers.len() as u64) as usize;
        let worker = &mut self.workers[at];
        if self.rng.chance(50) {
            worker.obey();
        }
        if self.rng.chance(20) {
            self.desk.beat_unheard(worker);
            return;
        }
        self.beat(at);
    }

    fn beat(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        match self.desk.beat(worker) {
            ErrorCode::None => (),
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId | ErrorCode::GroupIdNotFound => {
                *worker = Worker::new(&worker.id);
            }
            other => panic!("seed {}: {other:?} for {worker:?}", self.seed),
        }
    }

    /// Whoever is in holds nothing that another who is in holds.
    fn check(&self) {
        let described = self.desk.groups.describe_next("g");
        let known: BTreeSet<_> = described.members.iter().map(|member| &member.member_id).collect();
        let mut held = BTreeSet::new();
        for worker in self.workers.iter().filter(|worker| known.contains(&worker.id)) {
            for partition in &worker.holds {
                assert!(
                    held.insert(*partition),
                    "seed {}: {partition:?} twice: {:#?}",
                    self.seed,
                    self.workers
                );
            }
        }
    }

    /// Nothing goes wrong any more: who is gone is found out, and all is shared out.
    fn calm_down(&mut self) {
        if self.workers.is_empty() {
            self.workers.push(Worker::new("last"));
        }
        for _ in 0..30 {
            self.desk.pass(3_000);
            self.desk.answers();
            for at in 0..self.workers.len() {
                self.workers[at].obey();
                self.beat(at);
            }
            self.check();
        }
        let state = self.desk.groups.describe_next("g").group_state;
        let held: usize = self.workers.iter().map(|worker| worker.holds.len()).sum();
        assert_eq!((&*state, held), ("Stable", self.partitions as usize), "seed {}", self.seed);
    }
}
