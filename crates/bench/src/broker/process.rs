//! What Linux tells of another process.

use std::{
    error::Error,
    fs, thread,
    time::{Duration, Instant},
};

/// Linux counts CPU time of others in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// How long a process is looked at that should do nothing.
const IDLE: Duration = Duration::from_secs(3);

/// A process that is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched(pub(super) u32);

impl Watched {
    /// User and system, of all its threads.
    pub(super) fn cpu(self) -> Result<Duration, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name, in parentheses, may have spaces; behind it user and system time are the 12th and 13th.
        let (_, rest) = stat.rsplit_once(')').ok_or("a process has a name")?;
        let ticks: Result<Vec<u32>, _> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect();
        Ok(TICK * ticks?.iter().sum())
    }

    pub(super) fn resident_mib(self) -> Result<f64, Box<dyn Error>> {
        self.memory("VmRSS:")
    }

    /// The most it ever had.
    pub(super) fn most_mib(self) -> Result<f64, Box<dyn Error>> {
        self.memory("VmHWM:")
    }

    /// Of a core, while nobody asks for anything.
    pub(super) fn idle_percent(self) -> Result<f64, Box<dyn Error>> {
        let (before, began) = (self.cpu()?, Instant::now());
        thread::sleep(IDLE);
        Ok((self.cpu()? - before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0)
    }

    fn memory(self, name: &str) -> Result<f64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("Linux tells it")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}
