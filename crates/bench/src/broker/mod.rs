//! What our broker takes and gives: records in and out, CPU time for a gigabyte, memory, how soon it answers, and what
//! many partitions and connections cost it. Beside it a cluster that `VLTAVA_KAFKA` names does what can be asked of it.

mod process;

use std::{
    env,
    error::Error,
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use clap::Args;
use serde::{Deserialize, Serialize};
use vltava_wire::{frame, messages::ApiVersionsRequest};

use crate::{
    drive::{Report, Work},
    race,
    serve::{self, Served},
};
use process::Watched;

const VALUE_BYTES: usize = 200;
const PARTITIONS: usize = 12;
const TOPIC: &str = "bench";
const MIB: usize = 1 << 20;

/// Under which name all this is kept.
const NAME: &str = "broker";

/// How much of it is measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Values that pass, both ways.
    #[arg(long, default_value_t = 1.0)]
    gigabytes: f64,

    /// Partitions of a large topic.
    #[arg(long, default_value_t = 10_000)]
    partitions: usize,

    /// Connections at one time.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,

    /// Every figure as a line of JSON, in place of the table.
    #[arg(long)]
    json: bool,

    /// Keeps the figures in the folder `bench` of the repository, for its page.
    #[arg(long)]
    write: bool,
}

/// Something that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Figure {
    table: String,
    what: String,
    value: f64,
    unit: String,
}

/// All that was measured.
#[derive(Debug, Default)]
struct Figures {
    all: Vec<Figure>,
    json: bool,
}

impl Figures {
    fn add(&mut self, what: impl Into<String>, value: f64, unit: &str) {
        let (table, unit, value) = (NAME.to_owned(), unit.to_owned(), (value * 1_000.0).round() / 1_000.0);
        let figure = Figure { table, what: what.into(), value, unit };
        if self.json {
            println!("{}", serde_json::to_string(&figure).expect("numbers and text are JSON"));
        }
        self.all.push(figure);
    }
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut figures = Figures { json: options.json, ..Default::default() };
    start(&mut figures)?;
    for os in [true, false] {
        passing(options, os, &mut figures)?;
    }
    disk(&mut figures)?;
    many_partitions(options, &mut figures)?;
    many_connections(options, &mut figures)?;
    if let Ok(bootstrap) = env::var("VLTAVA_KAFKA") {
        kafka(options, &bootstrap, &mut figures)?;
    }
    if !options.json {
        print!("{}", markdown(&figures.all));
    }
    if options.write { Ok(race::line::keep(NAME, &figures.all)?) } else { Ok(()) }
}

/// What was kept, as a chapter of the page.
pub(crate) fn chapter() -> Result<String, Box<dyn Error>> {
    Ok(format!("## broker\n\n{}", markdown(&race::line::kept(NAME)?)))
}

fn markdown(figures: &[Figure]) -> String {
    if figures.is_empty() {
        return String::from("Not measured yet.\n");
    }
    let rows =
        figures.iter().map(|Figure { what, value, unit, .. }| format!("| {what} | {value} | {unit} |\n"));
    format!("| | | |\n|---|---:|---|\n{}", rows.collect::<String>())
}

/// A broker in an empty folder, which goes when this goes.
fn fresh(os: bool) -> Result<(tempfile::TempDir, Served), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let data = Some(folder.path().join("data"));
    let served = Served::start(&serve::Options { data, os, nodes: 1 })?;
    Ok((folder, served))
}

fn start(figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let mut taken = Vec::new();
    let mut idle = 0.0;
    for _ in 0..5 {
        let began = Instant::now();
        let (_folder, served) = fresh(true)?;
        answered(&mut TcpStream::connect(&served.bootstrap)?)?;
        taken.push(began.elapsed().as_secs_f64() * 1e3);
        idle = Watched(served.process()).resident_mib()?;
    }
    figures.add(
        "from the start of the process to its first answer",
        crate::rounds::median(taken.into_iter()),
        "ms",
    );
    figures.add("memory while nothing happens", idle, "MiB");
    Ok(())
}

/// Asks the first thing that clients ask, and waits for the answer.
fn answered(stream: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    let asked = frame::request(0, 1, Some(TOPIC), &ApiVersionsRequest::default())?;
    stream.write_all(&asked.into_bytes())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    Ok(stream.read_exact(&mut answer)?)
}

/// Gigabytes in, by quarters, and out again.
fn passing(options: &Options, os: bool, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let sync = if os { "sync: os" } else { "sync: always" };
    let (_folder, served) = fresh(os)?;
    let watched = Watched(served.process());
    race::create(&served.bootstrap, TOPIC, PARTITIONS)?;
    let quarter = (options.gigabytes * 1e9 / VALUE_BYTES as f64 / 4.0) as u64;
    let gigabytes = |records: u64| (records * VALUE_BYTES as u64) as f64 / 1e9;
    let (cpu, mut nanos, mut resident) = (watched.cpu()?, 0, Vec::new());
    for _ in 0..4 {
        let report = drive(Work::Produce, &served.bootstrap, TOPIC, quarter)?;
        nanos += report.wall_nanos * report.records / report.window_records.max(1);
        resident.push(watched.resident_mib()?);
    }
    let records = quarter * 4;
    let per_second = |records: u64, nanos: u64| records as f64 / (nanos as f64 / 1e9);
    figures.add(format!("in, {sync}"), per_second(records, nanos).round(), "records of 200 bytes a second");
    let taken = (watched.cpu()? - cpu).as_secs_f64() / gigabytes(records);
    figures.add(format!("in, {sync}: CPU time of the broker"), taken, "s/GB");
    let cpu = watched.cpu()?;
    let report = drive(Work::Consume, &served.bootstrap, TOPIC, records)?;
    let out = per_second(report.window_records, report.wall_nanos);
    figures.add(format!("out, {sync}"), out.round(), "records of 200 bytes a second");
    let taken = (watched.cpu()? - cpu).as_secs_f64() / gigabytes(records);
    figures.add(format!("out, {sync}: CPU time of the broker"), taken, "s/GB");
    figures.add(format!("memory after a quarter of {} GB, {sync}", options.gigabytes), resident[0], "MiB");
    figures.add(format!("memory after all of it, {sync}"), resident[3], "MiB");
    figures.add(format!("memory at most, {sync}"), watched.most_mib()?, "MiB");
    Ok(())
}

/// Has our client do the work.
fn drive(work: Work, bootstrap: &str, topic: &str, records: u64) -> Result<Report, Box<dyn Error>> {
    let variant = if work == Work::Consume { "borrowed" } else { "many" };
    let done = Command::new(env::current_exe()?)
        .args(["drive", "vltava", "--variant", variant, "--work", work.name()])
        .args(["--bootstrap", bootstrap, "--topic", topic])
        .args(["--partitions", &PARTITIONS.to_string(), "--records", &records.to_string()])
        .args(["--value-bytes", &VALUE_BYTES.to_string()])
        .output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).trim().into());
    }
    let report: Report = serde_json::from_slice(&done.stdout)?;
    if report.records != records {
        return Err(format!("{} records are there, not {records}", report.records).into());
    }
    Ok(report)
}

/// What the disk does by itself: appends of one length, each synced, for a second.
fn disk(figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    for bytes in [4 << 10, 64 << 10, MIB] {
        let (synced, rate) = synced(&folder.path().join(bytes.to_string()), bytes)?;
        figures.add(
            format!("the disk: appends of {} KiB, each synced", bytes >> 10),
            synced.round(),
            "a second",
        );
        figures.add(format!("the disk: appends of {} KiB, each synced", bytes >> 10), rate, "MB/s");
    }
    Ok(())
}

fn synced(path: &Path, bytes: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let mut file = File::create(path)?;
    let block = vec![7; bytes];
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok((f64::from(count) / seconds, f64::from(count) * bytes as f64 / 1e6 / seconds))
}

fn many_partitions(options: &Options, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let (_folder, served) = fresh(true)?;
    let watched = Watched(served.process());
    let began = Instant::now();
    race::create(&served.bootstrap, TOPIC, options.partitions)?;
    let what = format!("{} partitions", options.partitions);
    figures.add(format!("{what}: until they are there"), began.elapsed().as_secs_f64() * 1e3, "ms");
    figures.add(format!("{what}: memory"), watched.resident_mib()?, "MiB");
    figures.add(format!("{what}: CPU time while nothing happens"), watched.idle_percent()?, "% of a core");
    Ok(())
}

fn many_connections(options: &Options, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let (_folder, served) = fresh(true)?;
    let watched = Watched(served.process());
    let before = watched.resident_mib()?;
    let began = Instant::now();
    let mut open = Vec::new();
    for _ in 0..options.connections {
        let mut stream = TcpStream::connect(&served.bootstrap)?;
        answered(&mut stream)?;
        open.push(stream);
    }
    let what = format!("{} connections", options.connections);
    figures.add(format!("{what}: until each is answered"), began.elapsed().as_secs_f64() * 1e3, "ms");
    let own = (watched.resident_mib()? - before) * 1024.0 / options.connections as f64;
    figures.add(format!("{what}: memory of each"), own, "KiB");
    figures.add(format!("{what}: CPU time while nothing happens"), watched.idle_percent()?, "% of a core");
    Ok(())
}

/// The same records in and out of another cluster.
fn kafka(options: &Options, bootstrap: &str, figures: &mut Figures) -> Result<(), Box<dyn Error>> {
    let topic = format!("{TOPIC}-{}", std::process::id());
    race::create(bootstrap, &topic, PARTITIONS)?;
    let records = (options.gigabytes * 1e9 / VALUE_BYTES as f64) as u64;
    for (what, work) in [("in", Work::Produce), ("out", Work::Consume)] {
        let report = drive(work, bootstrap, &topic, records)?;
        let rate = report.window_records as f64 / (report.wall_nanos as f64 / 1e9);
        figures.add(
            format!("{what}, the cluster of VLTAVA_KAFKA"),
            rate.round(),
            "records of 200 bytes a second",
        );
    }
    Ok(())
}
