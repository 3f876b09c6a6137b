//! Clients against each other, each in a process of its own: in every round each runs once, in random order, and is
//! judged by its CPU time beside that of librdkafka's batch queue in the same round. One of ours runs twice, which
//! shows how far to believe the rest. Whoever does not see every record once is not in the table.

mod clients;
mod endpoint;
pub(crate) mod line;
mod row;
mod table;

use std::{
    collections::BTreeMap,
    error::Error,
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    drive::{Report, Work},
    machine::load,
};
use clients::Client;
use endpoint::Endpoint;
pub(crate) use endpoint::create;
use line::Line;
use row::{Row, Shapes};

/// How far apart the twins may be in a round that counts.
const NOISE_MAX: f64 = 0.15;

/// Rounds that are played again for noise, for every round that is asked for.
const REPEATS_MAX: usize = 2;

/// Nobody takes longer unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who takes part in what, how often, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds that count, for every row.
    #[arg(long, default_value_t = 5)]
    rounds: usize,

    /// Whose clients run beside ours and the floor.
    #[arg(long, value_delimiter = ',', default_values_t = clients::BUILT_IN.map(String::from))]
    peers: Vec<String>,

    /// Only clients whose name begins so; the twins run in any case.
    #[arg(long)]
    only: Option<String>,

    #[command(flatten)]
    shapes: Shapes,

    /// The order of the clients.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Every measurement as a line of JSON, as it is made, in place of the tables.
    #[arg(long)]
    json: bool,

    /// Keeps the measurements in the folder `bench` of the repository, for its page.
    #[arg(long)]
    write: bool,

    /// Fails if ours takes more of librdkafka's CPU time than it may.
    #[arg(long)]
    judge: bool,
}

/// Who takes part in what is measured of latency.
#[derive(Debug, Args)]
pub(crate) struct LatencyOptions {
    /// Rounds, for every row.
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Records a second.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 20_000, 200_000])]
    rates: Vec<u64>,

    /// How long records are sent.
    #[arg(long, default_value_t = 3)]
    seconds: u64,

    /// The order of the clients.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Every measurement as a line of JSON, as it is made, in place of the tables.
    #[arg(long)]
    json: bool,

    /// Keeps the measurements in the folder `bench` of the repository, for its page.
    #[arg(long)]
    write: bool,
}

/// Under which name latencies are kept.
const LATENCY: &str = "latency";
const LATENCY_WORKS: &[Work] = &[Work::Ack, Work::Through];

pub(crate) fn run(work: Work, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut race = Race::new(options.rounds, options.seed, options.json);
    let peers: Vec<&str> = options.peers.iter().map(String::as_str).collect();
    for row in options.shapes.rows(work) {
        let mut clients = clients::of(&row, &peers);
        if let Some(only) = &options.only {
            clients.retain(|it| it.is_twin() || it.name.starts_with(only));
        }
        race.run(&row, clients)?;
    }
    race.end(&[work], options.write.then_some(work.name()))?;
    if options.judge { table::judge(&race.lines) } else { Ok(()) }
}

pub(crate) fn run_latency(options: &LatencyOptions) -> Result<(), Box<dyn Error>> {
    let mut race = Race::new(options.rounds, options.seed, options.json);
    for row in row::latencies(&options.rates, options.seconds) {
        race.run(&row, clients::of(&row, &clients::BUILT_IN))?;
    }
    race.end(LATENCY_WORKS, options.write.then_some(LATENCY))
}

/// What was kept of all races, as chapters of the page.
pub(crate) fn chapters() -> Result<String, Box<dyn Error>> {
    let mut page = String::new();
    for (name, works) in
        [("consume", &[Work::Consume][..]), ("produce", &[Work::Produce]), (LATENCY, LATENCY_WORKS)]
    {
        page += &table::chapter(name, works, &line::kept(name)?);
    }
    Ok(page)
}

/// Where another takes less than ours, or ours more than it should beside the floor, as a list.
pub(crate) fn losses() -> Result<String, Box<dyn Error>> {
    let mut all: Vec<Line> = line::kept("consume")?;
    all.extend(line::kept("produce")?);
    Ok(table::losses(&all))
}

/// What the README says of how fast ours is.
pub(crate) fn summary() -> Result<String, Box<dyn Error>> {
    Ok(table::summary(&line::kept("consume")?, &line::kept("produce")?))
}

/// Rows as they are raced.
struct Race {
    rounds: usize,
    rng: fastrand::Rng,
    json: bool,
    lines: Vec<Line>,
}

impl Race {
    fn new(rounds: usize, seed: u64, json: bool) -> Self {
        Self { rounds, rng: fastrand::Rng::with_seed(seed), json, lines: Vec::new() }
    }

    fn run(&mut self, row: &Row, clients: Vec<&'static Client>) -> Result<(), Box<dyn Error>> {
        let lines = self.play(row, clients)?;
        if !self.json {
            println!("{}", table::markdown(&lines));
        }
        self.lines.extend(lines);
        Ok(())
    }

    /// Says who took part, and keeps what was measured under a name.
    fn end(&self, works: &[Work], keep: Option<&str>) -> Result<(), Box<dyn Error>> {
        if !self.json {
            println!("{}", table::clients(works, &self.lines));
        }
        Ok(keep.map_or(Ok(()), |name| line::keep(name, &self.lines))?)
    }

    /// Plays the rounds of one row. A client that fails is left out from then on, unless it is ours.
    fn play(&mut self, row: &Row, mut clients: Vec<&'static Client>) -> Result<Vec<Line>, Box<dyn Error>> {
        let mut endpoint = Endpoint::start(row)?;
        let (mut lines, mut round, mut repeated) = (Vec::new(), 0, 0);
        while round < self.rounds {
            let found = self.round(row, &mut clients, &mut endpoint)?;
            if row.rate == 0 && noise(&found) > NOISE_MAX && repeated < self.rounds * REPEATS_MAX {
                repeated += 1;
                continue;
            }
            for (name, report) in found {
                let line = Line::new(row, name, &report, round, repeated);
                if self.json {
                    println!("{}", serde_json::to_string(&line)?);
                }
                lines.push(line);
            }
            round += 1;
        }
        Ok(lines)
    }

    fn round(
        &mut self,
        row: &Row,
        clients: &mut Vec<&'static Client>,
        endpoint: &mut Endpoint,
    ) -> Result<BTreeMap<&'static str, Report>, Box<dyn Error>> {
        let mut order = clients.clone();
        self.rng.shuffle(&mut order);
        let mut found = BTreeMap::new();
        for client in order {
            match measure(client, row, endpoint) {
                Ok(report) => _ = found.insert(client.name, report),
                Err(failure) if client.is_ours() => {
                    return Err(format!("{row}: {}: {failure}", client.name).into());
                }
                Err(failure) => {
                    eprintln!("{row}: {} is left out: {failure}", client.name);
                    clients.retain(|it| it.name != client.name);
                }
            }
        }
        Ok(found)
    }
}

/// How far apart the twins are.
fn noise(found: &BTreeMap<&'static str, Report>) -> f64 {
    let [one, other] = clients::TWINS.map(|it| found[it].cpu_nanos_per_record());
    one.max(other) / one.min(other) - 1.0
}

/// Has a client do its work, and checks what it says.
fn measure(client: &Client, row: &Row, endpoint: &mut Endpoint) -> Result<Report, Box<dyn Error>> {
    let told = finished(client.command(row, endpoint)?)?;
    let line = told.lines().last().ok_or("it said nothing")?;
    let report: Report = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
    endpoint.check(row, &report)?;
    Ok(report)
}

/// What a process that ends well within its time has written.
fn finished(mut command: Command) -> Result<String, Box<dyn Error>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || text(&mut out));
    let err = thread::spawn(move || text(&mut err));
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(format!("it was not done within {PATIENCE:?}").into());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    if status.success() { Ok(out) } else { Err(err.trim().into()) }
}

fn text(from: &mut Option<impl Read>) -> String {
    let mut text = Vec::new();
    // What was read before an error is told all the same.
    let _ = from.as_mut().map(|it| it.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}
