//! A trial: producers and a reader on the mock, rounds of trouble, peace, and the verdict.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tokio::time::timeout;
use vltava_client::{Client, Compression, Offset, SystemClock, TopicPartition, config};
use vltava_core::Rng;
use vltava_interop::{Ends, drain, ends, note_log, partitions};
use vltava_sim::{
    check::assert_holds,
    history::{Draft, Fate, History, Producer, Reader, Recorder, What},
};

pub(crate) type Mock = MockCluster<'static, DefaultProducerContext>;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const BROKERS: i32 = 3;

/// Each time trouble is made, a little is sent before and after.
const ROUNDS: u32 = 25;
const ROUND: Duration = Duration::from_millis(150);
const BURST: u64 = 30;

/// How late a deadline may be noticed.
const SLACK: Duration = Duration::from_secs(10);

/// Everything comes to rest within this once there is no trouble any more, on however busy a machine.
const CALM: Duration = Duration::from_secs(60);

/// What may be refused.
const APIS: &[RDKafkaApiKey] = {
    use RDKafkaApiKey::*;
    &[Produce, Fetch, ListOffsets, Metadata, InitProducerId, OffsetForLeaderEpoch]
};

/// How often a record is there that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Once {
    Exactly,
    AtLeast,
}

/// Plays it: `trouble` is told the mock, the round, and chance.
pub(crate) async fn play(name: &str, once: Once, trouble: impl Fn(&Mock, u32, &mut Rng)) {
    let seed = 1;
    let mut rng = Rng::new(seed);
    let mock = Mock::new(BROKERS).expect("librdkafka starts a mock");
    mock.create_topic(TOPIC, PARTITIONS, BROKERS).expect("the topic is new");
    let recorder = Recorder::begin(Arc::new(SystemClock::new()), name, seed, SLACK);
    let client = Client::builder().brokers(mock.bootstrap_servers()).seed(seed).connect().await;
    let client = client.expect("the mock answers");
    let mut producers = producers(&recorder, &client, once);
    let mut reader = reader(&recorder, &client).await;

    for round in 0..ROUNDS {
        send(&mut producers, &mut rng).await;
        trouble(&mock, round, &mut rng);
        send(&mut producers, &mut rng).await;
        // Whatever comes in this round.
        let _ = timeout(ROUND, drain(&mut reader, &no_end())).await;
    }
    make_peace(&mock);
    recorder.note(What::Calm { within: CALM.as_micros() as u64 });
    send(&mut producers, &mut rng).await;
    for producer in &producers {
        timeout(CALM, producer.flush()).await.expect("everything has an outcome");
    }
    let ends = ends(&client, orders()).await.expect("the mock answers");
    // Whether that was all is judged with the rest.
    let _ = timeout(CALM, drain(&mut reader, &ends)).await;
    recorder.note(What::Drained { audience: "reader".into() });
    let log = timeout(CALM, note_log(&recorder, &client, &ends)).await.expect("the log is read in time");
    log.expect("the log is read to its end");
    let history = recorder.history();
    assert_all_is_delivered(&history);
    assert_holds(&history);
}

fn orders() -> impl Iterator<Item = TopicPartition> + Clone {
    partitions(TOPIC, PARTITIONS)
}

/// One of many small batches, one of few and larger ones.
fn producers(recorder: &Recorder, client: &Client, once: Once) -> [Producer; 2] {
    let small = config::Producer {
        delivery_timeout: CALM,
        idempotent: once == Once::Exactly,
        in_flight_max: 1,
        linger: Duration::ZERO,
        batch_bytes: 1,
        ..config::Producer::default()
    };
    let large = config::Producer {
        compression: Compression::Lz4.into(),
        batch_bytes: config::Producer::default().batch_bytes,
        ..small.clone()
    };
    [("small", small), ("large", large)]
        .map(|(name, config)| Producer::new(recorder, name, client, config).expect("it is set up well"))
}

async fn reader(recorder: &Recorder, client: &Client) -> Reader {
    let from = orders().map(|it| (it, Offset::Earliest));
    let config = config::Consumer { max_wait: Duration::from_millis(50), ..config::Consumer::default() };
    Reader::assign(recorder, "reader", client, config, from).await.expect("partitions can be named")
}

async fn send(producers: &mut [Producer], rng: &mut Rng) {
    for producer in producers {
        for _ in 0..rng.below(BURST) {
            let draft = Draft::to(TOPIC).key(format!("key {}", rng.below(20)));
            // What becomes of it is in the history.
            let _ = producer.send(draft).await;
        }
    }
}

/// Who leads a partition in peace.
pub(crate) fn leader_of(partition: i32) -> i32 {
    1 + partition % BROKERS
}

/// Nobody gets there.
fn no_end() -> Ends {
    orders().map(|it| (it, i64::MAX)).collect()
}

fn make_peace(mock: &Mock) {
    APIS.iter().for_each(|api| mock.clear_request_errors(*api));
    mock.topic_error(TOPIC, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).expect("a topic has no error");
    mock.broker_up(-1).expect("brokers come back");
    mock.broker_round_trip_time(-1, Duration::ZERO).expect("brokers may be fast");
    for partition in 0..PARTITIONS {
        mock.partition_leader(TOPIC, partition, Some(leader_of(partition)))
            .expect("a partition has a leader");
    }
}

/// Nothing that was done to it was for good.
fn assert_all_is_delivered(history: &History) {
    for it in history.sends() {
        assert!(
            matches!(it.fate, Fate::Acknowledged(..)),
            "{it:?}: {:?}",
            it.ended.map(|at| &history.events[at])
        );
    }
}
