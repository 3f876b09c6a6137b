//! A measurement, as it is kept and told.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Row, load};
use crate::drive::{Report, Work};

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
        }
    }
}

fn path(work: Work) -> PathBuf {
    crate::folder().join(format!("{}.jsonl", work.name()))
}

/// Keeps these in place of what was kept.
pub(super) fn keep(work: Work, lines: &[Line]) -> io::Result<()> {
    let text: Result<String, serde_json::Error> =
        lines.iter().map(|it| Ok(serde_json::to_string(it)? + "\n")).collect();
    fs::write(path(work), text?)
}
