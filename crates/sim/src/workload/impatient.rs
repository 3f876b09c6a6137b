//! Producers that give up: short deadlines, little memory, purges, sends that nobody waits for, flushes and shutdowns
//! in between, while batches turn out to be larger than the topic takes. What was given up may be there or not, as it
//! was told; nothing else goes with it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use vltava_client::{Client, ConfigChange, config};
use vltava_core::Rng;

use super::{Sending, TOPIC, any_producer};
use crate::{
    history::Producer,
    play::{Play, run},
    stage::{Peace, Reading, Stage},
    trouble::{Trouble, Weather},
    world::Setup,
};

const TROUBLE: &[Trouble] = &[
    Trouble::Cut,
    Trouble::Cut,
    Trouble::Delay,
    Trouble::Swallow,
    Trouble::Kill,
    Trouble::PowerLoss,
    Trouble::Refuse,
];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let mut stage = Stage::new("impatient", seed, Setup::new(TOPIC, 2)).await;
    let partitions = stage.world.partitions();
    for number in 0..3 {
        let (usual, mut rng) = (any_producer(&mut stage.world.rng), stage.rng());
        let config = config::Producer {
            delivery_timeout: Duration::from_millis(50 + rng.below(2_000)),
            memory_bytes: [4_000, 64 << 20][rng.below(2) as usize],
            ..usual
        };
        let producer = stage.producer(&format!("p{number}"), config).await;
        stage.start(hurry(producer, rng, stage.peace()));
    }
    let (client, rng) = (stage.client("operator").await, stage.rng());
    stage.start(change_limits(client, rng));
    stage.read(Reading::all("r0", partitions)).await;
    stage.trouble(TROUBLE, Weather { times: 10, pause_most: Duration::from_millis(400) }).await;
    stage.end().await
}

/// Sends without patience, and stops with little of it.
async fn hurry(mut producer: Producer, mut rng: Rng, peace: Peace) {
    let sending = Sending { bytes_most: 900, ..Sending::USUAL };
    while !peace.has_come() {
        sleep(Duration::from_micros(rng.below(60_000))).await;
        let draft = sending.draft(&mut rng);
        match rng.below(30) {
            0 => drop(producer.purge()),
            1 => producer.flush().await,
            2..8 => drop(producer.try_send(draft)),
            8..16 => {
                // Nobody waits for it any more.
                drop(timeout(Duration::from_micros(rng.below(5_000)), producer.send(draft)).await);
            }
            16..20 => {
                let drafts: Vec<_> = (0..rng.below(10)).map(|_| sending.draft(&mut rng)).collect();
                drop(producer.send_many(drafts).await);
            }
            _ => drop(producer.send(draft).await),
        }
    }
    // An error says that there was not enough time, which is in the history too.
    drop(producer.shutdown(Duration::from_millis(rng.below(500))).await);
}

/// Has the topic take small batches only, and larger ones again.
async fn change_limits(client: Client, mut rng: Rng) {
    for _ in 0..6 {
        sleep(Duration::from_millis(rng.below(500))).await;
        let change = match rng.chance(50) {
            true => ConfigChange::Set((700 + rng.below(800)).to_string()),
            false => ConfigChange::Reset,
        };
        // The broker may be away; then the limit stays as it is.
        drop(client.admin().alter_topic_configs(TOPIC, [("max.message.bytes".to_owned(), change)]).await);
    }
}
