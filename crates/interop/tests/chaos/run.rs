//! One run: a cluster, who works on it, who disturbs it, and the verdict.

use std::{fs, io::BufWriter, path::PathBuf, sync::Arc, time::Duration};

use tokio::{task::block_in_place, time::sleep};
use vltava_client::{Client, NewTopic, SystemClock, TopicPartition};
use vltava_core::Rng;
use vltava_interop::{Cluster, ends, note_log, partitions};
use vltava_sim::history::{Recorder, What};

use crate::{
    figures,
    members::Members,
    monkey::Plan,
    producers::{self, Producers},
    readers::{self, Readers},
};

pub(crate) const TOPIC: &str = "orders";
const PARTITIONS: i32 = 6;

/// After the last fault everybody goes on for so long, to show that they do.
const PEACE: Duration = Duration::from_secs(5);

/// How late a deadline may be noticed on a machine that runs a cluster beside it.
const SLACK: Duration = Duration::from_secs(15);

/// The partitions that all work on.
pub(crate) fn orders() -> impl Iterator<Item = TopicPartition> + Clone {
    partitions(TOPIC, PARTITIONS)
}

/// What is to be played, and on what.
pub(crate) struct Run {
    /// What it is called where its history and its figures go.
    pub(crate) name: &'static str,
    /// What it is called for readers.
    pub(crate) kafka: &'static str,
    pub(crate) nodes: u32,
    pub(crate) lasts: Duration,
}

impl Run {
    /// Plays it on the cluster that `up` starts, and judges what happened.
    pub(crate) async fn play(self, up: impl FnOnce() -> Cluster) {
        let seed = seed();
        let plan = Plan::new(seed, self.nodes, self.lasts);
        eprintln!("{}: VLTAVA_CHAOS_SEED={seed} plays this again", self.kafka);
        let recorder = Recorder::begin(Arc::new(SystemClock::new()), self.name, seed, SLACK);
        let history = Written { recorder: &recorder, path: folder().join(format!("{}.jsonl", self.name)) };
        {
            let cluster = block_in_place(up);
            self.disturb(&cluster, &plan, &recorder, Rng::new(seed)).await;
            block_in_place(|| drop(cluster));
        }
        drop(history);
        figures::judge(&self, &plan, &recorder.history());
    }

    /// Everybody works while the plan is played, and a little longer; then all that is there is read.
    async fn disturb(&self, cluster: &Cluster, plan: &Plan, recorder: &Recorder, mut rng: Rng) {
        let brokers = &cluster.brokers;
        let client = Client::connect(brokers).await.expect("the cluster answers");
        let replicas = i16::try_from(self.nodes).expect("a few nodes");
        let topic = NewTopic::new(TOPIC).partitions(PARTITIONS).replication_factor(replicas);
        client.admin().create_topic(topic).await.expect("the topic is new");
        let producers = Producers::start(recorder, brokers, &mut rng).await;
        let readers = Readers::start(recorder, brokers, &mut rng).await;
        let mut members = Members::start(recorder, brokers).await;
        plan.play(cluster, recorder).await;
        let within = PEACE + producers::CLOSING + 2 * readers::DRAINING;
        recorder.note(What::Calm { within: within.as_micros() as u64 });
        sleep(PEACE).await;
        members.watch(recorder, &client);
        producers.stop().await;
        let ends = ends(&client, orders()).await.expect("the cluster answers");
        readers.stop(ends.clone()).await;
        members.stop(recorder, &client, &ends).await;
        note_log(recorder, &client, &ends).await.expect("the log is read to its end");
    }
}

/// From the environment, or another one each time.
fn seed() -> u64 {
    match std::env::var("VLTAVA_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("VLTAVA_CHAOS_SEED is a number"),
        Err(_) => std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs(),
    }
}

fn folder() -> PathBuf {
    let folder = std::env::var("VLTAVA_CHAOS_FOLDER").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/lanes/chaos")),
        PathBuf::from,
    );
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// A history that is in its file when this is dropped, even if that is because something went wrong.
struct Written<'a> {
    recorder: &'a Recorder,
    path: PathBuf,
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        let file = fs::File::create(&self.path).expect("the file can be made");
        let mut file = BufWriter::new(file);
        self.recorder.history().write(&mut file).expect("there is room for it");
        eprintln!("the history is in {}", self.path.display());
    }
}
