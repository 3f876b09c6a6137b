//! Producers and readers of three nodes between which leaders move, which stop and start, refuse and forget requests.
//! Producers ask for every acknowledgement there is; what each was promised is kept.

use std::time::Duration;

use vltava_client::{Acks, config};

use super::{Sending, TOPIC, any_producer, readers, send};
use crate::{
    play::{Play, run},
    stage::Stage,
    trouble::{Trouble, Weather},
    world::Setup,
};

const TROUBLE: &[Trouble] = &[
    Trouble::MoveLeader,
    Trouble::MoveLeader,
    Trouble::MoveLeader,
    Trouble::StopNode,
    Trouble::StopNode,
    Trouble::Errors,
    Trouble::Errors,
    Trouble::Errors,
    Trouble::Cut,
    Trouble::Part,
    Trouble::Kill,
];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let setup = Setup { nodes: 3, ..Setup::new(TOPIC, 4) };
    let mut stage = Stage::new("nodes", seed, setup).await;
    for (number, acks) in [Acks::All, Acks::All, Acks::Leader, Acks::None].into_iter().enumerate() {
        let (usual, rng) = (any_producer(&mut stage.world.rng), stage.rng());
        let config = config::Producer { acks, idempotent: acks == Acks::All, ..usual };
        let producer = stage.producer(&format!("p{number}"), config).await;
        stage.start(send(producer, Sending::USUAL, rng, stage.peace()));
    }
    readers(&mut stage, 2).await;
    stage.trouble(TROUBLE, Weather { times: 14, pause_most: Duration::from_millis(600) }).await;
    stage.end().await
}
