//! Topics that are deleted, made anew, compacted and configured while records are sent to them and read. What becomes
//! of one topic is nothing to the others.

use std::time::Duration;

use tokio::time::sleep;
use vltava_client::{Client, ConfigChange, ErrorCode, Isolation, NewTopic, TopicPartition};
use vltava_core::Rng;

use super::{AFTERWARDS, Sending, any_consumer, any_producer};
use crate::{
    history::{Draft, Partition, Producer, Recorder, Removal, What},
    play::{Play, run},
    stage::{Keeps, Peace, Reading, Stage},
    trouble::{Trouble, Weather},
    world::Setup,
};

/// A topic that is deleted and made anew.
const PASSING: &str = "passing";

/// A topic that is there all the time.
const STEADY: &str = "steady";

/// A topic that keeps the latest record of each key.
const LATEST: &str = "latest";

/// Records that may come to a topic while it is being deleted.
const IN_FLIGHT: i64 = 100;

const TROUBLE: &[Trouble] =
    &[Trouble::Cut, Trouble::Cut, Trouble::Restart, Trouble::Kill, Trouble::PowerLoss];

pub(super) fn play(seed: u64) -> Play {
    run(seed, story(seed))
}

async fn story(seed: u64) -> Play {
    let topics = [(PASSING, 2), (STEADY, 2), (LATEST, 1)].map(|(topic, count)| (topic.to_owned(), count));
    let setup = Setup { topics: topics.into(), ..Setup::new(STEADY, 2) };
    let mut stage = Stage::new("topics", seed, setup).await;
    stage.keeps = Keeps::LatestOf(LATEST, key_of);
    let partitions = stage.world.partitions();
    let (operator, rng) = (stage.client("operator").await, stage.rng());
    configure(&operator).await;
    for number in 0..2 {
        let (config, rng) = (any_producer(&mut stage.world.rng), stage.rng());
        let producer = stage.producer(&format!("p{number}"), config).await;
        stage.start(send_to_all(producer, rng, stage.peace()));
    }
    let config = any_consumer(&mut stage.world.rng);
    stage.read(Reading { config, recovers: true, ..Reading::all("r0", partitions.clone()) }).await;
    let steady = partitions.into_iter().filter(|it| &*it.topic == STEADY);
    stage.read(Reading::all("r1", steady)).await;
    stage.start(replace(operator, stage.world.recorder.clone(), rng));
    stage.trouble(TROUBLE, Weather { times: 8, pause_most: Duration::from_millis(600) }).await;
    stage.end().await
}

async fn configure(operator: &Client) {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1200"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("min.compaction.lag.ms", "0"),
    ];
    let changes = configs.map(|(name, value)| (name.to_owned(), ConfigChange::Set(value.to_owned())));
    operator.admin().alter_topic_configs(LATEST, changes).await.expect("there is no trouble yet");
}

/// The key of a record that goes to the compacted topic.
fn key_of(value: &str) -> String {
    let number =
        value.rsplit_once(':').and_then(|(_, number)| number.parse::<u64>().ok()).unwrap_or_default();
    format!("key {}", number % 5)
}

/// Sends to all topics as long as there is trouble, and then to the one that certainly is there.
async fn send_to_all(mut producer: Producer, mut rng: Rng, peace: Peace) {
    for number in 0.. {
        sleep(Duration::from_micros(rng.below(80_000))).await;
        if peace.has_come() {
            break;
        }
        let topic = [PASSING, STEADY, LATEST][rng.below(3) as usize];
        let draft = Draft::to(topic).bytes(rng.below(Sending::USUAL.bytes_most) as usize);
        let draft = if topic == LATEST { draft.key(key_of(&format!(":{number}"))) } else { draft };
        drop(producer.send(draft).await);
    }
    for _ in 0..AFTERWARDS {
        drop(producer.send(Draft::to(STEADY)).await);
    }
    producer.flush().await;
}

/// Deletes the topic and makes it anew, a few times. In the end it is there.
async fn replace(operator: Client, recorder: Recorder, mut rng: Rng) {
    for _ in 0..3 {
        sleep(Duration::from_millis(rng.below(1_500))).await;
        let both = [0, 1].map(|it| TopicPartition::new(PASSING, it));
        let Ok(marks) = operator.watermarks(both, Isolation::ReadUncommitted).await else { continue };
        let gone = || {
            for (partition, it) in &marks {
                let (partition, to) = (Partition::from(partition), Some(it.end + IN_FLIGHT));
                recorder.note(What::Removed { partition, from: 0, to, why: Removal::Recreated });
            }
        };
        gone();
        drop(operator.admin().delete_topic(PASSING).await);
        // Some came until just now.
        gone();
        sleep(Duration::from_millis(rng.below(300))).await;
        make(&operator).await;
    }
}

/// Makes the topic, as often as it takes.
async fn make(operator: &Client) {
    loop {
        match operator.admin().create_topic(NewTopic::new(PASSING).partitions(2)).await {
            Ok(()) => return,
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => return,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}
