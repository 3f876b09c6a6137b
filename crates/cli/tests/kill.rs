//! SIGKILL of `vltava run` and of `vltava broker` at moments that a seed chooses, and what is left afterwards.
//!
//! Lanes: `.ci/run kill`; `VLTAVA_KILLS` says how many, ten if it does not. They need `VLTAVA_FLIGHTS`.

mod process;
mod table;

use std::{collections::BTreeMap, fs, path::Path};

use process::{Broker, Process, vltava, vltava_reading};
use table::{Delivered, Flight};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use vltava::{Client, Offset, ProducerRecord, TopicPartition};
use vltava_core::Rng;

/// What the file sink writes.
const OUTPUT: &str = "flights.jsonl";

/// The session is short: the group gives up a member that was killed before the next may begin.
const FLOW: &str = r#"
kafka:
  properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }
flows:
  flights:
    from: flights
    decode: json
    workers: 10
    order: key
    commit: { min_count: 500, interval: 1s }
    to:
      - file: { path: flights.jsonl }
      - stdout: {}
"#;

/// Where every partition's commit stood when an attempt began.
type Committed = BTreeMap<i64, i64>;

#[test]
#[ignore = "a lane: .ci/run kill"]
fn a_killed_flow_loses_nothing_and_repeats_only_what_was_not_committed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let flights = table::flights();
    let broker = Broker::start(folder);
    let address = &broker.address;
    vltava(folder, &["topic", "create", "flights", "--partitions", "6", "-b", address]).ok();
    let produce = ["produce", "flights", "-f", "%k\\t%v\\n", "-b", address];
    vltava_reading(folder, &produce, &table::lines(&flights)).ok();
    fs::write(folder.join("flow.yaml"), FLOW).expect("the folder takes a file");

    let rng = &mut Rng::new(seed());
    let mut attempts = vec![(0, Committed::new())];
    for kill in 1..=kills() {
        let run = Process::start(folder, &["run", "flow.yaml", "-b", address]);
        kill_after(run, 1 + rng.below(2 * flights.len() as u64 / (3 * kills())));
        let (lines, committed) = (whole_lines(folder), committed(folder, address));
        println!("kill {kill}: {lines} lines, committed {committed:?}");
        attempts.push((lines, committed));
    }
    vltava(folder, &["run", "flow.yaml", "--until-caught-up", "-b", address]).ok();

    let text = fs::read_to_string(folder.join(OUTPUT)).expect("the file sink wrote its file");
    judge(&flights, &table::delivered(&text), &attempts);
}

/// What the broker acknowledged, by partition and offset.
type Acknowledged = BTreeMap<(i32, i64), u64>;

#[test]
#[ignore = "a lane: .ci/run kill"]
fn a_killed_broker_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let mut broker = Broker::start(folder);
    let address = broker.address.clone();
    vltava(folder, &["topic", "create", "numbers", "--partitions", "3", "-b", &address]).ok();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rng = &mut Rng::new(seed());
    runtime.block_on(async {
        let client = Client::connect(&address).await.expect("the broker is there");
        let producing = Producing::begin(&client);
        let committing = Committing::begin(&client).await;
        for number in 1..=kills() {
            committing.acknowledged_more(1 + rng.below(20)).await;
            producing.acknowledged(1_000 + rng.below(20_000)).await;
            kill(broker.process);
            let committed = committing.acknowledged();
            broker = Broker::start_at(folder, &address);
            let kept = client.admin().committed_offsets("readers").await.expect("the broker is back");
            for (partition, offset) in &committed {
                let kept = kept.get(partition).map_or(0, |it| it.offset);
                assert!(
                    *offset <= kept,
                    "kill {number}: {partition} was committed at {offset}, now at {kept}"
                );
            }
            println!("kill {number}: {} records committed before", committed.values().sum::<i64>());
        }
        let acknowledged = producing.end().await;
        committing.end();
        assert_eq!(
            stored(&client, acknowledged.len()).await,
            acknowledged,
            "every record at its offset, once"
        );
        println!("{} kills: {} records acknowledged, all there", kills(), acknowledged.len());
    });
}

/// Every row arrived; an attempt never went back behind what was committed when it began.
fn judge(flights: &[Flight], delivered: &[Delivered], attempts: &[(usize, Committed)]) {
    let mut seen = vec![0u32; flights.len()];
    for (line, it) in delivered.iter().enumerate() {
        let (_, committed) =
            attempts.iter().rev().find(|(first, _)| *first <= line).expect("the first attempt begins at 0");
        let from = committed.get(&it.partition).copied().unwrap_or(0);
        assert!(
            from <= it.offset,
            "line {line}: partition {} was committed up to {from}, yet {} came again",
            it.partition,
            it.offset
        );
        seen[it.row as usize] += 1;
    }
    let missing = seen.iter().filter(|it| **it == 0).count();
    assert_eq!(missing, 0, "rows that never arrived");
    println!(
        "{} kills: {} rows, {} lines, {} repeated",
        attempts.len() - 1,
        flights.len(),
        delivered.len(),
        delivered.len() - flights.len()
    );
}

/// Kills the flow when that many records have come out of it.
fn kill_after(mut run: Process, records: u64) {
    (0..records).for_each(|_| drop(run.line()));
    kill(run);
}

fn kill(process: Process) {
    process.signal("KILL");
    assert_eq!(process.ended().code, None, "it was killed");
}

/// How many lines of the file are whole: a torn one is mended by the next attempt.
fn whole_lines(folder: &Path) -> usize {
    fs::read(folder.join(OUTPUT)).map_or(0, |bytes| bytes.iter().filter(|it| **it == b'\n').count())
}

fn committed(folder: &Path, address: &str) -> Committed {
    let described = vltava(folder, &["group", "describe", "flights", "-o", "json", "-b", address]).ok();
    let group: serde_json::Value = serde_json::from_str(&described).expect("it is json");
    let partitions = group["partitions"].as_array().expect("a group has partitions");
    let committed = |it: &serde_json::Value| Some((it["partition"].as_i64()?, it["committed"].as_i64()?));
    partitions.iter().filter_map(committed).collect()
}

/// A producer of numbers that goes on through all kills, and what it was told about them.
struct Producing {
    stop: watch::Sender<bool>,
    count: watch::Receiver<u64>,
    writer: JoinHandle<()>,
    reader: JoinHandle<Acknowledged>,
}

impl Producing {
    fn begin(client: &Client) -> Self {
        let producer = client.producer();
        let (stop, stopped) = watch::channel(false);
        let (deliveries, mut delivered) = mpsc::channel(10_000);
        let writer = tokio::spawn(async move {
            let mut number = 0;
            while !*stopped.borrow() {
                let record =
                    ProducerRecord::to("numbers").key(format!("{}", number % 97)).value(format!("{number}"));
                let delivery = producer.send(record).await.expect("the producer takes records");
                deliveries.send((number, delivery)).await.expect("somebody waits for deliveries");
                number += 1;
            }
        });
        let (counter, count) = watch::channel(0);
        let reader = tokio::spawn(async move {
            let mut acknowledged = Acknowledged::new();
            while let Some((number, delivery)) = delivered.recv().await {
                let stored = delivery.await.unwrap_or_else(|error| panic!("number {number}: {error:?}"));
                let offset = stored.offset.expect("the broker says where a record lies");
                let earlier = acknowledged.insert((stored.partition, offset), number);
                assert_eq!(earlier, None, "two records at {stored}");
                counter.send_modify(|it| *it += 1);
            }
            acknowledged
        });
        Self { stop, count, writer, reader }
    }

    /// Waits until so many more were acknowledged.
    async fn acknowledged(&self, more: u64) {
        let mut count = self.count.clone();
        let until = *count.borrow() + more;
        count.wait_for(|it| *it >= until).await.expect("acknowledgements go on");
    }

    async fn end(self) -> Acknowledged {
        self.stop.send_replace(true);
        self.writer.await.expect("the writer ends");
        self.reader.await.expect("every record was acknowledged")
    }
}

/// A member of a group that commits after every batch, and the commits that were acknowledged.
struct Committing {
    told: watch::Receiver<Told>,
    task: JoinHandle<()>,
}

/// What the committer was told: how often, and the latest for each partition.
#[derive(Default)]
struct Told {
    commits: u64,
    committed: BTreeMap<TopicPartition, i64>,
}

impl Committing {
    async fn begin(client: &Client) -> Self {
        let subscribed = client.consumer().group("readers").subscribe(["numbers"]).await;
        let mut consumer = subscribed.expect("the group is there");
        let (telling, told) = watch::channel(Told::default());
        let task = tokio::spawn(async move {
            while let Some(batch) = consumer.next().await.expect("the consumer outlives its broker") {
                match consumer.commit(&batch).await {
                    Ok(()) => telling.send_modify(|told| {
                        told.commits += 1;
                        told.committed.insert(batch.topic_partition().clone(), batch.next_offset());
                    }),
                    Err(error) => println!("a commit failed, as it may: {error}"),
                }
            }
        });
        Self { told, task }
    }

    /// Waits until there were so many more commits.
    async fn acknowledged_more(&self, more: u64) {
        let mut told = self.told.clone();
        let until = told.borrow().commits + more;
        told.wait_for(|it| it.commits >= until).await.expect("commits go on");
    }

    fn acknowledged(&self) -> BTreeMap<TopicPartition, i64> {
        self.told.borrow().committed.clone()
    }

    fn end(self) {
        assert!(!self.task.is_finished(), "the consumer went on until the end");
        self.task.abort();
    }
}

/// All records that there are, read from the beginning.
async fn stored(client: &Client, count: usize) -> Acknowledged {
    let everything = (0..3).map(|partition| (TopicPartition::new("numbers", partition), Offset::Earliest));
    let mut consumer = client.consumer().assign(everything).await.expect("the topic is there");
    let mut stored = Acknowledged::new();
    while stored.len() < count {
        let batch = consumer.next().await.expect("the broker answers").expect("an assigned consumer goes on");
        for record in &batch {
            let value = std::str::from_utf8(record.value().expect("a value")).expect("numbers are text");
            stored.insert((batch.partition(), record.offset()), value.parse().expect("a number"));
        }
    }
    let ends = (0..3).map(|partition| (TopicPartition::new("numbers", partition), Offset::Latest));
    let ends = client.admin().offsets(ends).await.expect("the broker answers");
    assert_eq!(ends.values().sum::<i64>(), count as i64, "nothing else is stored");
    stored
}

fn kills() -> u64 {
    std::env::var("VLTAVA_KILLS").map_or(10, |it| it.parse().expect("VLTAVA_KILLS is a number"))
}

/// Another one every time, printed so that a run can be played again.
fn seed() -> u64 {
    let seed = std::env::var("VLTAVA_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |it| it.parse().expect("VLTAVA_SEED is a number"));
    println!("VLTAVA_SEED={seed}");
    seed
}
