//! Producers and readers of a broker whose disk is full, fails to sync, and loses its power, in every sync mode. Only
//! what a mode is documented to lose may be lost, and only with the power.

use std::time::Duration;

use vltava_broker::{LogOptions, Sync};

use super::{Sending, TOPIC, producers, readers};
use crate::{
    play::{Play, run},
    stage::Stage,
    trouble::{Trouble, Weather},
    world::Setup,
};

const TROUBLE: &[Trouble] = &[
    Trouble::DiskFull,
    Trouble::DiskFull,
    Trouble::FailSync,
    Trouble::PowerLoss,
    Trouble::PowerLoss,
    Trouble::Restart,
    Trouble::Kill,
];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let sync = [Sync::Always, Sync::Interval(Duration::from_millis(50)), Sync::Os][seed as usize % 3];
    let setup = Setup::new(TOPIC, 2);
    let setup = Setup { log: LogOptions { sync, ..setup.log }, ..setup };
    let mut stage = Stage::new("disks", seed, setup).await;
    let sending = Sending { bytes_most: 1_500, ..Sending::USUAL };
    producers(&mut stage, 3, sending).await;
    readers(&mut stage, 1).await;
    stage.trouble(TROUBLE, Weather { times: 10, pause_most: Duration::from_millis(500) }).await;
    stage.end().await
}
