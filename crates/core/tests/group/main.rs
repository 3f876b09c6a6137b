//! Members and their coordinator talk over a network that delays, cuts, forgets and delivers what was given up, while
//! members crash, sleep, leave, arrive and come back under their old names, the coordinator moves and restarts, and
//! clocks jump. What must hold is checked at every step; once the faults stop, the group must come to rest.
//!
//! `VLTAVA_SEEDS=0..20000` plays other seeds than the few of an ordinary run.

mod broker;
mod faults;
mod host;
mod network;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    env,
    ops::Range,
    sync::Arc,
    time::Duration,
};

use vltava_core::{
    Moment, Rng, Timestamp, TopicPartition,
    group::{
        Committed, Offsets,
        assign::{self, Assignor, CooperativeSticky, RoundRobin, Sticky, Topics},
        coordinator::{self, Beat, Groups, Join, Kept, Limits, Output, Record, Token, Topic},
        member::{
            Answer, Ask, AssignmentId, CallId, Commit, CommitId, Config, Failure, Member, Parting, Protocol,
            Refusal, Step, Ticket,
        },
    },
};
use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        group::{Coordinator, LeaveGroupRequest, ListGroupsRequest},
        next_group::ConsumerGroupHeartbeatResponse,
        offsets::{
            OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
            OffsetCommitResponseTopic,
        },
    },
};

/// How many seeds of each an ordinary run plays.
const USUAL: u64 = 250;
const TOPICS: [(&str, i32); 2] = [("orders", 5), ("refunds", 2)];
const TOPIC_IDS: [Uuid; 2] = [Uuid(1), Uuid(2)];
const SESSION: Duration = Duration::from_secs(6);
const REBALANCE: Duration = Duration::from_secs(10);
/// Things go wrong for so long.
const FAULTS: Duration = Duration::from_secs(40);
/// Then everybody must have a stable share within a session, some rebalances, and the pauses in between.
const BOUND: Duration = Duration::from_secs(60);
const VERSION: i16 = 9;
const NEXT_VERSION: i16 = 1;

type Id = usize;

#[test]
fn members_that_give_all_back_agree_whatever_the_network_does() {
    play(Story::Eager);
}

#[test]
fn members_that_keep_what_they_have_agree_whatever_the_network_does() {
    play(Story::Cooperative);
}

#[test]
fn members_that_offer_different_assignors_agree_whatever_the_network_does() {
    play(Story::Mixed);
}

#[test]
fn members_whose_coordinator_shares_out_agree_with_it_whatever_the_network_does() {
    play(Story::Next);
}

#[test]
fn members_of_both_protocols_agree_whatever_the_network_does() {
    play(Story::Changing);
}

fn play(story: Story) {
    for seed in seeds() {
        World::new(story, seed).run();
    }
}

/// Those of the variable `VLTAVA_SEEDS`, written as `0..500`, or else the usual ones.
fn seeds() -> Range<u64> {
    let Ok(said) = env::var("VLTAVA_SEEDS") else { return 0..USUAL };
    let bounds = said.split_once("..").and_then(|(start, end)| Some(start.parse().ok()?..end.parse().ok()?));
    bounds.unwrap_or_else(|| panic!("VLTAVA_SEEDS is {said:?} and not of the form 0..500"))
}

/// What members speak, and offer to share out by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// The same assignor of the eager protocol.
    Eager,
    /// The cooperative assignor alone.
    Cooperative,
    /// Range at least: some more, and the cooperative one among them, as when a group changes over.
    Mixed,
    /// The consumer protocol (KIP-848).
    Next,
    /// Some the one protocol and some the other, as when a group goes over or back.
    Changing,
}

/// What is under way.
enum Event {
    /// A request reaches the broker, unless its connection was cut.
    Arrives { connection: u64, call: CallId, ask: Ask },
    /// An answer reaches the member, unless the connection was cut.
    Answered { connection: u64, call: CallId, answer: Answer },
    /// The member waits no longer for a call.
    TimesOut { host: Id, call: CallId },
    /// The broker notices that a connection is gone.
    Noticed { connection: u64 },
    /// A member looks at its clock.
    Wakes { host: Id },
    /// The coordinator looks at its clock.
    CoordinatorWakes,
    /// The reader of a member has read and handled some.
    Works { host: Id },
    /// What topics there are becomes known to a leader.
    Counted { host: Id },
    /// The names of topics become known to a member.
    Named { host: Id },
    /// What was revoked is at rest.
    AtRest { host: Id, ticket: Ticket },
    /// Something goes wrong.
    Fault,
}

struct Host {
    member: Member,
    topics: BTreeSet<String>,
    instance_id: Option<String>,
    wakes_at: Option<Moment>,
    /// Until then its process does not run, and does not know.
    sleeps_until: Moment,
    connection: u64,
    /// Calls that have not ended, and the connection each went over.
    calls: BTreeMap<CallId, u64>,
    assignment: AssignmentId,
    positions: BTreeMap<TopicPartition, Position>,
    revoking: Option<Revoking>,
    commits: BTreeMap<CommitId, Vec<Commit>>,
    commit_ids: u64,
    is_leaving: bool,
}

struct Position {
    assignment: AssignmentId,
    offset: i64,
}

struct Revoking {
    ticket: Ticket,
    partitions: BTreeSet<TopicPartition>,
    deadline: Moment,
}

struct World {
    story: Story,
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
    /// Who was told last that it has each partition.
    holders: BTreeMap<TopicPartition, Id>,
    partitions: i32,
    /// What was asked to be stored.
    commits: Vec<OffsetCommitRequest>,
    /// The generation of the classic protocol, and that to which a restart would go back.
    generation: i32,
    recorded_generation: i32,
}

/// The broker serves one request of a connection at a time, in order.
struct Connection {
    host: Id,
    is_cut: bool,
    /// Whether the broker still reads what had been sent when it was cut.
    is_read_on: bool,
    last_arrival: Moment,
    last_answer: Moment,
    waits_for: Option<Token>,
    queue: VecDeque<(CallId, Ask)>,
}

impl World {
    fn new(story: Story, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let members = 1 + rng.below(4) as Id;
        let mut world = Self {
            story,
            seed,
            groups: Groups::new(limits(), Rng::new(rng.bits())),
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
            holders: BTreeMap::new(),
            partitions: TOPICS[0].1,
            commits: Vec::new(),
            generation: 0,
            recorded_generation: 0,
        };
        world.tell_topics();
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
        self.hosts.values_mut().for_each(|host| host.sleeps_until = Moment(0));
        if self.hosts.values().all(|host| host.is_leaving) {
            self.arrive();
        }
        // A static member that comes back to lead a group at rest does not see what was added while it was away, but
        // whatever comes after.
        self.grow();
        let (bound, mut grown_again) = (self.now + BOUND, false);
        while !(self.is_at_rest() && self.settled()) {
            if self.hosts.is_empty() {
                self.arrive();
            }
            if !grown_again && self.now + BOUND / 2 >= bound {
                grown_again = true;
                self.grow();
            }
            if self.now >= bound {
                let members = self.hosts.values().map(|host| &host.member).collect::<Vec<_>>();
                panic!("{self}: no rest: {:#?}, {members:#?}", self.known());
            }
            self.step();
        }
    }

    /// Every member that stays has its share in one generation, and the shares are all there is.
    fn is_at_rest(&self) -> bool {
        let mut generations = BTreeSet::new();
        let mut shared = BTreeSet::new();
        let mut wanted = BTreeSet::new();
        for host in self.hosts.values() {
            let Some((_, generation)) = host.member.identity() else { return false };
            if host.is_leaving || host.revoking.is_some() {
                return false;
            }
            generations.insert(generation);
            shared.extend(host.positions.keys());
            wanted.extend(&host.topics);
        }
        let count = |topic: &&String| if **topic == TOPICS[0].0 { self.partitions } else { TOPICS[1].1 };
        let whole: i32 = wanted.iter().map(count).sum();
        let groups = self.groups.list(&ListGroupsRequest::default(), std::iter::empty());
        generations.len() == 1
            && shared.len() == whole as usize
            && groups.iter().all(|group| group.group_state == "Stable")
            && self.known().len() == self.hosts.len()
    }

    /// The members that the coordinator knows, in either protocol, and their member epochs in the one that has them.
    fn known(&self) -> BTreeMap<String, Option<i32>> {
        let classic = self.groups.describe(5, "g", true).members.into_iter().map(|it| (it.member_id, None));
        let next = self.groups.describe_next("g").members.into_iter();
        // Below zero are those that are away, and will be back.
        let next = next.filter(|it| it.member_epoch >= 0);
        classic.chain(next.map(|it| (it.member_id, Some(it.member_epoch)))).collect()
    }

    /// Every commit was answered.
    fn settled(&self) -> bool {
        self.hosts.values().all(|host| host.commits.is_empty())
    }

    fn step(&mut self) {
        let ((at, _), event) = self.events.pop_first().expect("somebody always beats");
        // A clock that jumped leaves events behind: they come late.
        self.now = self.now.max(at);
        if let Some(awake_at) = self.sleeps_through(&event) {
            return self.at(awake_at, event);
        }
        match event {
            Event::Arrives { connection, call, ask } => self.arrives(connection, call, ask),
            Event::Answered { connection, call, answer } => self.answered(connection, call, answer),
            Event::TimesOut { host, call } => self.times_out(host, call),
            Event::Noticed { connection } => self.noticed(connection),
            Event::Wakes { host } => self.wakes(host),
            Event::CoordinatorWakes => {
                self.coordinator_wakes_at = None;
                self.replies();
            }
            Event::Works { host } => self.works(host),
            Event::Counted { host } => self.counted(host),
            Event::Named { host } => self.named(host),
            Event::AtRest { host, ticket } => self.at_rest(host, ticket),
            Event::Fault => self.fault(),
        }
    }

    /// Until when the host that an event is for sleeps.
    fn sleeps_through(&self, event: &Event) -> Option<Moment> {
        let host = match event {
            Event::Answered { connection, .. } => self.connections.get(connection)?.host,
            Event::TimesOut { host, .. }
            | Event::Wakes { host }
            | Event::Works { host }
            | Event::Counted { host }
            | Event::Named { host }
            | Event::AtRest { host, .. } => *host,
            Event::Arrives { .. } | Event::Noticed { .. } | Event::CoordinatorWakes | Event::Fault => {
                return None;
            }
        };
        self.hosts.get(&host).map(|host| host.sleeps_until).filter(|until| *until > self.now)
    }

    fn at(&mut self, at: Moment, event: Event) {
        self.counter += 1;
        self.events.insert((at.max(self.now), self.counter), event);
    }

    /// Schedules an event some milliseconds from now.
    fn later(&mut self, millis: Range<u64>, event: Event) {
        let at = self.now + self.millis(millis);
        self.at(at, event);
    }

    fn millis(&mut self, millis: Range<u64>) -> Duration {
        Duration::from_millis(millis.start + self.rng.below(millis.end - millis.start))
    }

    fn delay(&mut self) -> Duration {
        let slow = !self.calm && self.rng.chance(5);
        self.millis(if slow { 500..9_000 } else { 1..30 })
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, seed {} at {:?}", self.story, self.seed, self.now)
    }
}

fn limits() -> Limits {
    Limits { next_session_timeout: SESSION, next_heartbeat_interval: SESSION / 3, ..Limits::default() }
}
