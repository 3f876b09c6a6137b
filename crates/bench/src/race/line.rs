//! A measurement, as it is kept and told.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Row, load};
use crate::drive::{Quantiles, Report};

/// What one client took in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The row.
    pub(crate) table: String,
    pub(crate) client: String,
    pub(crate) version: String,
    pub(crate) records: u64,
    /// Of the values of those.
    pub(crate) bytes: u64,
    pub(crate) cpu_ns_per_record: f64,
    pub(crate) records_per_s: f64,
    pub(crate) max_rss_kb: u64,
    pub(crate) round: usize,
    /// Rounds before it that were played again.
    pub(crate) repeated: usize,
    /// What the machine had to do besides: the load of the last minute.
    pub(crate) load: f64,
    /// Of what records took, where they were sent at a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency_us: Option<Quantiles>,
}

impl Line {
    pub(super) fn new(row: &Row, client: &str, report: &Report, round: usize, repeated: usize) -> Self {
        let per_second = report.window_records as f64 / (report.wall_nanos.max(1) as f64 / 1e9);
        Self {
            table: row.to_string(),
            client: client.to_owned(),
            version: report.version.clone(),
            records: report.records,
            bytes: report.records * row.value_bytes as u64,
            cpu_ns_per_record: (report.cpu_nanos_per_record() * 10.0).round() / 10.0,
            records_per_s: per_second.round(),
            max_rss_kb: report.max_rss_kb,
            round,
            repeated,
            load: load(),
            latency_us: report.latency,
        }
    }
}

fn path(name: &str) -> PathBuf {
    crate::folder().join(format!("{name}.jsonl"))
}

/// Keeps these in place of what was kept under the name.
pub(crate) fn keep<T: Serialize>(name: &str, lines: &[T]) -> io::Result<()> {
    let text: Result<String, serde_json::Error> =
        lines.iter().map(|it| Ok(serde_json::to_string(it)? + "\n")).collect();
    fs::write(path(name), text?)
}

/// What was kept under a name; nothing if nothing was.
pub(crate) fn kept<T: DeserializeOwned>(name: &str) -> io::Result<Vec<T>> {
    let text = fs::read_to_string(path(name)).unwrap_or_default();
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
