//! Producers and readers over a network that delays, trickles, refuses, parts nodes from clients, and swallows what is
//! sent without a word, so that only deadlines tell. The broker itself is well all the time.

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
    Trouble::Swallow,
    Trouble::Swallow,
    Trouble::Part,
    Trouble::Part,
    Trouble::Delay,
    Trouble::Trickle,
    Trouble::Refuse,
    Trouble::SlowDial,
];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let mut stage = Stage::new("networks", seed, Setup::new(TOPIC, 3)).await;
    // Some plays are over before any deadline is, others see many of them.
    let pause_most = Duration::from_millis([300, 3_000, 20_000][stage.world.rng.below(3) as usize]);
    let sending = Sending { pause_most: pause_most / 5, ..Sending::USUAL };
    producers(&mut stage, 2, sending).await;
    readers(&mut stage, 2).await;
    stage.trouble(TROUBLE, Weather { times: 12, pause_most }).await;
    stage.end().await
}
