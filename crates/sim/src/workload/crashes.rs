//! Producers and readers of a broker that is cut off, stopped, killed, and loses its power. Nothing that was
//! acknowledged or read may be gone, or be there twice, or at another place.

use std::time::Duration;

use super::{Sending, TOPIC, producers, readers};
use crate::{
    play::{Play, run},
    stage::Stage,
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
    // Enough for files and segments to follow each other, and for a checkpoint.
    let sending = Sending { bytes_most: 600, ..Sending::USUAL };
    producers(&mut stage, 3, sending).await;
    readers(&mut stage, 2).await;
    stage.trouble(TROUBLE, Weather { times: 12, pause_most: Duration::from_millis(500) }).await;
    stage.end().await
}
