//! Those who send: alike in that they do not stop before they are told, different in all that a producer may be.

use std::time::Duration;

use tokio::{sync::watch, task::JoinSet, time::sleep};
use vltava_client::{Acks, Client, Compression, config};
use vltava_core::Rng;
use vltava_sim::history::{Draft, Producer, Recorder};

use crate::run::TOPIC;

/// Between two bursts of a producer it waits up to so many milliseconds.
const PAUSE: u64 = 250;

/// A burst has up to so many records.
const BURST: u64 = 25;

/// Two nodes of three may be away for as long as one takes to start; then all is sent that had to wait.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A producer that is told to stop does so within this.
pub(crate) const CLOSING: Duration = Duration::from_secs(90);

/// A kind of producer.
struct Shape {
    name: &'static str,
    config: config::Producer,
    /// Records have one of so many keys; without any, none.
    keys: u64,
    bytes: usize,
}

impl Shape {
    fn new(name: &'static str, keys: u64, bytes: usize, set: impl FnOnce(&mut config::Producer)) -> Self {
        let mut config = config::Producer { delivery_timeout: PATIENCE, ..config::Producer::default() };
        set(&mut config);
        Self { name, config, keys, bytes }
    }

    fn draft(&self, rng: &mut Rng) -> Draft {
        let draft = Draft::to(TOPIC).bytes(self.bytes);
        if self.keys == 0 { draft } else { draft.key(format!("key {}", rng.below(self.keys))) }
    }
}

/// With and without keys, in every codec, patient and not; all but the last two idempotent.
fn shapes() -> Vec<Shape> {
    let millis = Duration::from_millis;
    vec![
        Shape::new("keyed", 50, 100, |it| (it.linger, it.compression) = (millis(5), Compression::Lz4.into())),
        Shape::new("keyless", 0, 400, |it| {
            (it.linger, it.compression) = (millis(50), Compression::Zstd.into());
        }),
        // Each record is a batch, so that there are always five on their way.
        Shape::new("single", 3, 20, |it| (it.linger, it.batch_bytes) = (Duration::ZERO, 1)),
        Shape::new("one_by_one", 10, 100, |it| {
            (it.in_flight_max, it.compression) = (1, Compression::Snappy.into());
        }),
        Shape::new("hasty", 20, 100, |it| {
            (it.delivery_timeout, it.compression) = (Duration::from_secs(2), Compression::Gzip.into());
        }),
        Shape::new("leader_only", 10, 100, |it| (it.acks, it.idempotent) = (Acks::Leader, false)),
        Shape::new("blind", 10, 100, |it| (it.acks, it.idempotent) = (Acks::None, false)),
    ]
}

/// All producers, each with a client of its own, as in a process of its own.
pub(crate) struct Producers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Producers {
    /// Begins to send.
    pub(crate) async fn start(recorder: &Recorder, brokers: &str, rng: &mut Rng) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for shape in shapes() {
            let client = Client::connect(brokers).await.expect("the cluster answers");
            let producer = Producer::new(recorder, shape.name, &client, shape.config.clone());
            let producer = producer.expect("it is set up well");
            tasks.spawn(produce(producer, shape, Rng::new(rng.bits()), stopped.clone()));
        }
        Self { stop, tasks }
    }

    /// Has all of them stop, which takes no longer than they were told to take.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(done) = self.tasks.join_next().await {
            done.expect("a producer does not panic");
        }
    }
}

async fn produce(mut producer: Producer, shape: Shape, mut rng: Rng, stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        sleep(Duration::from_millis(rng.below(PAUSE))).await;
        let burst = 1 + rng.below(BURST);
        if rng.chance(50) {
            let drafts: Vec<_> = (0..burst).map(|_| shape.draft(&mut rng)).collect();
            producer.send_many(drafts).await;
        } else {
            for _ in 0..burst {
                // What failed is written down.
                let _ = producer.send(shape.draft(&mut rng)).await;
            }
        }
    }
    // Whether that was in time is judged with the rest.
    let _ = producer.shutdown(CLOSING).await;
}
