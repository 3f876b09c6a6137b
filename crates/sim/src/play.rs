//! A play from a seed: run in this thread, told by its history and its trace, judged, and played again.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt, fs,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use serde_json::json;
use tokio::time::timeout;

use crate::{
    check,
    history::{Event, Fate, Fault, History, What},
};

/// No play takes longer by its own clock: somebody waits for what will not come.
const PLAY_MAX: Duration = Duration::from_secs(3600);

/// What was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    /// What happened.
    pub history: History,
    /// What the network did.
    pub trace: String,
    /// How often what went wrong.
    pub faults: BTreeMap<&'static str, u64>,
}

/// Something that can be played from any seed.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// What is played.
    pub play: fn(u64) -> Play,
}

/// Plays in this thread, on a clock that moves when everybody waits.
pub fn run<T>(seed: u64, play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO needs nothing of the system");
    runtime.block_on(async {
        timeout(PLAY_MAX, play).await.unwrap_or_else(|_| panic!("seed {seed}: it does not come to an end"))
    })
}

/// What came of a range of seeds.
#[derive(Debug, Default)]
pub struct Tally {
    /// So many were played.
    pub plays: u64,
    /// So many events are in their histories.
    pub events: usize,
    /// So many records were sent, and so many of them acknowledged.
    pub sends: usize,
    /// See [`sends`](Self::sends).
    pub acknowledged: usize,
    /// So many records were handed out.
    pub handed: usize,
    /// So many things went wrong, and so many of them while records were being sent.
    pub troubles: usize,
    /// See [`troubles`](Self::troubles).
    pub in_time: usize,
    /// How often what went wrong with the world.
    pub faults: BTreeMap<&'static str, u64>,
}

/// The seeds to play: those of the variable `VLTAVA_SEEDS`, written as `0..500`, or else the first `usual` ones.
///
/// # Panics
/// If the variable says something else.
pub fn seeds(usual: u64) -> Range<u64> {
    let Ok(said) = env::var("VLTAVA_SEEDS") else { return 0..usual };
    let bounds = said.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    bounds.unwrap_or_else(|| panic!("VLTAVA_SEEDS is {said:?} and not of the form 0..500"))
}

impl Workload {
    /// Plays all of these seeds, and judges every history.
    ///
    /// # Panics
    /// If something is wrong with any, after all were played. What it prints says how to play it again, and where its
    /// history is.
    pub fn check(&self, seeds: Range<u64>) -> Tally {
        let (mut tally, mut wrong) = (Tally::default(), Vec::new());
        for seed in seeds {
            match catch_unwind(AssertUnwindSafe(|| (self.play)(seed))) {
                Ok(play) => {
                    tally.take(&play);
                    wrong.extend(self.judge(seed, &play));
                }
                Err(_) => wrong.push(self.told(seed, "it panicked")),
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} plays went wrong:\n{}",
            wrong.len(),
            tally.plays,
            wrong.join("\n")
        );
        tally.is_worth_it(self.name);
        tally
    }

    fn judge(&self, seed: u64, play: &Play) -> Option<String> {
        if let Some(value) = refused_in_peace(&play.history) {
            let what = format!("{value} was sent when all was well and not acknowledged; ");
            return Some(self.told(seed, &(what + &self.write(seed, play))));
        }
        let violations = check::check(&play.history);
        let first = violations.first()?;
        let written = self.write(seed, play);
        let what = format!("{} violations, first {}{written}", violations.len(), first.told(&play.history));
        Some(self.told(seed, &what))
    }

    fn told(&self, seed: u64, what: &str) -> String {
        let name = self.name;
        let again =
            format!("VLTAVA_SEEDS={seed}..{} cargo test -p vltava-sim --test workloads {name}", seed + 1);
        format!("{name}, seed {seed}: {what}\nagain: {again}")
    }

    /// Writes down history and trace of a play that went wrong, and says where.
    fn write(&self, seed: u64, play: &Play) -> String {
        let usual = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"));
        let folder = env::var_os("CARGO_TARGET_DIR").map_or_else(usual, PathBuf::from).join("sim");
        let at = folder.join(format!("{}-{seed}.jsonl", self.name));
        let told = |()| format!("history: {}", at.display());
        let written = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&at, play.history.to_string()))
            .and_then(|()| fs::write(at.with_extension("trace"), &play.trace));
        written.map_or_else(|error| format!("history: cannot be written: {error}"), told)
    }
}

/// A record that a patient producer sent after all trouble, and that was not acknowledged.
fn refused_in_peace(history: &History) -> Option<String> {
    let (calm, within) = calm(history)?;
    let patient: BTreeSet<_> = history.events.iter().filter_map(|it| is_patient(&it.what, within)).collect();
    let sends = history.sends();
    let mut late = sends.iter().filter(|it| it.invoked > calm && patient.contains(it.client));
    late.find(|it| !matches!(it.fate, Fate::Acknowledged(..))).map(|it| it.value.to_owned())
}

/// The event that says that all is well, and by when everything is to be so.
fn calm(history: &History) -> Option<(usize, u64)> {
    history.events.iter().enumerate().find_map(|(at, it)| match it.what {
        What::Calm { within } => Some((at, within)),
        _ => None,
    })
}

fn is_patient(what: &What, within: u64) -> Option<&str> {
    match what {
        What::Producer { client, timeout, .. } if *timeout >= within => Some(client),
        _ => None,
    }
}

impl Tally {
    /// Whether enough happened for the plays to show anything.
    ///
    /// # Panics
    /// If not.
    fn is_worth_it(&self, name: &str) {
        let Self { plays, sends, acknowledged, handed, troubles, in_time, .. } = self;
        assert!(*plays > 0, "{name}: nothing was played");
        assert!(*troubles > 0, "{name}: nothing went wrong");
        assert!(
            in_time * 2 >= *troubles,
            "{name}: of {troubles} troubles {in_time} came while records were sent"
        );
        assert!(acknowledged * 4 >= *sends, "{name}: of {sends} records {acknowledged} were acknowledged");
        assert!(handed * 2 >= *acknowledged, "{name}: of {acknowledged} records {handed} were handed out");
    }

    fn take(&mut self, play: &Play) {
        self.plays += 1;
        let events = &play.history.events;
        self.events += events.len();
        let sends = play.history.sends();
        self.sends += sends.len();
        self.acknowledged += sends.iter().filter(|it| matches!(it.fate, Fate::Acknowledged(..))).count();
        let polled = |what: &What| match what {
            What::Poll { records, .. } => records.len(),
            _ => 0,
        };
        self.handed += events.iter().map(|it| polled(&it.what)).sum::<usize>();
        let calm = calm(&play.history).map_or(events.len(), |it| it.0);
        let troubles = |events: &[Event]| events.iter().filter(|it| is_trouble(&it.what)).count();
        self.troubles += troubles(&events[..calm]);
        let sent_until = sends.iter().map(|it| it.invoked).filter(|it| *it < calm).max().unwrap_or_default();
        self.in_time += troubles(&events[..sent_until]);
        for (name, count) in &play.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }
}

fn is_trouble(what: &What) -> bool {
    matches!(what, What::Fault(fault) if !matches!(fault, Fault::Back { .. }))
}

/// As JSON whose keys a reader understands, for the page of what is tested.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plays, events, sends, acknowledged, handed, troubles, in_time, faults } = self;
        let faults: Vec<_> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let told = json!({
            "plays": plays,
            "events": events,
            "records sent": sends,
            "records acknowledged": acknowledged,
            "records handed out": handed,
            "troubles": troubles,
            "troubles while records were sent": in_time,
            "of which": faults.join(", "),
        });
        write!(f, "{told}")
    }
}
