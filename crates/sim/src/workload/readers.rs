//! Readers who pause, go elsewhere, are slow and have little room, while connections are cut, the broker comes and
//! goes, and records are taken out of the logs from the beginning, by age and by hand. Every record that stays is
//! handed out, in order; whoever loses his place is told.

use std::time::Duration;

use tokio::time::sleep;
use vltava_client::{Client, ConfigChange, Isolation, TopicPartition, config};
use vltava_core::Rng;

use super::{Sending, TOPIC, any_consumer, producers};
use crate::{
    history::{Partition, Recorder, Removal, What},
    play::{Play, run},
    stage::{Keeps, Reading, Stage},
    trouble::{Trouble, Weather},
    world::Setup,
};

const TROUBLE: &[Trouble] = &[
    Trouble::Cut,
    Trouble::Cut,
    Trouble::Trickle,
    Trouble::Part,
    Trouble::Restart,
    Trouble::Kill,
    Trouble::Delay,
];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let mut stage = Stage::new("readers", seed, Setup::new(TOPIC, 3)).await;
    stage.keeps = Keeps::Newest;
    let partitions = stage.world.partitions();
    producers(&mut stage, 2, Sending { bytes_most: 400, ..Sending::USUAL }).await;
    for number in 0..3 {
        let isolation = if number == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        let config = config::Consumer { isolation, ..any_consumer(&mut stage.world.rng) };
        let work_most = Duration::from_millis([0, 20, 200][number]);
        let all = Reading::all(&format!("r{number}"), partitions.clone());
        stage.read(Reading { config, work_most, pauses: true, seeks: number == 2, ..all }).await;
    }
    let (client, rng) = (stage.client("operator").await, stage.rng());
    stage.start(take_away(client, stage.world.recorder.clone(), partitions, rng));
    stage.trouble(TROUBLE, Weather { times: 10, pause_most: Duration::from_millis(600) }).await;
    stage.end().await
}

/// Deletes records by hand, and has the broker delete what is old.
async fn take_away(client: Client, recorder: Recorder, partitions: Vec<TopicPartition>, mut rng: Rng) {
    for _ in 0..6 {
        sleep(Duration::from_millis(rng.below(800))).await;
        let at = partitions[rng.below(partitions.len() as u64) as usize].clone();
        let Ok(marks) = client.watermarks([at.clone()], Isolation::ReadUncommitted).await else { continue };
        let end = marks.values().next().map_or(0, |it| it.end);
        if rng.chance(70) {
            let before = rng.below(end as u64 / 2 + 1) as i64;
            let (partition, to) = (Partition::from(&at), Some(before));
            recorder.note(What::Removed { partition, from: 0, to, why: Removal::DeleteRecords });
            // It may have happened, whatever is said of it.
            drop(client.admin().delete_records(&at, to).await);
        }
    }
    let limits = [("retention.bytes", "9000"), ("segment.bytes", "3000")];
    let limits = limits.map(|(name, value)| (name.to_owned(), ConfigChange::Set(value.to_owned())));
    drop(client.admin().alter_topic_configs(TOPIC, limits).await);
}
