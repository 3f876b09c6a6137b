//! Faults on demand, for the tests of whoever uses Kafka.
//!
//! A rule says where (API, topic, partition, client, node), what (an error, a delay, a loss, a cut, throttling) and how
//! often. What it says about requests is decided in `rules`; `target` knows where each API names its partitions and
//! tells errors; `strike` has it happen. Faults of the disk are in `disk/faulty`, and are no rules.

mod aim;
mod rules;
mod strike;
mod target;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use vltava_core::Rng;

use crate::disk::DiskFaults;

pub use aim::{Aim, Fault, Partitions, Resources, Whole};
pub use rules::Topics;
use rules::{Asked, Often, Rules, Scope, What};
pub(crate) use rules::{End, Errors, Strikes, Way};
pub(crate) use strike::{Struck, carry_out, meet, move_leaders, of_session, of_topic};
pub(crate) use target::Target;

/// The faults of a broker: what is to go wrong, said by rules. A clone is the same.
///
/// A rule is made in three steps: which requests, what happens to them, how often.
///
/// ```
/// # use vltava_broker::{Broker, ErrorCode, faults::Topics};
/// # use std::time::Duration;
/// # async fn example(broker: Broker) {
/// let faults = broker.faults();
/// faults.produce("orders").error(ErrorCode::NotLeaderOrFollower).times(2);
/// faults.fetch(Topics::All).client("audit").delay_reply(Duration::from_secs(1)).ratio(0.1);
/// let lost = faults.heartbeat().drop_request().once();
/// assert_eq!(lost.struck(), 0); // nobody has sent a heartbeat yet
/// # }
/// ```
///
/// One request is one strike of a rule, however many partitions it names. Several rules may strike the same request;
/// of those that would do the same to it only the first that was added does, so that rules with a number of times are
/// a script. Where chance decides, it has the broker's seed.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether there is any rule: all that is looked at where there is none.
    is_armed: AtomicBool,
    rules: Mutex<Rules>,
    disk: DiskFaults,
    /// How many nodes there are.
    nodes: usize,
}

/// A rule that was added. It stays when this is dropped.
#[derive(Clone)]
pub struct Rule {
    id: u64,
    struck: Arc<AtomicU64>,
    faults: Faults,
}

impl Rule {
    /// How many requests it has struck.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// Takes it back. What it struck stays struck.
    pub fn remove(&self) {
        self.faults.change(|rules| rules.remove(self.id));
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("struck", &self.struck()).finish_non_exhaustive()
    }
}

impl Faults {
    pub(crate) fn new(chance: Rng, disk: DiskFaults, nodes: usize) -> Self {
        let rules = Mutex::new(Rules::new(chance));
        Self { shared: Arc::new(Shared { is_armed: AtomicBool::new(false), rules, disk, nodes }) }
    }

    /// Faults of the disk.
    pub fn disk(&self) -> DiskFaults {
        self.shared.disk.clone()
    }

    /// Takes back all rules, and lifts the faults of the disk.
    pub fn clear(&self) {
        self.change(Rules::clear);
        self.shared.disk.lift();
    }

    /// Whether there may be a rule that strikes.
    pub(crate) fn is_armed(&self) -> bool {
        self.shared.is_armed.load(Ordering::Relaxed)
    }

    /// Decides what a request meets.
    pub(crate) fn on_request(&self, asked: &Asked<'_>) -> Strikes {
        self.change(|rules| rules.on_request(asked))
    }

    fn add(&self, scope: Scope, what: What, often: Often) -> Rule {
        let (id, struck) = self.change(|rules| rules.add(scope, what, often));
        Rule { id, struck, faults: self.clone() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        let mut rules: MutexGuard<'_, Rules> = self.shared.rules.lock().expect("no rule panics");
        let result = change(&mut rules);
        self.shared.is_armed.store(!rules.is_empty(), Ordering::Relaxed);
        result
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}
