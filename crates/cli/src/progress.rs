//! What flows do right now, in one line on stderr, if that is a terminal.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use vltava::flow::{Control, Stats};

use crate::output::count;

/// How often the line changes.
const TICK: Duration = Duration::from_millis(200);
/// Ticks that the rate is an average of.
const WINDOW: usize = 5;
/// Ticks that are shown as bars.
const BARS: usize = 12;

/// The line. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress(Option<(ProgressBar, JoinHandle<()>)>);

impl Progress {
    /// Shows what these flows do together, from now on.
    pub(crate) fn start(name: &str, flows: Vec<Control>) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        let style = ProgressStyle::with_template("  {spinner} {prefix}: {msg}").expect("a template");
        let bar = ProgressBar::new_spinner().with_style(style).with_prefix(name.to_owned());
        let task = tokio::spawn(show(bar.clone(), flows));
        Progress(Some((bar, task)))
    }
}

async fn show(bar: ProgressBar, flows: Vec<Control>) {
    let started = Instant::now();
    let mut rates = Rates::default();
    let mut latest = vec![Stats::default(); flows.len()];
    loop {
        for (flow, latest) in flows.iter().zip(&mut latest) {
            // A flow that has ended stays as it was last seen.
            if let Some(stats) = flow.stats().await {
                *latest = stats;
            }
        }
        rates.push(started.elapsed(), latest.iter().map(|stats| stats.done).sum());
        bar.set_message(text(&latest, &rates));
        bar.tick();
        tokio::time::sleep(TICK).await;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((bar, task)) = &self.0 {
            task.abort();
            bar.finish_and_clear();
        }
    }
}

fn text(flows: &[Stats], rates: &Rates) -> String {
    let in_flight: usize = flows.iter().map(|stats| stats.in_flight).sum();
    let lag: Option<u64> = flows.iter().map(Stats::lag).sum();
    let lag = lag.map_or_else(|| "?".to_owned(), count);
    let (bars, rate) = (rates.bars(), count(rates.current()));
    format!("in flight {in_flight}, lag {lag}  {bars}  {rate} records/s")
}

/// Records a second, of late.
#[derive(Debug, Default)]
struct Rates {
    /// When, and how many until then; the latest last.
    samples: VecDeque<(Duration, u64)>,
}

impl Rates {
    fn push(&mut self, at: Duration, done: u64) {
        self.samples.push_back((at, done));
        if self.samples.len() > BARS + 1 {
            self.samples.pop_front();
        }
    }

    /// Over the window that ends now.
    fn current(&self) -> u64 {
        let first = self.samples.len().saturating_sub(WINDOW + 1);
        match (self.samples.get(first), self.samples.back()) {
            (Some(first), Some(last)) => rate(*first, *last),
            _ => 0,
        }
    }

    /// One bar a tick, the highest for the highest rate that is shown.
    fn bars(&self) -> String {
        const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let ticks = self.samples.iter().zip(self.samples.iter().skip(1));
        let rates: Vec<u64> = ticks.map(|(before, after)| rate(*before, *after)).collect();
        let highest = rates.iter().copied().max().unwrap_or(0).max(1);
        let level = |rate: u64| usize::try_from(u128::from(rate) * 7 / u128::from(highest)).unwrap_or(7);
        rates.into_iter().map(|rate| LEVELS[level(rate)]).collect()
    }
}

fn rate(before: (Duration, u64), after: (Duration, u64)) -> u64 {
    per_second(after.1.saturating_sub(before.1), after.0.saturating_sub(before.0))
}

/// So many in that time, as a rate; nothing if no time passed.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let micros = elapsed.as_micros();
    if micros == 0 {
        return 0;
    }
    u64::try_from(u128::from(count) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(done: &[u64]) -> Rates {
        let mut rates = Rates::default();
        for (second, done) in (0..).zip(done) {
            rates.push(Duration::from_secs(second), *done);
        }
        rates
    }

    #[test]
    fn the_rate_is_that_of_late() {
        assert_eq!(rates(&[]).current(), 0);
        assert_eq!(rates(&[7]).current(), 0);
        assert_eq!(rates(&[0, 100]).current(), 100);
        assert_eq!(rates(&[0, 9_000, 9_010, 9_020, 9_030, 9_040, 9_050]).current(), 10);
    }

    #[test]
    fn bars_are_as_high_as_their_rate_is_of_the_highest() {
        assert_eq!(rates(&[0, 0, 50, 150, 150]).bars(), "▁▄█▁");
        assert_eq!(rates(&[]).bars(), "");
        let many: Vec<u64> = (0..100).collect();
        assert_eq!(rates(&many).bars().chars().count(), BARS);
    }

    #[test]
    fn no_time_makes_no_rate() {
        assert_eq!(per_second(5, Duration::ZERO), 0);
        assert_eq!(per_second(u64::MAX, Duration::from_micros(1)), u64::MAX);
        assert_eq!(per_second(27_004, Duration::from_millis(500)), 54_008);
    }
}
