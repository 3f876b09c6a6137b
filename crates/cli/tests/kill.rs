//! SIGKILL of `vltava run` and of `vltava broker` at moments that a seed chooses, and what is left afterwards.
//!
//! Lanes: `.ci/run kill`; `VLTAVA_KILLS` says how many, ten if it does not. The flow needs `VLTAVA_FLIGHTS`.

mod load;
mod process;
mod table;

use std::{collections::BTreeMap, fs, path::Path};

use load::{Load, Number, Place, Topic};
use process::{Broker, Process, seed, vltava, vltava_reading};
use table::{Delivered, Flight};
use tokio::{sync::watch, task::JoinHandle};
use vltava::{Client, Offset, TopicPartition};
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

/// What is written while the broker is killed: a topic of many small segments, one that is compacted, and one that
/// takes the journal to its checkpoints and is trimmed meanwhile.
const TOPICS: &[Topic] = &[
    Topic { name: "numbers", partitions: 3, configs: &[("segment.bytes", "100000")], value_bytes: 20 },
    Topic {
        name: "latest",
        partitions: 2,
        configs: &[
            ("cleanup.policy", "compact"),
            ("segment.bytes", "200000"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ],
        value_bytes: 200,
    },
    Topic { name: "bulk", partitions: 2, configs: &[("segment.bytes", "4000000")], value_bytes: 12_000 },
];
const COMPACTED: usize = 1;
const BULK: usize = 2;

/// In so many kills, one waits until a compaction took effect: the broker looks for one every 15 seconds.
const KILLS_PER_COMPACTION: u64 = 20;

#[test]
#[ignore = "a lane: .ci/run kill"]
fn a_killed_broker_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let mut broker = Broker::start(folder);
    let address = broker.address.clone();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rng = &mut Rng::new(seed());
    let (mut checkpoints, mut compactions) = (0, 0);
    let mut trimmed = BTreeMap::new();
    runtime.block_on(async {
        let client = Client::connect(&address).await.expect("the broker is there");
        load::create(&client, TOPICS).await;
        let load = Load::begin(&client, TOPICS);
        let committing = Committing::begin(&client).await;
        for number in 1..=kills() {
            let before = Footprint::of(folder);
            committing.acknowledged_more(1 + rng.below(20)).await;
            load.acknowledged_more(500 + rng.below(8_000)).await;
            if number % KILLS_PER_COMPACTION == KILLS_PER_COMPACTION / 2 {
                while Footprint::of(folder).compacted == before.compacted {
                    load.acknowledged_more(500).await;
                }
            }
            let after = Footprint::of(folder);
            checkpoints += u64::from(after.image != before.image);
            compactions += u64::from(after.compacted != before.compacted);
            kill(broker.process);
            let (committed, ends) = (committing.acknowledged(), load.ends());
            broker = Broker::start_at(folder, &address);
            check_committed(&client, number, &committed).await;
            check_bounds(&client, number, &ends, &trimmed).await;
            println!("kill {number}: {} records acknowledged before", ends.values().sum::<i64>());
            for partition in 0..TOPICS[BULK].partitions {
                let at = TopicPartition::new(TOPICS[BULK].name, partition);
                let until = ends.get(&at).map_or(0, |end| end * 9 / 10);
                let start = client.admin().delete_records(&at, Some(until)).await.expect("it may be trimmed");
                trimmed.insert(at, start);
            }
        }
        let acknowledged = load.end().await.records;
        let seen = committing.end();
        let stored = load::stored(&client, TOPICS).await;
        judge_stored(&acknowledged, &stored, &seen, &trimmed);
        assert!(kills() < KILLS_PER_COMPACTION || compactions > 0, "a broker was killed after a compaction");
        println!(
            r#"figures: broker {{"kills": {}, "records acknowledged": {}, "lives with a checkpoint": {checkpoints}, "lives with a compaction": {compactions}}}"#,
            kills(),
            acknowledged.len(),
        );
    });
}

/// What a broker has done to its folder, as far as names tell.
#[derive(PartialEq, Eq)]
struct Footprint {
    image: Option<std::time::SystemTime>,
    compacted: Vec<std::ffi::OsString>,
}

impl Footprint {
    fn of(folder: &Path) -> Self {
        let data = folder.join("data");
        let image = fs::metadata(data.join("image")).and_then(|it| it.modified()).ok();
        let names = fs::read_dir(&data).expect("the data is there").flatten().map(|it| it.file_name());
        let is_compacted = |name: &std::ffi::OsString| {
            name.to_str().is_some_and(|it| it.ends_with(".log") && it.contains(".c"))
        };
        let mut compacted: Vec<_> = names.filter(is_compacted).collect();
        compacted.sort();
        Self { image, compacted }
    }
}

async fn check_committed(client: &Client, kill: u64, committed: &BTreeMap<TopicPartition, i64>) {
    let kept = client.admin().committed_offsets("readers").await.expect("the broker is back");
    for (partition, offset) in committed {
        let kept = kept.get(partition).map_or(0, |it| it.offset);
        assert!(*offset <= kept, "kill {kill}: {partition} was committed at {offset}, now at {kept}");
    }
}

/// Every partition goes at least as far as was acknowledged, and begins where it was told to.
async fn check_bounds(
    client: &Client,
    kill: u64,
    ends: &BTreeMap<TopicPartition, i64>,
    trimmed: &BTreeMap<TopicPartition, i64>,
) {
    let wanted = ends.keys().map(|it| (it.clone(), Offset::Latest));
    let kept = client.admin().offsets(wanted).await.expect("the broker is back");
    for (partition, end) in ends {
        assert!(
            kept[partition] >= *end,
            "kill {kill}: {partition} went to {end}, now to {}",
            kept[partition]
        );
    }
    let wanted = trimmed.keys().map(|it| (it.clone(), Offset::Earliest));
    let kept = client.admin().offsets(wanted).await.expect("the broker is back");
    assert_eq!(kept, *trimmed, "kill {kill}: where partitions begin");
}

/// What is stored is what was acknowledged, all of it, at its offset; save what was asked to go.
fn judge_stored(
    acknowledged: &BTreeMap<Place, Number>,
    stored: &BTreeMap<Place, Number>,
    seen: &BTreeMap<Place, Number>,
    trimmed: &BTreeMap<TopicPartition, i64>,
) {
    load::check_order(stored);
    for (place, it) in stored.iter().chain(seen) {
        assert_eq!(acknowledged.get(place), Some(it), "what is stored or was seen at {place:?}");
    }
    for (place, it) in acknowledged.iter().filter(|(place, _)| place.0 != COMPACTED) {
        let start = trimmed.get(&TopicPartition::new(TOPICS[place.0].name, place.1)).copied().unwrap_or(0);
        assert_eq!(stored.get(place), (place.2 >= start).then_some(it), "what was acknowledged at {place:?}");
    }
    for (place, it) in load::last_of_keys(acknowledged, COMPACTED).values() {
        assert_eq!(stored.get(place), Some(it), "the last of its key at {place:?}");
    }
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
        r#"figures: flow {{"kills": {}, "records": {}, "records lost": {missing}, "records repeated": {}}}"#,
        attempts.len() - 1,
        flights.len(),
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

/// A member of a group that commits after every batch, the commits that were acknowledged, and what it saw.
struct Committing {
    told: watch::Receiver<Told>,
    task: JoinHandle<()>,
}

/// What the committer was told: how often, and the latest for each partition.
#[derive(Default)]
struct Told {
    commits: u64,
    committed: BTreeMap<TopicPartition, i64>,
    seen: BTreeMap<Place, Number>,
}

impl Committing {
    async fn begin(client: &Client) -> Self {
        let subscribed = client.consumer().group("readers").subscribe(["numbers"]).await;
        let mut consumer = subscribed.expect("the group is there");
        let (telling, told) = watch::channel(Told::default());
        let task = tokio::spawn(async move {
            while let Some(batch) = consumer.next().await.expect("the consumer outlives its broker") {
                let seen = batch.iter().map(|it| {
                    let number = load::number_of(it.value().expect("a value"));
                    ((0, batch.partition(), it.offset()), number)
                });
                telling.send_modify(|told| told.seen.extend(seen));
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

    /// Ends, and says what was seen.
    fn end(self) -> BTreeMap<Place, Number> {
        assert!(!self.task.is_finished(), "the consumer went on until the end");
        self.task.abort();
        self.told.borrow().seen.clone()
    }
}

fn kills() -> u64 {
    std::env::var("VLTAVA_KILLS").map_or(10, |it| it.parse().expect("VLTAVA_KILLS is a number"))
}
