//! A broker of one or several nodes on a disk that may lose its power, and clients that reach it over the network:
//! everything there is, and everything that may be done to it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::sleep};
use vltava_broker::{Broker, Builder, ErrorKind, LogOptions, Sync, disk::Memory, faults::Faults};
use vltava_client::{Client, Isolation, Result, config};
use vltava_core::{Rng, TopicPartition};

use crate::{
    clock::VirtualClock,
    history::{Fate, Fault, History, Partition, Recorder, Removal, What},
    network::Network,
    play::Play,
    straight::Straight,
};

/// How long a sync takes, in milliseconds: one of these. Where it takes long, much is lost with the power that must
/// not have been acknowledged or read.
const SYNC_MILLIS: [u64; 4] = [1, 1, 20, 100];

/// How late a deadline may be noticed: timers have a resolution of a millisecond, and some wait for others.
const SLACK: Duration = Duration::from_millis(50);

/// So many connections a client has to a node at most: for what it asks, for what it reads, for a group, and one by
/// the address that it was given.
const CONNECTIONS_MAX: usize = 4;

/// What nobody holds any more has ended by then.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What a world is like in the beginning.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Topics that there are from the start, with their partitions.
    pub topics: Vec<(String, i32)>,
    /// How many nodes the broker has.
    pub nodes: i32,
    /// How the broker keeps its log.
    pub log: LogOptions,
}

impl Setup {
    /// One topic on one node, whose files are so small that they follow each other within a play.
    pub fn new(topic: &str, partitions: i32) -> Self {
        let log = LogOptions {
            journal_file_bytes: 128 << 10,
            checkpoint_bytes: 96 << 10,
            segment_bytes: 16 << 10,
            move_bytes: 8 << 10,
            memory_bytes: 256 << 10,
            retention_interval: Duration::from_secs(2),
            compaction_interval: Duration::from_secs(1),
            ..LogOptions::default()
        };
        Self { topics: vec![(topic.to_owned(), partitions)], nodes: 1, log }
    }
}

/// Everything there is on one seed.
pub struct World {
    /// The seed it is played from.
    pub seed: u64,
    /// All chance of the world itself.
    pub rng: Rng,
    /// The network between clients and broker.
    pub network: Network,
    /// Writes down what happens.
    pub recorder: Recorder,
    setup: Setup,
    clock: VirtualClock,
    /// The clock of the broker's machine, which may be set wrong.
    broker_clock: VirtualClock,
    disk: Memory,
    broker: Option<Broker>,
    has_begun: bool,
    clients: Vec<String>,
    faults: BTreeMap<&'static str, u64>,
}

/// The name that a node is reached by.
pub(crate) fn name_of(node: i32) -> String {
    format!("node-{node}")
}

impl World {
    /// A world whose broker runs. Call it on a paused runtime.
    pub async fn new(workload: &str, seed: u64, setup: Setup) -> Self {
        let mut rng = Rng::new(seed);
        let clock = VirtualClock::new();
        let sync = Duration::from_millis(SYNC_MILLIS[rng.below(4) as usize]);
        let disk = Memory::unreliable().with_latency(Arc::new(clock.clone()), sync);
        let network = Network::new(Rng::new(rng.bits()));
        let recorder = Recorder::of_one_log(Arc::new(clock.clone()), workload, seed, SLACK);
        let (broker_clock, broker, has_begun) = (clock.elsewhere(), None, false);
        let (clients, faults) = (Vec::new(), BTreeMap::new());
        let mut world = Self {
            seed,
            rng,
            network,
            recorder,
            setup,
            clock,
            broker_clock,
            disk,
            broker,
            has_begun,
            clients,
            faults,
        };
        world.measure();
        world.start(false).await;
        if world.loses_unsynced() {
            // A clean stop writes down what there is, so that the topics stay.
            world.restart(Duration::ZERO).await;
            world.faults.clear();
        }
        world
    }

    /// Whether a loss of power may take back what was acknowledged.
    fn loses_unsynced(&self) -> bool {
        self.setup.log.sync != Sync::Always
    }

    /// A client like one in a process of its own.
    pub async fn client(&mut self, name: &str, connection: config::Connection) -> Result<Client> {
        if !self.clients.iter().any(|it| it == name) {
            self.clients.push(name.to_owned());
            self.measure();
        }
        let brokers: Vec<_> = (1..=self.setup.nodes).map(|node| name_of(node) + ":9092").collect();
        let builder =
            Client::builder().brokers(brokers.join(",")).connection(connection).seed(self.rng.bits());
        builder.clock(Arc::new(self.clock.elsewhere())).dial(self.network.dial(name)).connect().await
    }

    /// A client that no trouble of the network reaches, for whoever looks at the broker from beside it. Not to be
    /// kept beyond the life of the broker.
    pub async fn onlooker(&mut self) -> Result<Client> {
        let broker = self.broker();
        let way = Straight::new(broker.nodes().map(|it| (name_of(it.id()), it.connector())));
        let builder = Client::builder().brokers(self.bootstrap()).seed(self.rng.bits());
        builder.clock(Arc::new(self.clock.elsewhere())).dial(Arc::new(way)).connect().await
    }

    /// The broker's process is killed, and started again on a disk that has all that was written.
    pub async fn kill(&mut self, away: Duration) {
        self.fault("kill", Fault::Kill { node: 1 });
        self.all_nodes(Network::detach);
        self.broker = None;
        // Its tasks end when they are polled next, and with them its hold on the disk.
        sleep(away + Duration::from_millis(5)).await;
        self.start(false).await;
    }

    /// The broker's machine loses its power, stays away for a while, and recovers from what its disk kept. Nobody is
    /// told, if the machine goes without a word.
    pub async fn lose_power(&mut self, away: Duration) {
        self.fault("power loss", Fault::PowerLoss { node: 1 });
        let without_a_word = self.rng.chance(50);
        self.all_nodes(if without_a_word { Network::darken } else { Network::detach });
        self.disk = self.disk.after_power_loss(&mut self.rng);
        self.broker = None;
        sleep(away).await;
        self.start(true).await;
    }

    /// The broker is stopped cleanly and started again.
    pub async fn restart(&mut self, away: Duration) {
        self.fault("restart", Fault::Stop { node: 1 });
        if let Some(broker) = self.broker.take()
            && let Err(error) = broker.shutdown().await
        {
            // A disk that is full, or has failed, does not take the last checkpoint either.
            self.recorder.note(What::Fault(Fault::Other {
                what: format!("the broker did not stop cleanly: {error}"),
            }));
        }
        self.all_nodes(Network::detach);
        sleep(away).await;
        self.start(false).await;
    }

    /// The next syncs of the disk fail. A broker that finds out takes nothing any more, until it is started again.
    pub fn fail_syncs(&mut self) {
        self.fault("failing sync", Fault::Other { what: "the next sync fails".into() });
        self.disk.fail_syncs(1);
    }

    /// Little more fits onto the disk.
    pub fn fill_disk(&mut self) {
        self.fault("full disk", Fault::DiskFull { node: 1 });
        let room = self.rng.below(40 << 10);
        self.disk.limit_space(Some(self.used_bytes() + room));
    }

    /// There is room on the disk again, and it does not fail.
    pub fn heal_disk(&mut self) {
        self.disk.limit_space(None);
        self.disk.fail_syncs(0);
    }

    /// Another node leads some partition.
    pub async fn move_leader(&mut self) {
        let partitions = self.partitions();
        let partition = &partitions[self.rng.below(partitions.len() as u64) as usize];
        let to = 1 + self.rng.below(self.setup.nodes as u64) as i32;
        // A node that was stopped cannot.
        if self.broker().move_leader(&partition.topic, partition.partition, to).await.is_ok() {
            self.fault("leader moved", Fault::LeaderMoved { partition: partition.into(), to });
        }
    }

    /// Some node stops, unless no other is left; others lead what it led.
    pub async fn stop_node(&mut self) {
        let node = 1 + self.rng.below(self.setup.nodes as u64) as i32;
        match self.broker().node(node).expect("it is one of them").stop().await {
            Ok(()) => self.fault("node stopped", Fault::Stop { node }),
            Err(error) => {
                let what = format!("node {node} goes on: {error}");
                self.recorder.note(What::Fault(Fault::Other { what }));
            }
        }
    }

    /// All nodes run again.
    pub async fn start_nodes(&mut self) {
        for node in self.nodes() {
            let handle = self.broker().node(node).expect("it is one of them");
            if !handle.is_running() {
                handle.start().await.expect("in process, nothing keeps it from starting");
                self.recorder.note(What::Fault(Fault::Back { node }));
            }
        }
    }

    /// What goes wrong with requests by the broker's own rules.
    pub fn rules(&self) -> Faults {
        self.broker().faults()
    }

    /// The wall clock of the broker's machine jumps.
    pub fn set_clock(&mut self, milliseconds: i64) {
        self.fault("clock", Fault::Other { what: format!("the broker's clock is off by {milliseconds} ms") });
        self.broker_clock.set_off(milliseconds);
    }

    /// The wall clock of the broker's machine is set right.
    pub fn set_clock_right(&mut self) {
        self.recorder.note(What::Fault(Fault::Other { what: "the broker's clock is set right".into() }));
        self.broker_clock.set_off(0);
    }

    /// Writes down, and counts, something that was done.
    pub fn fault(&mut self, name: &'static str, fault: Fault) {
        *self.faults.entry(name).or_default() += 1;
        self.recorder.note(What::Fault(fault));
    }

    /// How often what was done.
    pub fn faults(&self) -> &BTreeMap<&'static str, u64> {
        &self.faults
    }

    /// The clients there were, by name.
    pub fn clients(&self) -> Vec<String> {
        self.clients.clone()
    }

    /// The nodes there are.
    pub fn nodes(&self) -> std::ops::RangeInclusive<i32> {
        1..=self.setup.nodes
    }

    /// The partitions there are from the start.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let topics = self.setup.topics.iter();
        topics
            .flat_map(|(topic, count)| (0..*count).map(|it| TopicPartition::new(topic.as_str(), it)))
            .collect()
    }

    /// Measures what may not be more than so much, and what has to be as little as at first when all is over.
    pub fn measure(&self) {
        let gauge = |of: &str, gauge: &str, value: usize, most: Option<usize>| {
            let (of, gauge, most) = (of.to_owned(), gauge.to_owned(), most.map(|it| it as u64));
            self.recorder.note(What::Gauge { of, gauge, value: value as u64, most });
        };
        let most = CONNECTIONS_MAX * self.setup.nodes as usize;
        for client in &self.clients {
            gauge(client, "connections", self.network.held_by(client), Some(most));
        }
        if self.broker.is_none() {
            gauge("runtime", "tasks", Handle::current().metrics().num_alive_tasks(), None);
        }
    }

    /// Ends everything, and tells what happened. Nobody may be at work any more.
    pub async fn end(mut self) -> Play {
        // Who was dropped may have to say so to the broker.
        sleep(AFTERWARDS).await;
        if let Some(broker) = self.broker.take() {
            broker.shutdown().await.expect("nothing keeps it from stopping");
        }
        self.all_nodes(Network::detach);
        sleep(AFTERWARDS).await;
        self.recorder.note(What::Closed);
        self.measure();
        let (history, trace) = (self.recorder.history(), self.network.trace().to_string());
        Play { history, trace, faults: self.faults }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("the broker runs")
    }

    fn bootstrap(&self) -> String {
        let brokers: Vec<_> = self.nodes().map(|node| name_of(node) + ":9092").collect();
        brokers.join(",")
    }

    fn all_nodes(&self, does: fn(&Network, i32)) {
        self.nodes().for_each(|node| does(&self.network, node));
    }

    fn used_bytes(&self) -> u64 {
        use vltava_broker::disk::Disk;
        let files = self.disk.list().expect("a disk in memory knows its files");
        files.iter().map(|it| it.1).sum()
    }

    /// Tells which records went with the power, before anybody else can find out.
    async fn tell_unsynced(&mut self) {
        let onlooker = self.onlooker().await.expect("the broker runs");
        let marks = onlooker.watermarks(self.partitions(), Isolation::ReadUncommitted).await;
        let history = self.recorder.history();
        for (partition, it) in marks.expect("the broker answers") {
            let partition = Partition::from(&partition);
            let known = end_known(&history, &partition);
            if it.end < known {
                let (from, to, why) = (it.end, Some(known), Removal::Unsynced);
                self.recorder.note(What::Removed { partition, from, to, why });
            }
        }
    }

    fn builder(&mut self) -> Builder {
        let builder = Broker::in_memory()
            .disk(Arc::new(self.disk.clone()))
            .nodes(self.setup.nodes as usize)
            .log(self.setup.log.clone())
            .auto_create_topics(false)
            .clock(Arc::new(self.broker_clock.clone()))
            .seed(self.rng.bits());
        let builder = self.nodes().fold(builder, |builder, node| builder.advertise(name_of(node) + ":9092"));
        // Those that are deleted later stay deleted.
        let topics = if self.has_begun { &[][..] } else { &self.setup.topics };
        topics.iter().fold(builder, |builder, (topic, partitions)| builder.topic(topic, *partitions))
    }

    async fn start(&mut self, lost_power: bool) {
        let broker = loop {
            match self.builder().start().await {
                Ok(broker) => break broker,
                // Whoever runs it makes room.
                Err(error) if error.kind() == ErrorKind::Full => self.heal_disk(),
                Err(error) => panic!("seed {}: the broker does not start: {error:?}", self.seed),
            }
        };
        self.has_begun = true;
        self.broker = Some(broker);
        if self.loses_unsynced() && lost_power {
            self.tell_unsynced().await;
        }
        let broker = self.broker();
        for node in broker.nodes() {
            self.network.forget(node.id());
            self.network.attach(node.id(), &name_of(node.id()), node.connector());
        }
        self.recorder.note(What::Fault(Fault::Back { node: 1 }));
    }
}

/// Behind the last record of a partition that anybody knows of.
fn end_known(history: &History, partition: &Partition) -> i64 {
    let sends = history.sends();
    let acknowledged = sends.iter().filter_map(|it| match it.fate {
        Fate::Acknowledged(at, offset) if at == partition => offset.map(|it| it + 1),
        _ => None,
    });
    let polled = history.events.iter().filter_map(|it| match &it.what {
        What::Poll { partition: at, next, .. } if at == partition => Some(*next),
        _ => None,
    });
    acknowledged.chain(polled).max().unwrap_or_default()
}
