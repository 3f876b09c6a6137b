//! What work takes, without what only its start takes: the window opens when a tenth of it is done.

use std::{fs, time::Instant};

use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};

use super::Quantiles;

/// The part of the work that is not measured.
const WARM_UP: u64 = 10;

/// What a client says when it has done its work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of the client.
    pub(crate) version: String,
    /// All records it saw, or had acknowledged.
    pub(crate) records: u64,
    /// The sum of the offsets of those it saw.
    pub(crate) offsets: u64,
    /// Bytes of keys and values of those.
    pub(crate) bytes: u64,
    /// Records within the window.
    pub(crate) window_records: u64,
    /// Time of the process on all processors within the window, user and system.
    pub(crate) cpu_nanos: u64,
    /// Time that passed within it.
    pub(crate) wall_nanos: u64,
    /// The most memory the process had at any time.
    pub(crate) max_rss_kb: u64,
    /// What records took, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Quantiles>,
}

impl Report {
    pub(crate) fn cpu_nanos_per_record(&self) -> f64 {
        self.cpu_nanos as f64 / self.window_records.max(1) as f64
    }
}

/// What was seen of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) records: u64,
    pub(super) offsets: u64,
    pub(super) bytes: u64,
}

impl Seen {
    /// Takes note of a record. Key and value have to be there, not only their lengths.
    #[inline(always)]
    pub(super) fn add(&mut self, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        let (key, value) = std::hint::black_box((key, value));
        self.records += 1;
        self.offsets = self.offsets.wrapping_add(offset as u64);
        self.bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
    }
}

/// Opens the window and closes it.
#[derive(Debug)]
pub(super) struct Meter {
    starts_at: u64,
    started: Option<(u64, ProcessTime, Instant)>,
}

impl Meter {
    /// For work on so many records.
    pub(super) fn new(records: u64) -> Self {
        Self { starts_at: records / WARM_UP, started: None }
    }

    /// So many records are done.
    #[inline]
    pub(super) fn on(&mut self, records: u64) {
        if self.started.is_none() && records >= self.starts_at {
            self.started = Some((records, ProcessTime::now(), Instant::now()));
        }
    }

    /// All of it is done.
    pub(super) fn report(&self, version: impl Into<String>, seen: Seen) -> Report {
        let (before, cpu, wall) = self.started.expect("a tenth of the work was told of");
        Report {
            version: version.into(),
            records: seen.records,
            offsets: seen.offsets,
            bytes: seen.bytes,
            window_records: seen.records - before,
            cpu_nanos: cpu.elapsed().as_nanos() as u64,
            wall_nanos: wall.elapsed().as_nanos() as u64,
            max_rss_kb: max_rss_kb(),
            latency: None,
        }
    }
}

/// Of this process alone: what `getrusage` tells begins with what its parent had.
fn max_rss_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
