//! Members and their coordinator talk over a network that delays, cuts and forgets, while members crash, leave and
//! arrive, the coordinator moves and restarts, and clocks jump. What must hold is checked at every step; once the
//! faults stop, the group must come to rest.

mod broker;
mod host;
mod network;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use vltava_core::{
    Moment, Rng, Timestamp, TopicPartition,
    group::{
        Committed, Offsets,
        assign::Topics,
        coordinator::{self, Groups, Join, Kept, Limits, Output, Token},
        member::{
            Answer, Ask, AssignmentId, CallId, Commit, CommitId, Config, Member, Parting, Refusal, Step,
            Ticket,
        },
    },
};
use vltava_wire::{
    ErrorCode,
    messages::{
        group::{Coordinator, LeaveGroupRequest},
        offsets::{
            OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
            OffsetCommitResponseTopic,
        },
    },
};

const SEEDS: u64 = 2_000;
const TOPICS: [(&str, i32); 2] = [("orders", 5), ("refunds", 2)];
const SESSION: Duration = Duration::from_secs(6);
const REBALANCE: Duration = Duration::from_secs(10);
/// Things go wrong for so long.
const FAULTS: Duration = Duration::from_secs(40);
/// Then everybody must have a stable share within a session, two rebalances, and the pauses in between.
const BOUND: Duration = Duration::from_secs(45);
const VERSION: i16 = 9;

type Id = usize;

#[test]
fn members_and_coordinator_agree_whatever_the_network_does() {
    for seed in 0..SEEDS {
        World::new(seed).run();
    }
}

/// What is under way.
enum Event {
    /// A request reaches the broker, unless its connection was cut.
    Arrives { connection: u64, call: CallId, ask: Ask },
    /// An answer reaches the member, unless the connection was cut.
    Answered { connection: u64, call: CallId, answer: Answer },
    /// The member waits no longer for a call.
    TimesOut { member: Id, call: CallId },
    /// The broker notices that a connection is gone.
    Noticed { connection: u64 },
    /// A member looks at its clock.
    Wakes { member: Id },
    /// The coordinator looks at its clock.
    CoordinatorWakes,
    /// The reader of a member has read and handled some.
    Works { member: Id },
    /// Partition counts become known to a leader.
    Counted { member: Id },
    /// What was revoked is at rest.
    AtRest { member: Id, ticket: Ticket },
    /// Something goes wrong.
    Fault,
}

struct Host {
    member: Member,
    wakes_at: Option<Moment>,
    connection: u64,
    /// Calls that have not ended, and the connection each went over.
    calls: BTreeMap<CallId, u64>,
    assignment: AssignmentId,
    positions: BTreeMap<TopicPartition, i64>,
    revoking: Option<(Ticket, Moment)>,
    commits: BTreeMap<CommitId, Vec<Commit>>,
    commit_ids: u64,
    is_leaving: bool,
}

struct World {
    seed: u64,
    rng: Rng,
    now: Moment,
    calm: bool,
    events: BTreeMap<(Moment, u64), Event>,
    counter: u64,
    groups: Groups,
    coordinator_wakes_at: Option<Moment>,
    offsets: Offsets,
    /// What of the groups outlives a restart.
    kept: Kept,
    moved_until: Moment,
    hosts: BTreeMap<Id, Host>,
    connections: BTreeMap<u64, Connection>,
    parked: BTreeMap<Token, (u64, CallId)>,
    /// Who had each partition in each generation.
    owners: BTreeMap<(i32, TopicPartition), String>,
    partitions: i32,
    /// What was asked to be stored.
    commits: Vec<OffsetCommitRequest>,
}

/// The broker serves one request of a connection at a time, in order.
struct Connection {
    member: Id,
    is_cut: bool,
    last_arrival: Moment,
    last_answer: Moment,
    waits_for: Option<Token>,
    queue: VecDeque<(CallId, Ask)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let members = 1 + rng.below(4) as Id;
        let limits = Limits::default();
        let mut world = Self {
            seed,
            groups: Groups::new(limits, Rng::new(rng.bits())),
            coordinator_wakes_at: None,
            rng,
            now: Moment(1_000_000),
            calm: false,
            events: BTreeMap::new(),
            counter: 0,
            offsets: Offsets::default(),
            kept: Kept::default(),
            moved_until: Moment(0),
            hosts: BTreeMap::new(),
            connections: BTreeMap::new(),
            parked: BTreeMap::new(),
            owners: BTreeMap::new(),
            partitions: TOPICS[0].1,
            commits: Vec::new(),
        };
        for _ in 0..members {
            world.arrive();
        }
        world.later(100..2_000, Event::Fault);
        world
    }

    fn run(mut self) {
        let storm_end = self.now + FAULTS;
        while self.now < storm_end {
            self.step();
        }
        self.calm = true;
        self.moved_until = self.now;
        if self.hosts.values().all(|host| host.is_leaving) {
            self.arrive();
        }
        let bound = self.now + BOUND;
        while !(self.is_at_rest() && self.settled()) {
            assert!(
                self.now < bound,
                "seed {}: not at rest: {:#?}",
                self.seed,
                self.groups.describe(5, "g", true)
            );
            self.step();
        }
    }

    /// Every member that stays has its share in one generation, and the shares are all there is.
    fn is_at_rest(&self) -> bool {
        let mut generations = BTreeSet::new();
        let mut shared = 0;
        for host in self.hosts.values().filter(|host| !host.is_leaving) {
            let Some((_, generation)) = host.member.identity() else { return false };
            generations.insert(generation);
            shared += host.positions.len();
        }
        let whole = self.partitions + TOPICS[1].1;
        if generations.len() != 1 || shared != whole as usize {
            return false;
        }
        let described = self.groups.describe(5, "g", true);
        let known = described.members.len();
        described.group_state == "Stable"
            && known == self.hosts.len()
            && !self.hosts.values().any(|host| host.is_leaving || host.revoking.is_some())
    }

    /// Every commit was answered.
    fn settled(&self) -> bool {
        self.hosts.values().all(|host| host.commits.is_empty())
    }

    fn step(&mut self) {
        let ((at, _), event) = self.events.pop_first().expect("somebody always beats");
        // A clock that jumped leaves events behind: they come late.
        self.now = self.now.max(at);
        match event {
            Event::Arrives { connection, call, ask } => self.arrives(connection, call, ask),
            Event::Answered { connection, call, answer } => self.answered(connection, call, answer),
            Event::TimesOut { member, call } => self.times_out(member, call),
            Event::Noticed { connection } => self.noticed(connection),
            Event::Wakes { member } => self.wakes(member),
            Event::CoordinatorWakes => {
                self.coordinator_wakes_at = None;
                self.replies();
            }
            Event::Works { member } => self.works(member),
            Event::Counted { member } => self.counted(member),
            Event::AtRest { member, ticket } => self.at_rest(member, ticket),
            Event::Fault => self.fault(),
        }
    }

    fn at(&mut self, at: Moment, event: Event) {
        self.counter += 1;
        self.events.insert((at.max(self.now), self.counter), event);
    }

    /// Schedules an event some milliseconds from now.
    fn later(&mut self, millis: std::ops::Range<u64>, event: Event) {
        let at = self.now + self.millis(millis);
        self.at(at, event);
    }

    fn millis(&mut self, millis: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(millis.start + self.rng.below(millis.end - millis.start))
    }

    fn delay(&mut self) -> Duration {
        let slow = !self.calm && self.rng.chance(5);
        self.millis(if slow { 500..9_000 } else { 1..30 })
    }

    fn fault(&mut self) {
        if self.calm {
            return;
        }
        match self.rng.below(13) {
            0..=3 => self.cut_one(),
            4 => self.crash_one(),
            5 => self.arrive(),
            6 => self.leave_one(),
            7 => self.moved_until = self.now + self.millis(100..5_000),
            8 if self.rng.chance(30) => self.restart(),
            9 if self.rng.chance(30) => {
                let jump = self.millis(1_000..20_000);
                self.now += jump;
            }
            10 if self.partitions < 8 => self.grow(),
            11..=12 => self.replay(),
            _ => (),
        }
        self.later(100..4_000, Event::Fault);
    }

    fn one(&mut self) -> Option<Id> {
        let at = self.rng.below(self.hosts.len().max(1) as u64) as usize;
        self.hosts.keys().nth(at).copied()
    }

    fn cut_one(&mut self) {
        let Some(id) = self.one() else { return };
        self.cut(self.hosts[&id].connection);
    }

    /// What has not arrived never will. The member learns at once, or when it has waited long enough; the broker
    /// some time later.
    fn cut(&mut self, connection: u64) {
        let Some(it) = self.connections.get_mut(&connection) else { return };
        if it.is_cut {
            return;
        }
        it.is_cut = true;
        it.queue.clear();
        let member = it.member;
        self.later(1..8_000, Event::Noticed { connection });
        let told = self.rng.chance(70);
        let Some(host) = self.hosts.get(&member).filter(|_| told) else { return };
        let calls: Vec<CallId> =
            host.calls.iter().filter(|(_, over)| **over == connection).map(|(call, _)| *call).collect();
        for call in calls {
            self.later(1..50, Event::TimesOut { member, call });
        }
    }

    fn crash_one(&mut self) {
        let Some(id) = self.one() else { return };
        self.cut(self.hosts[&id].connection);
        self.hosts.remove(&id);
        if self.rng.chance(70) {
            self.arrive();
        }
    }

    fn leave_one(&mut self) {
        let Some(id) = self.one() else { return };
        let deadline = self.now + Duration::from_secs(5);
        let host = self.hosts.get_mut(&id).expect("one of them");
        host.is_leaving = true;
        host.member.leave(deadline, Parting::Usual);
        self.drive(id);
    }

    /// The coordinator comes back with what it recorded; a rebalance that was going on is forgotten.
    fn restart(&mut self) {
        self.groups = Groups::new(Limits::default(), Rng::new(self.rng.bits()));
        self.groups.restore(self.now, &self.kept);
        self.parked.clear();
        let open: Vec<u64> = self.connections.keys().copied().collect();
        for connection in open {
            self.cut(connection);
        }
    }

    /// A commit of an earlier generation turns up again. It must be refused.
    fn replay(&mut self) {
        if self.commits.is_empty() {
            return;
        }
        let at = self.rng.below(self.commits.len() as u64) as usize;
        let request = self.commits[at].clone();
        let generation = request.generation_id_or_member_epoch;
        if self.owners.keys().any(|(now, _)| *now > generation) {
            assert!(self.groups.on_commit(self.now, &request).is_err(), "seed {}: not fenced", self.seed);
        }
    }

    fn grow(&mut self) {
        self.partitions += 1;
        let everyone: Vec<Id> = self.hosts.keys().copied().collect();
        for member in everyone {
            self.later(10..500, Event::Counted { member });
        }
    }

    fn arrive(&mut self) {
        if self.hosts.len() >= 6 {
            return;
        }
        self.counter += 1;
        let id = self.counter as Id;
        let config = Config {
            group_id: "g".to_owned(),
            topics: TOPICS.iter().map(|(topic, _)| (*topic).to_owned()).collect(),
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            heartbeat_interval: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        let host = Host {
            member: Member::new(config, Rng::new(self.rng.bits())),
            wakes_at: None,
            connection: 0,
            calls: BTreeMap::new(),
            assignment: AssignmentId(0),
            positions: BTreeMap::new(),
            revoking: None,
            commits: BTreeMap::new(),
            commit_ids: 0,
            is_leaving: false,
        };
        self.hosts.insert(id, host);
        self.later(0..500, Event::Wakes { member: id });
        self.later(100..500, Event::Works { member: id });
    }
}
