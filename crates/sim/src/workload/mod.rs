//! What is played: each workload is a story that differs from seed to seed, told in a file of its own.

mod crashes;
mod disks;
mod group;
mod impatient;
mod networks;
mod nodes;
mod readers;
mod topics;

use std::time::Duration;

use tokio::time::sleep;
use vltava_client::{Compression, config};
use vltava_core::Rng;

use crate::{
    history::{Draft, Producer},
    play::Workload,
    stage::{Peace, Reading, Stage},
};

/// The topic of most workloads.
pub const TOPIC: &str = "orders";

/// All there are.
pub const WORKLOADS: &[Workload] = &[
    Workload { name: "crashes", play: crashes::play },
    Workload { name: "networks", play: networks::play },
    Workload { name: "nodes", play: nodes::play },
    Workload { name: "disks", play: disks::play },
    Workload { name: "impatient", play: impatient::play },
    Workload { name: "readers", play: readers::play },
    Workload { name: "topics", play: topics::play },
    Workload { name: "group", play: group::play },
];

/// What somebody sends.
#[derive(Debug, Clone, Copy)]
struct Sending {
    /// So long after each other, at most.
    pause_most: Duration,
    /// As long as this, at most.
    bytes_most: u64,
    /// With one of so many keys, or none.
    keys: u64,
}

impl Sending {
    const USUAL: Self = Self { pause_most: Duration::from_millis(80), bytes_most: 100, keys: 10 };

    fn draft(&self, rng: &mut Rng) -> Draft {
        let draft = Draft::to(TOPIC).bytes(rng.below(self.bytes_most + 1) as usize);
        let key = rng.below(self.keys + 3);
        if key < self.keys { draft.key(format!("key {key}")) } else { draft }
    }
}

/// What is sent when all is well again, so that it shows whether somebody still can.
const AFTERWARDS: u32 = 3;

/// Has so many producers send, with any settings.
async fn producers(stage: &mut Stage, count: u32, sending: Sending) {
    for number in 0..count {
        let (config, rng) = (any_producer(&mut stage.world.rng), stage.rng());
        let producer = stage.producer(&format!("p{number}"), config).await;
        stage.start(send(producer, sending, rng, stage.peace()));
    }
}

/// Has so many readers read everything, with any settings.
async fn readers(stage: &mut Stage, count: u32) {
    for number in 0..count {
        let config = any_consumer(&mut stage.world.rng);
        let all = Reading::all(&format!("r{number}"), stage.world.partitions());
        stage.read(Reading { config, ..all }).await;
    }
}

/// Sends, by all ways there are to do that, as long as there is trouble and a little longer, and waits until each
/// record has an outcome.
async fn send(mut producer: Producer, sending: Sending, mut rng: Rng, peace: Peace) {
    loop {
        sleep(Duration::from_micros(rng.below(1 + sending.pause_most.as_micros() as u64))).await;
        if peace.has_come() {
            break;
        }
        // What comes of them is written down, whoever waits for it.
        match if rng.chance(20) { 1 + rng.below(8) } else { 1 } {
            1 if rng.chance(20) => drop(producer.try_send(sending.draft(&mut rng))),
            1 => drop(producer.send(sending.draft(&mut rng)).await),
            together => {
                let drafts: Vec<_> = (0..together).map(|_| sending.draft(&mut rng)).collect();
                drop(producer.send_many(drafts).await);
            }
        }
    }
    for _ in 0..AFTERWARDS {
        drop(producer.send(sending.draft(&mut rng)).await);
    }
    producer.flush().await;
}

/// A producer's settings as they may be without harm.
fn any_producer(rng: &mut Rng) -> config::Producer {
    let usual = config::Producer::default();
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    config::Producer {
        linger: Duration::from_millis([0, 0, 5, 50][rng.below(4) as usize]),
        batch_bytes: [300, 2_000, usual.batch_bytes][rng.below(3) as usize],
        in_flight_max: [1, 2, 5][rng.below(3) as usize],
        compression: codecs[rng.below(codecs.len() as u64) as usize].into(),
        ..usual
    }
}

/// A consumer's settings as they may be without harm.
fn any_consumer(rng: &mut Rng) -> config::Consumer {
    let usual = config::Consumer::default();
    config::Consumer {
        max_wait: Duration::from_millis([10, 500][rng.below(2) as usize]),
        max_bytes: [1_000, usual.max_bytes][rng.below(2) as usize],
        partition_max_bytes: [400, usual.partition_max_bytes][rng.below(2) as usize],
        prefetch_bytes: [1, 3_000, usual.prefetch_bytes][rng.below(3) as usize],
        end_notices: rng.chance(30),
        ..usual
    }
}
