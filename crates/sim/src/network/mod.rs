//! The network between clients and the nodes of a broker: pipes on which everything takes its time, that are cut,
//! that swallow what is sent, that trickle, and that are not had at all.
//!
//! All of it is drawn from a seed, and every piece of what is carried is in the [`Trace`]. What happens within one pipe
//! is in [`pipe`].

mod pipe;
mod route;
mod trace;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::DuplexStream,
    sync::Notify,
    time::{Instant, sleep},
};
use vltava_broker::Connector;
use vltava_client::{Address, BoxFuture, Dial, Stream};
use vltava_core::Rng;

use pipe::{Condition, Control, Cut, Flow, Pipe};
pub use route::{Dialing, Pace, Route};
pub use trace::{Bytes, Step, Trace, Way};

/// What a pipe holds at either end before its writer has to wait.
const PIPE_BYTES: usize = 64 << 10;

/// The number of a node, as the broker has it.
pub type Node = i32;

/// All pipes between clients and nodes. A clone is the same network.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    trace: Trace,
    /// Moves whenever somebody who waits for a connection is to look again.
    changes: Notify,
}

struct State {
    rng: Rng,
    nodes: BTreeMap<Node, Host>,
    routes: BTreeMap<(String, Node), Route>,
    usual: Route,
    links: Vec<Link>,
    opened: u64,
}

/// Where a node is, and the way into it while it runs.
struct Host {
    name: String,
    connector: Option<Connector>,
    /// Nobody there says so if it does not run.
    is_dark: bool,
}

/// A pipe that was opened.
struct Link {
    client: String,
    node: Node,
    control: Control,
}

/// Which of the pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipes<'a> {
    /// All there are.
    All,
    /// Those to one node.
    To(Node),
    /// Those of one client.
    Of(&'a str),
    /// Those of one client to one node.
    Between(&'a str, Node),
}

impl Pipes<'_> {
    fn include(self, client: &str, node: Node) -> bool {
        match self {
            Self::All => true,
            Self::To(it) => it == node,
            Self::Of(it) => it == client,
            Self::Between(it, at) => it == client && at == node,
        }
    }
}

impl Network {
    /// A network without nodes.
    pub fn new(rng: Rng) -> Self {
        let (nodes, routes, links) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let state = State { rng, nodes, routes, usual: Route::default(), links, opened: 0 };
        let (state, trace, changes) = (Mutex::new(state), Trace::new(), Notify::new());
        Self(Arc::new(Shared { state, trace, changes }))
    }

    /// From now on, this node is reached by that name.
    pub fn attach(&self, node: Node, name: &str, connector: Connector) {
        let host = Host { name: name.to_owned(), connector: Some(connector), is_dark: false };
        self.lock().nodes.insert(node, host);
        self.0.changes.notify_waiters();
    }

    /// From now on, the node refuses connections, and all of its pipes are cut.
    pub fn detach(&self, node: Node) {
        self.lock().let_go(node, false);
        self.forget(node);
    }

    /// From now on, nothing comes from the node, not even that it is gone: its machine is. Nobody gets an answer
    /// until it is attached again; then who asks is told that it does not know him.
    pub fn darken(&self, node: Node) {
        self.lock().let_go(node, true);
        self.change(Pipes::To(node), |condition| (condition.up, condition.down) = (Flow::Lost, Flow::Lost));
    }

    /// Tells whoever still has a pipe into an earlier life of the node that it is gone.
    pub fn forget(&self, node: Node) {
        self.change(Pipes::To(node), |condition| condition.cut = Cut::Now);
    }

    /// How it is from now on between clients and nodes, for pipes that are open too.
    pub fn set(&self, pipes: Pipes<'_>, route: Route) {
        {
            let mut state = self.lock();
            match pipes {
                Pipes::All => {
                    (state.usual, state.routes) = (route, BTreeMap::new());
                }
                Pipes::Between(client, node) => {
                    state.routes.insert((client.to_owned(), node), route);
                }
                Pipes::To(_) | Pipes::Of(_) => {
                    let known: Vec<_> =
                        state.pairs().filter(|(client, node)| pipes.include(client, *node)).collect();
                    state.routes.extend(known.into_iter().map(|it| (it, route)));
                }
            }
        }
        self.change(pipes, |condition| condition.route = route);
        self.0.changes.notify_waiters();
    }

    /// Nothing gets through from now on, and nobody is told. What is sent arrives once this is over.
    pub fn part(&self, pipes: Pipes<'_>) {
        self.0.trace.note(0, Step::Parted);
        self.set(pipes, Route { dialing: Dialing::Silent, passes: false, ..Route::default() });
    }

    /// All is as usual again, save for pipes that swallow what is sent: they do so for ever.
    pub fn heal(&self) {
        self.0.trace.note(0, Step::Healed);
        self.set(Pipes::All, Route::default());
    }

    /// Cuts some of the pipes, one way or the other: so that what is on its way to the broker still arrives, or not.
    pub fn cut_some(&self, percent: u64) {
        let mut chosen = Rng::new(self.lock().rng.bits());
        self.change(Pipes::All, |condition| {
            if chosen.chance(percent) && condition.cut == Cut::Not {
                condition.cut = if chosen.chance(50) { Cut::Late } else { Cut::Now };
            }
        });
    }

    /// Has some of the pipes swallow what is sent from now on, in one direction or both. Nobody is told, ever.
    pub fn swallow_some(&self, percent: u64) {
        let mut chosen = Rng::new(self.lock().rng.bits());
        self.change(Pipes::All, |condition| {
            if chosen.chance(percent) {
                let which = chosen.below(3);
                condition.up = if which != 0 { Flow::Lost } else { condition.up };
                condition.down = if which != 1 { Flow::Lost } else { condition.down };
            }
        });
    }

    /// The way of a client to the nodes.
    pub fn dial(&self, client: &str) -> Arc<dyn Dial> {
        Arc::new(Dialer { network: self.clone(), client: client.to_owned() })
    }

    /// What was carried, and what was done to pipes.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// How many pipes a client has open.
    pub fn held_by(&self, client: &str) -> usize {
        let state = self.lock();
        state.links.iter().filter(|it| it.client == client && it.control.is_held()).count()
    }

    fn change(&self, pipes: Pipes<'_>, mut change: impl FnMut(&mut Condition)) {
        let mut state = self.lock();
        state.forget_closed();
        for link in state.links.iter().filter(|it| pipes.include(&it.client, it.node)) {
            link.control.change(&mut change);
        }
    }

    /// How to a node of this name, if there is one.
    fn route(&self, client: &str, host: &str) -> Option<(Node, Route)> {
        let state = self.lock();
        let (&node, host) = state.nodes.iter().find(|(_, it)| it.name == host)?;
        let route = *state.routes.get(&(client.to_owned(), node)).unwrap_or(&state.usual);
        let dialing = if host.is_dark { Dialing::Silent } else { route.dialing };
        Some((node, Route { dialing, ..route }))
    }

    fn connect(&self, client: &str, node: Node, route: Route) -> io::Result<DuplexStream> {
        let mut state = self.lock();
        let connector = state.nodes.get(&node).and_then(|it| it.connector.as_ref());
        let broker = connector.ok_or(io::ErrorKind::ConnectionRefused)?.connect()?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        state.opened += 1;
        let (number, rng) = (state.opened, Rng::new(state.rng.bits()));
        let control = Control::new(route);
        state.links.push(Link { client: client.to_owned(), node, control: control.clone() });
        self.0.trace.note(number, Step::Opened { client: client.to_owned(), node });
        Pipe { number, control, rng, trace: self.0.trace.clone() }.carry(theirs, broker);
        Ok(ours)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nothing panics with this lock")
    }
}

impl State {
    /// Every client that was ever seen, with every node.
    fn pairs(&self) -> impl Iterator<Item = (String, Node)> {
        let linked = self.links.iter().map(|it| it.client.clone());
        let routed = self.routes.keys().map(|it| it.0.clone());
        let clients: BTreeSet<_> = linked.chain(routed).collect();
        let nodes: Vec<_> = self.nodes.keys().copied().collect();
        clients
            .into_iter()
            .flat_map(move |client| nodes.clone().into_iter().map(move |node| (client.clone(), node)))
    }

    fn let_go(&mut self, node: Node, is_dark: bool) {
        if let Some(host) = self.nodes.get_mut(&node) {
            (host.connector, host.is_dark) = (None, is_dark);
        }
    }

    fn forget_closed(&mut self) {
        self.links.retain(|it| it.control.is_in_use());
    }
}

struct Dialer {
    network: Network,
    client: String,
}

impl Dial for Dialer {
    fn dial(&self, address: &Address) -> BoxFuture<io::Result<Box<dyn Stream>>> {
        let (network, client, host) = (self.network.clone(), self.client.clone(), address.host.clone());
        Box::pin(async move {
            loop {
                let changed = network.0.changes.notified();
                let (node, route) =
                    network.route(&client, &host).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
                match route.dialing {
                    Dialing::Takes(time) => {
                        sleep(time).await;
                        return Ok(Box::new(network.connect(&client, node, route)?) as Box<dyn Stream>);
                    }
                    Dialing::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
                    // Whoever dials gives up when he likes; the network itself never goes.
                    Dialing::Silent => changed.await,
                }
            }
        })
    }
}

/// The moment a trace counts from, and the time of it in microseconds.
fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// As a number of microseconds that chance can be drawn below.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
