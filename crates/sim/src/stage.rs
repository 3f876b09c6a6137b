//! A world with its cast: producers, readers and members of groups at work in tasks of their own, and how a play comes
//! to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};
use vltava_client::{Client, Isolation, Offset, TopicPartition, config};
use vltava_core::Rng;

use crate::{
    check,
    history::{Event, Fate, Member, Partition, Producer, Reader, Record, Recorder, Removal, What},
    play::Play,
    trouble::{self, Trouble, Weather},
    world::{Setup, World},
};

/// Where readers may stop, once that is known.
type Ends = BTreeMap<TopicPartition, i64>;

/// How long it takes at most, after all trouble, until all is well: connections that swallow what is sent are noticed
/// by the request that nobody answers, and another is to be opened.
pub const RECOVERY: Duration = Duration::from_secs(60);

/// By then everything has arrived that was sent while the network was at its slowest.
const IN_FLIGHT: Duration = Duration::from_secs(2);

/// By then whoever reads a topic that was made anew knows it, also if he asked over a connection that leads nowhere:
/// half a minute may pass until he asks again. Before, its end means nothing to him: he stands in the topic that is
/// gone, perhaps behind that end.
const NOTICED: Duration = Duration::from_secs(45);

/// By then the sessions of members that died have ended, and whoever is left has read everything.
const SESSIONS: Duration = Duration::from_secs(60);

/// A world with its cast.
pub struct Stage {
    /// The world they play in.
    pub world: World,
    /// What logs keep, by what their topics are configured to.
    pub keeps: Keeps,
    producers: Vec<JoinHandle<()>>,
    readers: Vec<Audience>,
    members: Vec<(String, JoinHandle<()>)>,
    group: Option<&'static str>,
    onlookers: Vec<JoinHandle<()>>,
    peace: Peace,
}

/// Whether the trouble of a play is over. A clone tells of the same play.
#[derive(Debug, Clone, Default)]
pub struct Peace(Arc<AtomicBool>);

impl Peace {
    /// Whether everybody is left in peace from now on.
    pub fn has_come(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Somebody who reads until he is told where to end.
struct Audience {
    name: String,
    /// Whether he has to find out first which of his topics were made anew.
    recovers: bool,
    end: oneshot::Sender<Ends>,
    task: JoinHandle<()>,
}

/// What logs keep.
#[derive(Debug, Clone, Copy)]
pub enum Keeps {
    /// Everything that nobody takes out.
    All,
    /// What is new; what is old may go.
    Newest,
    /// Of one topic the latest record of each key, which is told from the value; of others everything.
    LatestOf(&'static str, fn(&str) -> String),
}

/// What a reader is like.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What it is called.
    pub name: String,
    /// How it reads.
    pub config: config::Consumer,
    /// What it reads, and from where.
    pub partitions: Vec<(TopicPartition, Offset)>,
    /// How long it takes for a batch, at most.
    pub work_most: Duration,
    /// Whether it pauses partitions, and has them resumed, now and then.
    pub pauses: bool,
    /// Whether it goes elsewhere now and then.
    pub seeks: bool,
    /// Whether it begins again where it stood after an error.
    pub recovers: bool,
}

impl Reading {
    /// A quick reader of everything, from the beginning.
    pub fn all(name: &str, partitions: impl IntoIterator<Item = TopicPartition>) -> Self {
        let partitions = partitions.into_iter().map(|it| (it, Offset::Earliest)).collect();
        let (config, work_most) = (config::Consumer::default(), Duration::ZERO);
        Self {
            name: name.to_owned(),
            config,
            partitions,
            work_most,
            pauses: false,
            seeks: false,
            recovers: false,
        }
    }
}

impl Stage {
    /// A world without anybody in it yet.
    pub async fn new(workload: &str, seed: u64, setup: Setup) -> Self {
        let world = World::new(workload, seed, setup).await;
        let (producers, readers, members) = (Vec::new(), Vec::new(), Vec::new());
        let (onlookers, peace) = (Vec::new(), Peace::default());
        Self { world, keeps: Keeps::All, producers, readers, members, group: None, onlookers, peace }
    }

    /// What tells whoever sends that he need not any more.
    pub fn peace(&self) -> Peace {
        self.peace.clone()
    }

    /// A generator for somebody, drawn from the world's.
    pub fn rng(&mut self) -> Rng {
        Rng::new(self.world.rng.bits())
    }

    /// A client that is patient enough to be had whatever happens, with times that differ from seed to seed.
    pub async fn client(&mut self, name: &str) -> Client {
        let [request, connect] = if self.world.rng.chance(50) { [30_000, 10_000] } else { [2_000, 500] };
        let connection = config::Connection {
            client_id: name.to_owned(),
            request_timeout: Duration::from_millis(request),
            connect_timeout: Duration::from_millis(connect),
            ..config::Connection::default()
        };
        loop {
            match self.world.client(name, connection.clone()).await {
                Ok(client) => return client,
                // As a supervisor would have it.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// A producer with a client of its own.
    pub async fn producer(&mut self, name: &str, config: config::Producer) -> Producer {
        let client = self.client(name).await;
        Producer::new(&self.world.recorder, name, &client, config).expect("it can be so")
    }

    /// Has somebody work who has to come to an end by himself.
    pub fn start(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.producers.push(tokio::spawn(work));
    }

    /// Has somebody read until the end.
    pub async fn read(&mut self, reading: Reading) {
        let client = self.client(&reading.name).await;
        let reader = Reader::assign(
            &self.world.recorder,
            &*reading.name,
            &client,
            reading.config.clone(),
            reading.partitions.clone(),
        );
        let reader = reader.await.expect("its partitions can be named");
        let (name, recovers) = (reading.name.clone(), reading.recovers);
        let (rng, (end, ends)) = (self.rng(), oneshot::channel());
        let task = tokio::spawn(read(reader, reading, rng, ends));
        self.readers.push(Audience { name, recovers, end, task });
    }

    /// Has somebody become a member of the one group that there is.
    pub async fn join(&mut self, name: &str, group: &'static str, topics: &'static [&'static str]) {
        let (client, recorder) = (self.client(name).await, self.world.recorder.clone());
        self.group = Some(group);
        let task = tokio::spawn(take_part(client, recorder, name.to_owned(), group, topics));
        self.members.push((name.to_owned(), task));
    }

    /// How many members are alive.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// A member dies without a word.
    pub fn kill_a_member(&mut self) {
        let which = self.world.rng.below(self.members.len() as u64) as usize;
        let (client, task) = self.members.swap_remove(which);
        task.abort();
        self.world.recorder.note(What::Crashed { client });
    }

    /// Has somebody look on until the end.
    pub fn look_on(&mut self, looking: impl Future<Output = ()> + Send + 'static) {
        self.onlookers.push(tokio::spawn(looking));
    }

    /// Makes trouble.
    pub async fn trouble(&mut self, kinds: &[Trouble], weather: Weather) {
        trouble::trouble(&mut self.world, kinds, weather).await;
    }

    /// Leaves everybody in peace, lets them come to their ends, and tells what happened.
    pub async fn end(mut self) -> Play {
        let deadline = Instant::now() + RECOVERY;
        trouble::calm(&mut self.world, RECOVERY).await;
        self.peace.0.store(true, Ordering::Relaxed);
        for it in std::mem::take(&mut self.producers) {
            // Whoever does not come to an end has calls without an outcome.
            if let Ok(ended) = timeout_at(deadline, it).await {
                ended.expect("a producer does not panic");
            }
        }
        // What was given up may still be on its way to a broker.
        sleep(IN_FLIGHT).await;
        if self.readers.iter().any(|it| it.recovers) {
            sleep(NOTICED).await;
        }
        let partitions = self.world.partitions();
        self.end_reading(&partitions, Instant::now() + RECOVERY).await;
        self.tell_logs(&partitions).await;
        self.end_group(deadline + SESSIONS).await;
        self.onlookers.drain(..).for_each(|it| it.abort());
        self.world.measure();
        let Self { world, .. } = self;
        world.end().await
    }

    /// Has readers stop where the logs end now, and waits for them.
    async fn end_reading(&mut self, partitions: &[TopicPartition], deadline: Instant) {
        let onlooker = self.world.onlooker().await.expect("the broker runs");
        let marks = onlooker.watermarks(partitions.to_vec(), Isolation::ReadUncommitted).await;
        let marks = marks.expect("the broker answers");
        let ends: Ends = marks.into_iter().map(|(partition, it)| (partition, it.end)).collect();
        let mut tasks = Vec::new();
        for Audience { name, end, task, .. } in self.readers.drain(..) {
            // Whoever is gone has panicked, which is found below.
            let _ = end.send(ends.clone());
            tasks.push((name, task));
        }
        for (audience, mut task) in tasks {
            match timeout_at(deadline, &mut task).await {
                Ok(ended) => ended.expect("a reader does not panic"),
                Err(_) => task.abort(),
            }
            self.world.recorder.note(What::Drained { audience });
        }
    }

    /// Waits until the group has been handed all there is. It does not know that, and goes on.
    async fn end_group(&mut self, deadline: Instant) {
        let Some(group) = self.group else { return };
        while !has_seen_all(&self.world.recorder, group) && Instant::now() < deadline {
            sleep(Duration::from_secs(1)).await;
        }
        self.world.recorder.note(What::Drained { audience: group.to_owned() });
        self.members.drain(..).for_each(|(_, task)| task.abort());
    }

    /// Tells which records are gone because their topic is configured so.
    fn tell_removals(&self, partition: &Partition, log: &Log) {
        let gone = |from, to, why| {
            let (partition, to) = (partition.clone(), Some(to));
            self.world.recorder.note(What::Removed { partition, from, to, why });
        };
        match self.keeps {
            Keeps::Newest if log.start > 0 => gone(0, log.start, Removal::Retention),
            Keeps::LatestOf(topic, key_of) if topic == partition.topic => {
                let there: BTreeSet<_> = log.records.iter().map(|it| it.0).collect();
                let latest: BTreeMap<_, _> = log.records.iter().map(|it| (key_of(&it.1), it.0)).collect();
                for (offset, value) in self.seen(partition) {
                    let is_replaced = latest.get(&key_of(&value)).is_some_and(|it| *it > offset);
                    if is_replaced && !there.contains(&offset) {
                        gone(offset, offset + 1, Removal::Compaction);
                    }
                }
            }
            _ => (),
        }
    }

    /// Every record of a partition that its sender or a reader knows to be at some offset.
    fn seen(&self, partition: &Partition) -> BTreeMap<i64, String> {
        let history = self.world.recorder.history();
        let sends = history.sends();
        let acknowledged = sends.iter().filter_map(|it| match it.fate {
            Fate::Acknowledged(at, Some(offset)) if at == partition => Some((offset, it.value.to_owned())),
            _ => None,
        });
        let polled = history.events.iter().filter_map(|it| match &it.what {
            What::Poll { partition: at, records, .. } if at == partition => Some(records),
            _ => None,
        });
        let polled = polled.flatten().map(|it| (it.0, it.1.clone()));
        acknowledged.chain(polled).collect()
    }

    /// Tells what the logs have in the end.
    async fn tell_logs(&mut self, partitions: &[TopicPartition]) {
        let onlooker = self.world.onlooker().await.expect("the broker runs");
        for (partition, log) in logs(&onlooker, partitions).await {
            self.tell_removals(&partition, &log);
            let Log { start, end, records } = log;
            self.world.recorder.note(What::Log { partition, start, end, records });
        }
    }
}

/// Whether a group was handed all that anybody has seen.
fn has_seen_all(recorder: &Recorder, group: &str) -> bool {
    let mut history = recorder.history();
    let (at, audience) = (recorder.now().0, group.to_owned());
    history.events.push(Event { at, what: What::Drained { audience } });
    check::check_only(check::Invariant::Unseen, &history).is_empty()
}

/// All of a log.
struct Log {
    start: i64,
    end: i64,
    records: Vec<Record>,
}

/// Reads all there is.
async fn logs(client: &Client, partitions: &[TopicPartition]) -> BTreeMap<Partition, Log> {
    let marks = client.watermarks(partitions.to_vec(), Isolation::ReadUncommitted).await;
    let marks = marks.expect("the broker answers");
    let start = |(partition, it): (&TopicPartition, &vltava_client::Watermarks)| {
        (Partition::from(partition), Log { start: it.begin, end: it.end, records: Vec::new() })
    };
    let mut logs: BTreeMap<_, _> = marks.iter().map(start).collect();
    let places = partitions.iter().map(|it| (it.clone(), Offset::Earliest));
    let mut reader = client.consumer().assign(places).await.expect("partitions can be named");
    reader.stop_at(marks.into_iter().map(|(partition, it)| (partition, it.end)));
    while let Some(batch) = reader.next().await.expect("what is there can be read") {
        let log = logs.get_mut(&batch.topic_partition().into()).expect("it was asked for");
        log.records.extend(batch.iter().map(|it| Record::of(&it)));
    }
    logs
}

/// Reads until the ends that it is told of.
async fn read(mut reader: Reader, reading: Reading, mut rng: Rng, mut ends: oneshot::Receiver<Ends>) {
    let mut at_work = true;
    loop {
        let polled = tokio::select! {
            biased;
            told = &mut ends, if at_work => {
                at_work = false;
                reading.partitions.iter().for_each(|(it, _)| reader.resume(it));
                reader.stop_at(told.unwrap_or_default());
                continue;
            }
            polled = reader.next() => polled,
        };
        match polled {
            Ok(Some(_)) => (),
            Ok(None) => return,
            Err(_) => {
                sleep(Duration::from_secs(1)).await;
                if reading.recovers {
                    begin_again(&mut reader, &reading);
                }
            }
        }
        if at_work {
            roam(&mut reader, &reading, &mut rng);
        }
        if reading.work_most > Duration::ZERO {
            sleep(Duration::from_micros(rng.below(reading.work_most.as_micros() as u64))).await;
        }
    }
}

/// Has every partition go on where it stands, also one that stands still by an error.
fn begin_again(reader: &mut Reader, reading: &Reading) {
    for (partition, start) in &reading.partitions {
        let at = reader.partitions().find(|it| it.topic_partition() == partition);
        let at = at.and_then(|it| it.position()).map_or(*start, Offset::Exact);
        reader.seek(partition, at);
    }
}

/// Pauses, resumes and goes elsewhere, as chance will have it.
fn roam(reader: &mut Reader, reading: &Reading, rng: &mut Rng) {
    let (partition, _) = &reading.partitions[rng.below(reading.partitions.len() as u64) as usize];
    match rng.below(20) {
        0 if reading.pauses => reader.pause(partition),
        1..4 if reading.pauses => reader.resume(partition),
        4 if reading.seeks => {
            let at = reader.partitions().find(|it| it.topic_partition() == partition);
            let at = at.and_then(|it| it.position()).unwrap_or_default();
            let to = match rng.below(4) {
                0 => Offset::Earliest,
                1 => Offset::Latest,
                _ => Offset::Exact(rng.below(at as u64 + 1) as i64),
            };
            reader.seek(partition, to);
        }
        _ => (),
    }
}

/// A member of a group that reads and commits, and joins again after whatever goes wrong with it, until it is dropped.
async fn take_part(
    client: Client,
    recorder: Recorder,
    name: String,
    group: &'static str,
    topics: &'static [&'static str],
) {
    let config = config::Consumer {
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(20),
        heartbeat_interval: Duration::from_secs(1),
        ..config::Consumer::default()
    };
    for life in 0.. {
        let member =
            Member::subscribe(&recorder, format!("{name}.{life}"), &client, config.clone(), (group, topics));
        if let Ok(mut member) = member.await {
            while let Ok(Some(batch)) = member.next().await {
                // A commit that fails leaves the records to whoever has the partition next.
                let _ = member.commit(&batch).await;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
