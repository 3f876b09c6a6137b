//! What happens to the nodes: planned from a seed, then done to them in real time.

use std::{collections::BTreeMap, fmt, ops::Range, time::Duration};

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};
use vltava_core::Rng;
use vltava_interop::{Cluster, Node};
use vltava_sim::history::{self, Recorder, What};

/// Milliseconds from one fault to the next.
const GAP: Range<u64> = 1_500..4_500;

/// How often a node is taken away while another one is, in percent.
const SECOND: u64 = 25;

/// For how many milliseconds a node is dead. Beside ZooKeeper it may not come back before its session has ended.
const DEAD: Range<u64> = 3_000..6_000;

/// A loaded machine needs so long until a node answers that was started.
const STARTING: Duration = Duration::from_secs(8);

/// For how many milliseconds a node is stopped. After a session of nine seconds, others lead its partitions.
const STOPPED: Range<u64> = 500..12_000;

/// How a node is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// By SIGKILL; then it is started again.
    Kill,
    /// By SIGSTOP, which leaves its connections open; then SIGCONT.
    Pause,
}

/// A node that is away for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Absence {
    at: Duration,
    node: u32,
    fault: Fault,
    away: Duration,
}

/// What is to happen to the nodes, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan(Vec<Absence>);

impl Plan {
    /// What a seed brings upon so many nodes for so long. Of three, one at least
    /// stays, unless nodes take longer to start than is thought.
    pub(crate) fn new(seed: u64, nodes: u32, lasts: Duration) -> Self {
        let mut rng = Rng::new(seed);
        let mut back: BTreeMap<u32, Duration> = (1..=nodes).map(|node| (node, Duration::ZERO)).collect();
        let mut plan = Vec::new();
        let mut at = Duration::ZERO;
        loop {
            at += within(&mut rng, GAP);
            if at >= lasts {
                return Self(plan);
            }
            let there: Vec<u32> = back.iter().filter(|it| *it.1 <= at).map(|it| *it.0).collect();
            let away = nodes as usize - there.len();
            let is_enough = away > 0 && (there.len() < 2 || !rng.chance(SECOND));
            if is_enough {
                continue;
            }
            let node = there[rng.below(there.len() as u64) as usize];
            let absence = Absence::new(&mut rng, at, node);
            back.insert(node, absence.ends());
            plan.push(absence);
        }
    }

    /// How many nodes it kills, and how many it pauses.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let kills = self.0.iter().filter(|it| it.fault == Fault::Kill).count();
        (kills, self.0.len() - kills)
    }

    /// Does it to a cluster, and writes it down. In the end every node is there and answers.
    pub(crate) async fn play(&self, cluster: &Cluster, recorder: &Recorder) {
        let start = Instant::now();
        let mut away: BTreeMap<u32, JoinHandle<()>> = BTreeMap::new();
        for absence in &self.0 {
            sleep_until(start + absence.at).await;
            // One that took longer to come back than was thought.
            if let Some(before) = away.remove(&absence.node) {
                before.await.expect("the node does as it is told");
            }
            eprintln!("{:6.1} s: {absence}", start.elapsed().as_secs_f64());
            away.insert(
                absence.node,
                tokio::spawn(absence.play(cluster.node(absence.node), recorder.clone())),
            );
        }
        for (_, last) in away {
            last.await.expect("the node does as it is told");
        }
        eprintln!("{:6.1} s: every node is there", start.elapsed().as_secs_f64());
    }
}

impl Absence {
    fn new(rng: &mut Rng, at: Duration, node: u32) -> Self {
        let (fault, away) = if rng.chance(50) { (Fault::Kill, DEAD) } else { (Fault::Pause, STOPPED) };
        Self { at, node, fault, away: within(rng, away) }
    }

    /// When the node is there again, as far as can be said.
    fn ends(&self) -> Duration {
        self.at + self.away + if self.fault == Fault::Kill { STARTING } else { Duration::ZERO }
    }

    async fn play(self, node: Node, recorder: Recorder) {
        let (fault, number) = (self.fault, self.node as i32);
        recorder.note(What::Fault(match fault {
            Fault::Kill => history::Fault::Kill { node: number },
            Fault::Pause => history::Fault::Freeze { node: number },
        }));
        spawn_blocking(move || fault.take_away(node)).await.expect("the node does as it is told");
        sleep(self.away).await;
        spawn_blocking(move || fault.bring_back(node)).await.expect("the node does as it is told");
        recorder.note(What::Fault(history::Fault::Back { node: number }));
    }
}

impl Fault {
    fn take_away(self, node: Node) {
        match self {
            Self::Kill => node.kill(),
            Self::Pause => node.pause(),
        }
    }

    fn bring_back(self, node: Node) {
        match self {
            Self::Kill => node.start(),
            Self::Pause => node.resume(),
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, fault, away, .. } = self;
        let fault = match fault {
            Fault::Kill => "killed",
            Fault::Pause => "paused",
        };
        write!(f, "node {node} is {fault} for {} ms", away.as_millis())
    }
}

fn within(rng: &mut Rng, milliseconds: Range<u64>) -> Duration {
    Duration::from_millis(milliseconds.start + rng.below(milliseconds.end - milliseconds.start))
}

#[test]
fn a_seed_always_brings_the_same() {
    let plan = |seed| Plan::new(seed, 3, Duration::from_secs(120));
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7), plan(8));
}

#[test]
fn one_node_of_three_stays_and_none_is_away_twice_at_once() {
    for seed in 0..200 {
        let Plan(plan) = Plan::new(seed, 3, Duration::from_secs(600));
        assert!(plan.len() >= 40, "seed {seed}: {} faults in ten minutes", plan.len());
        for (number, it) in plan.iter().enumerate() {
            let away: Vec<_> = plan[..number].iter().filter(|before| before.ends() > it.at).collect();
            assert!(away.len() < 2, "seed {seed}: {it} beside {away:?}");
            assert!(away.iter().all(|other| other.node != it.node), "seed {seed}: {it} beside {away:?}");
        }
    }
}
