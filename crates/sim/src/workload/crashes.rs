//! Producers and readers of a broker that is cut off, stopped, killed, and loses its power. Nothing that was
//! acknowledged or read may be gone, or be there twice, or at another place.

use std::time::Duration;

use super::{Sending, TOPIC, any_consumer, any_producer, send};
use crate::{
    play::{Play, run},
    stage::{Reading, Stage},
    trouble::{Trouble, Weather},
    world::Setup,
};

const TROUBLE: &[Trouble] = &[
    Trouble::Cut,
    Trouble::Cut,
    Trouble::Cut,
    Trouble::Restart,
    Trouble::Kill,
    Trouble::PowerLoss,
    Trouble::Clock,
];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let mut stage = Stage::new("crashes", seed, Setup::new(TOPIC, 3)).await;
    let partitions = stage.world.partitions();
    // Enough for files and segments to follow each other, and for a checkpoint.
    let sending = Sending { bytes_most: 600, ..Sending::USUAL };
    for number in 0..3 {
        let (config, rng) = (any_producer(&mut stage.world.rng), stage.rng());
        let producer = stage.producer(&format!("p{number}"), config).await;
        stage.start(send(producer, sending, rng, stage.peace()));
    }
    for number in 0..2 {
        let config = any_consumer(&mut stage.world.rng);
        let reading = Reading { config, ..Reading::all(&format!("r{number}"), partitions.clone()) };
        stage.read(reading).await;
    }
    stage.trouble(TROUBLE, Weather { times: 12, pause_most: Duration::from_millis(500) }).await;
    stage.end().await
}
