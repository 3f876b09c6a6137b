//! Loss of power under `vltava broker`: its data folder is on a file system of its own in an image file; while it is
//! stopped the image is copied, which has what the kernel had written by then, and a new broker recovers the copy.
//!
//! Lane: `.ci/run power`, as root, where there are loop devices; elsewhere it says so and shows nothing.
//! `VLTAVA_POWER_CUTS` says how often, five times if it does not.

mod load;
mod process;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use load::{Acknowledged, Load, Number, Place, Topic};
use process::{Broker, Process};
use tokio::time::Instant;
use vltava::Client;
use vltava_core::Rng;

const TOPICS: &[Topic] = &[
    Topic { name: "numbers", partitions: 3, configs: &[("segment.bytes", "100000")], value_bytes: 20 },
    Topic { name: "large", partitions: 1, configs: &[], value_bytes: 1_000 },
];

/// Much more than is written between two cuts and kept.
const IMAGE_BYTES: &str = "512M";

/// How a broker is cut: in one sync mode, in several lives, each with an image of its own.
struct Plan {
    sync: &'static str,
    cuts: u64,
    /// Few enough that a recovery has not too much to read.
    cuts_per_life: u64,
    /// So many records are acknowledged before a cut, at most.
    records_max: u64,
}

/// Which broker it was: a slower one has less to lose.
const BUILD: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// The file system in an image file. It is unmounted when this is dropped.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// A new file system in a new image.
    fn new(image: &Path, at: PathBuf) -> Result<Self, String> {
        done("truncate", &["-s", IMAGE_BYTES, text(image)])?;
        // Complete at once: nothing else than the broker's files is written later.
        let complete = "lazy_itable_init=0,lazy_journal_init=0";
        done("mkfs.ext4", &["-q", "-F", "-E", complete, text(image)])?;
        Self::mount(image, at)
    }

    /// What is in an image; its journal is replayed, as after a loss of power.
    fn mount(image: &Path, at: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        done("mount", &["-o", "loop", text(image), text(&at)])?;
        Ok(Self { at })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A loop device that was made by mount goes with it. Later is good enough where somebody is still there.
        if let Err(why) =
            done("umount", &[text(&self.at)]).or_else(|_| done("umount", &["-l", text(&self.at)]))
        {
            println!("{} stays mounted: {why}", self.at.display());
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

fn done(command: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(command).args(args).output().map_err(|error| format!("{command}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command} {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Copies an image that the kernel may still write to: until nothing was written meanwhile.
fn copy(image: &Path, to: &Path) {
    loop {
        done("cp", &["--sparse=always", text(image), text(to)]).expect("there is room for a copy");
        if done("cmp", &["-s", text(image), text(to)]).is_ok() {
            return;
        }
        println!("the kernel wrote meanwhile; once more");
    }
}

/// What a loss of power took back.
#[derive(Debug, Default, Clone, Copy)]
struct Lost {
    records: usize,
    /// From when the first of them was acknowledged.
    time: Duration,
    /// From when the first of all was acknowledged.
    load: Duration,
}

impl Plan {
    /// Tells what each cut took, and how many records were acknowledged in all.
    fn carry_out(&self) -> (Vec<Lost>, usize) {
        let rng = &mut Rng::new(process::seed());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (mut all, mut acknowledged) = (Vec::new(), 0);
        while (all.len() as u64) < self.cuts {
            let cuts = self.cuts_per_life.min(self.cuts - all.len() as u64);
            let (lost, count) = runtime.block_on(self.live(cuts, rng));
            all.extend(lost);
            acknowledged += count;
        }
        (all, acknowledged)
    }

    /// The life of one broker, which goes on after its disk was copied.
    async fn live(&self, cuts: u64, rng: &mut Rng) -> (Vec<Lost>, usize) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (image, image_copy) = (folder.path().join("image"), folder.path().join("copy"));
        let original =
            Mounted::new(&image, folder.path().join("original")).expect("it was tried, and worked");
        let args = ["--sync", self.sync];
        let broker = Broker::start_with(&original.at, "127.0.0.1:0", &args);
        let client = Client::connect(&broker.address).await.expect("the broker is there");
        load::create(&client, TOPICS).await;
        // This is not about whether there are topics, of which only one mode is sure.
        if self.sync != "always" {
            done("sync", &["-f", text(&original.at)]).expect("a file system can be synced");
        }
        let load = Load::begin(&client, TOPICS);
        let (mut all, mut count) = (Vec::new(), 0);
        for number in 1..=cuts {
            load.acknowledged_more(200 + rng.below(self.records_max - 200)).await;
            broker.process.signal("STOP");
            wait_until_stopped(&broker.process);
            let stopped = Instant::now();
            copy(&image, &image_copy);
            // What was under way to the producers when the broker was stopped is counted, too.
            let acknowledged = load.acknowledged();
            let recovered = recovered(&image_copy, folder.path().join("recovered"), &args).await;
            broker.process.signal("CONT");
            let because = format!("{}, cut {number}", self.sync);
            let lost = lost(&acknowledged, &recovered, stopped, &because);
            count = acknowledged.records.len();
            println!("{because}: {count} acknowledged, {} found, {lost:?}", recovered.len());
            all.push(lost);
        }
        load.abort();
        (all, count)
    }
}

/// After the signal threads go on for a moment, on other cores.
fn wait_until_stopped(process: &Process) {
    let threads = format!("/proc/{}/task", process.id());
    let is_stopped =
        |thread: &Path| std::fs::read_to_string(thread.join("stat")).is_ok_and(|stat| stat.contains(") T "));
    while !std::fs::read_dir(&threads).expect("it is there").flatten().all(|it| is_stopped(&it.path())) {
        std::thread::yield_now();
    }
}

/// What a new broker finds in the copy of an image.
async fn recovered(image: &Path, at: PathBuf, args: &[&str]) -> BTreeMap<Place, Number> {
    let copy = Mounted::mount(image, at).expect("it was mounted before");
    let broker = Broker::start_with(&copy.at, "127.0.0.1:0", args);
    let client = Client::connect(&broker.address).await.expect("the broker is there");
    load::stored(&client, TOPICS).await
}

/// What was acknowledged and is not there. That is the end of each partition, never something in between.
fn lost(
    acknowledged: &Acknowledged,
    found: &BTreeMap<Place, Number>,
    stopped: Instant,
    because: &str,
) -> Lost {
    load::check_order(found);
    let mut ends = BTreeMap::new();
    for (topic, partition, offset) in found.keys() {
        let end = ends.entry((*topic, *partition)).or_insert(0);
        assert_eq!(end, offset, "{because}: {topic} {partition} has a hole");
        *end += 1;
    }
    let since = |place| stopped.saturating_duration_since(acknowledged.when[place]);
    let mut lost = Lost::default();
    for (place, it) in &acknowledged.records {
        lost.load = lost.load.max(since(place));
        match found.get(place) {
            Some(found) => assert_eq!(found, it, "{because}: at {place:?}"),
            None => {
                lost.records += 1;
                lost.time = lost.time.max(since(place));
            }
        }
    }
    lost
}

fn can_mount() -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    match Mounted::new(&folder.path().join("image"), folder.path().join("mounted")) {
        Ok(_) => true,
        Err(why) => {
            println!("SKIPPED: NO POWER WAS CUT, as no image can be mounted here: {why}");
            false
        }
    }
}

#[test]
#[ignore = "a lane: .ci/run power"]
fn a_loss_of_power_takes_back_nothing_that_was_synced() {
    if !can_mount() {
        return;
    }
    let plan = Plan { sync: "always", cuts: cuts(), cuts_per_life: 10, records_max: 6_000 };
    let (all, acknowledged) = plan.carry_out();
    let lost: usize = all.iter().map(|it| it.records).sum();
    println!(
        r#"figures: always {{"build": "{BUILD}", "power cuts": {}, "records acknowledged": {acknowledged}, "records lost": {lost}}}"#,
        all.len()
    );
    assert_eq!(lost, 0, "{all:?}");
}

#[test]
#[ignore = "a lane: .ci/run power"]
fn what_a_loss_of_power_takes_back_in_the_loose_modes_is_measured() {
    if !can_mount() {
        return;
    }
    let cuts = (cuts() / 5).max(1);
    let (mut rows, mut found_lost) = (Vec::new(), 0);
    for sync in ["10ms", "100ms", "1s", "os"] {
        // One cut in a life: the kernel goes on writing while the broker is stopped.
        let (all, _) = Plan { sync, cuts, cuts_per_life: 1, records_max: 40_000 }.carry_out();
        let records = all.iter().map(|it| it.records).max().unwrap_or_default();
        let most = |time: fn(&Lost) -> Duration| all.iter().map(time).max().unwrap_or_default().as_millis();
        let (time, load) = (most(|it| it.time), most(|it| it.load));
        rows.push(format!(
            r#"{{"sync": "{sync}", "cuts": {cuts}, "records lost at most": {records}, "milliseconds lost at most": {time}, "milliseconds of load at most": {load}}}"#
        ));
        found_lost += records;
    }
    println!(
        r#"figures: loose {{"build": "{BUILD}", "what was acknowledged and lost": [{}]}}"#,
        rows.join(", ")
    );
    assert!(found_lost > 0, "the copies lack what was not synced, or no cut shows anything");
}

fn cuts() -> u64 {
    std::env::var("VLTAVA_POWER_CUTS").map_or(5, |it| it.parse().expect("VLTAVA_POWER_CUTS is a number"))
}
