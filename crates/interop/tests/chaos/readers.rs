//! Those who read: every partition, without a group, from its beginning until they are told where it ends.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use vltava_client::{Client, Isolation, Offset, RecordBatch, TopicPartition, config};
use vltava_core::Rng;
use vltava_interop::{Ends, drain};
use vltava_sim::history::{Reader, Recorder, What};

use crate::run::orders;

/// All is there and nobody disturbs: so long a reader may take for what it has not read yet.
pub(crate) const DRAINING: Duration = Duration::from_secs(90);

/// What a reader does besides reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Nothing.
    Reads,
    /// It takes one record at a time.
    Receives,
    /// It is now and then busy elsewhere.
    Dawdles,
    /// It goes back, and leaves partitions alone for a while.
    Wanders,
    /// It is dropped now and then, and made anew where it stood.
    Returns,
}

/// All readers, each with a client of its own.
pub(crate) struct Readers {
    ends: watch::Sender<Option<Ends>>,
    tasks: JoinSet<()>,
}

impl Readers {
    /// Begins to read.
    pub(crate) async fn start(recorder: &Recorder, brokers: &str, rng: &mut Rng) -> Self {
        let (ends, told) = watch::channel(None);
        let mut tasks = JoinSet::new();
        let narrow = config::Consumer { prefetch_bytes: 64 << 10, ..config::Consumer::default() };
        let committed =
            config::Consumer { isolation: Isolation::ReadCommitted, ..config::Consumer::default() };
        for (name, habit, config) in [
            ("reader", Habit::Reads, config::Consumer::default()),
            // From followers, where they are in this rack.
            (
                "nearby",
                Habit::Reads,
                config::Consumer { rack: "rack2".into(), ..config::Consumer::default() },
            ),
            ("receiver", Habit::Receives, config::Consumer::default()),
            ("of_committed", Habit::Reads, committed),
            ("dawdler", Habit::Dawdles, narrow.clone()),
            ("wanderer", Habit::Wanders, narrow.clone()),
            ("returner", Habit::Returns, narrow),
        ] {
            let client = Client::connect(brokers).await.expect("the cluster answers");
            let read = Read {
                recorder: recorder.clone(),
                client,
                name,
                habit,
                config,
                rng: Rng::new(rng.bits()),
                ends: told.clone(),
            };
            tasks.spawn(read.run());
        }
        Self { ends, tasks }
    }

    /// Tells all of them where partitions end, and waits until they are there or have had the time for it.
    pub(crate) async fn stop(mut self, ends: Ends) {
        self.ends.send_replace(Some(ends));
        while let Some(done) = self.tasks.join_next().await {
            done.expect("a reader does not panic");
        }
    }
}

struct Read {
    recorder: Recorder,
    client: Client,
    name: &'static str,
    habit: Habit,
    config: config::Consumer,
    rng: Rng,
    ends: watch::Receiver<Option<Ends>>,
}

impl Read {
    async fn run(mut self) {
        let start = orders().map(|it| (it, Offset::Earliest)).collect();
        let mut lives = 0;
        let mut reader = self.reader(lives, start).await;
        let mut ends = self.ends.clone();
        let ends = loop {
            tokio::select! {
                biased;
                ends = told(&mut ends) => break ends,
                batch = turn(&mut reader, self.habit) => {
                    if let Some(batch) = batch && self.goes_away(&mut reader, &batch).await {
                        lives += 1;
                        reader = self.reader(lives, where_it_stands(&reader)).await;
                    }
                }
            }
        };
        // Whether it has read all of it is judged with the rest.
        let _ = timeout(DRAINING, drain(&mut reader, &ends)).await;
        self.recorder.note(What::Drained { audience: name_of(self.name, lives) });
    }

    async fn reader(&self, life: u32, start: BTreeMap<TopicPartition, Offset>) -> Reader {
        let name = name_of(self.name, life);
        let reader = Reader::assign(&self.recorder, name, &self.client, self.config.clone(), start);
        reader.await.expect("partitions can be named")
    }

    /// Does what is its habit after a batch, and says whether it is to be made anew.
    async fn goes_away(&mut self, reader: &mut Reader, batch: &RecordBatch) -> bool {
        let at = batch.topic_partition();
        match self.habit {
            Habit::Dawdles if self.rng.chance(1) => {
                sleep(Duration::from_millis(self.rng.below(1_000))).await;
            }
            Habit::Wanders if self.rng.chance(2) => {
                let back = self.rng.below(1_000) as i64;
                reader.seek(at, Offset::Exact((batch.next_offset() - back).max(0)));
            }
            Habit::Wanders if self.rng.chance(2) => reader.pause(at),
            Habit::Wanders if self.rng.chance(10) => orders().for_each(|it| reader.resume(&it)),
            Habit::Returns => return self.rng.chance(1),
            _ => (),
        }
        false
    }
}

/// Has the reader hand out what comes next: a record, or a batch, which is returned.
async fn turn(reader: &mut Reader, habit: Habit) -> Option<RecordBatch> {
    if habit == Habit::Receives {
        // What goes wrong is in the history, and must not be the end.
        let _ = reader.recv().await;
        return None;
    }
    reader.next().await.ok().flatten()
}

/// Waits until the readers are told where partitions end.
async fn told(ends: &mut watch::Receiver<Option<Ends>>) -> Ends {
    let ends = ends.wait_for(Option::is_some).await.expect("they are told before they are forgotten");
    ends.clone().expect("it was waited for")
}

/// A reader that was made anew has another name.
fn name_of(name: &str, life: u32) -> String {
    if life == 0 { name.to_owned() } else { format!("{name}_{life}") }
}

fn where_it_stands(reader: &Reader) -> BTreeMap<TopicPartition, Offset> {
    let stand = reader.partitions().map(|it| (it.topic_partition().clone(), it.position()));
    stand.map(|(at, position)| (at, position.map_or(Offset::Earliest, Offset::Exact))).collect()
}
