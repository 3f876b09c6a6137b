//! A play from a seed: run in this thread, told by its history and its trace, judged, and played again.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use tokio::time::timeout;

use crate::{check, history::History};

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
    /// So many records were sent.
    pub sends: usize,
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
        tally
    }

    fn judge(&self, seed: u64, play: &Play) -> Option<String> {
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

impl Tally {
    fn take(&mut self, play: &Play) {
        self.plays += 1;
        self.events += play.history.events.len();
        self.sends += play.history.sends().len();
        for (name, count) in &play.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plays, events, sends, faults } = self;
        write!(f, "{plays} plays, {events} events, {sends} records sent; ")?;
        let faults: Vec<_> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&faults.join(", "))
    }
}
