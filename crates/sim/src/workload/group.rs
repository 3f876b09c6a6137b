//! A group of members that come and go, without a word or with one, while the broker is cut off, restarted, killed and
//! without power. The group is handed every record, and what it has committed never goes back.

use std::time::Duration;

use tokio::time::sleep;
use vltava_client::Client;

use super::{Sending, TOPIC, any_producer, send};
use crate::{
    history::{Partition, Recorder, What},
    play::{Play, run},
    stage::Stage,
    trouble::{Trouble, Weather},
    world::Setup,
};

/// The group.
const GROUP: &str = "audit";

const TROUBLE: &[Trouble] =
    &[Trouble::Cut, Trouble::Cut, Trouble::Cut, Trouble::Restart, Trouble::Kill, Trouble::PowerLoss];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let mut stage = Stage::new("group", seed, Setup::new(TOPIC, 4)).await;
    let (config, rng) = (any_producer(&mut stage.world.rng), stage.rng());
    let producer = stage.producer("p", config).await;
    stage.start(send(producer, Sending::USUAL, rng, stage.peace()));
    let onlooker = stage.client("onlooker").await;
    stage.look_on(watch_commits(onlooker, stage.world.recorder.clone()));
    stage.join("m0", GROUP, &[TOPIC]).await;
    for number in 1..=6 {
        stage.trouble(TROUBLE, Weather { times: 2, pause_most: Duration::from_millis(500) }).await;
        let members = stage.members();
        if members < 3 && stage.world.rng.chance(60) {
            stage.join(&format!("m{number}"), GROUP, &[TOPIC]).await;
        } else if members > 1 && stage.world.rng.chance(50) {
            // The group finds out when its session ends.
            stage.kill_a_member();
        }
    }
    stage.end().await
}

/// Looks again and again at what the group has committed, until it is stopped.
async fn watch_commits(client: Client, recorder: Recorder) {
    loop {
        sleep(Duration::from_millis(50)).await;
        let asked = recorder.now().0;
        let Ok(committed) = client.admin().committed_offsets(GROUP).await else { continue };
        for (partition, it) in committed {
            let (group, partition) = (GROUP.to_owned(), Partition::from(&partition));
            recorder.note(What::Committed { group, partition, offset: it.offset, asked });
        }
    }
}
