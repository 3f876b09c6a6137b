//! Measurements as a table, and what they must keep to.

use std::{error::Error, fmt::Write};

use super::{
    Line,
    clients::{self, FLOOR, REFERENCE, TWINS},
};
use crate::{drive::Work, rounds::median};

/// Of the CPU time of the reference, ours may take so much.
const CONSUME_MAX: f64 = 0.20;
const PRODUCE_MAX: f64 = 0.30;

/// One row's lines.
pub(super) fn markdown(lines: &[Line]) -> String {
    let mut page = String::new();
    let Some(first) = lines.first() else { return page };
    let _ = writeln!(page, "### {}\n", first.table);
    let _ = writeln!(
        page,
        "| client | CPU ns a record | × librdkafka | least – most | × floor | million/s | MiB |"
    );
    let _ = writeln!(page, "|---|---:|---:|---:|---:|---:|---:|");
    let mut names: Vec<&str> = lines.iter().map(|it| it.client.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by(|a, b| cpu(lines, a).total_cmp(&cpu(lines, b)));
    for name in names {
        let own = || of(lines, name);
        let mut ratios: Vec<_> = ratios(lines, name, REFERENCE).collect();
        ratios.sort_by(f64::total_cmp);
        let beside = match (ratios.first(), ratios.last()) {
            (Some(least), Some(most)) => {
                format!("{:.3} | {least:.3} – {most:.3}", median(ratios.iter().copied()))
            }
            _ => String::from("– | –"),
        };
        let floor: Vec<_> = self::ratios(lines, name, FLOOR).collect();
        let floor =
            if floor.is_empty() { String::from("–") } else { format!("{:.2}", median(floor.into_iter())) };
        let _ = writeln!(
            page,
            "| {name} | {:.1} | {beside} | {floor} | {:.2} | {:.0} |",
            cpu(lines, name),
            median(own().map(|it| it.records_per_s)) / 1e6,
            median(own().map(|it| it.max_rss_kb as f64)) / 1024.0,
        );
    }
    let _ = writeln!(page, "\n{}", noise(lines));
    page
}

/// Who takes part, with their versions, and how each is set up.
pub(super) fn clients(work: Work, lines: &[Line]) -> String {
    let mut page = String::from("| client | version | set up |\n|---|---|---|\n");
    for (name, config) in clients::configs(work) {
        if let Some(line) = of(lines, name).next() {
            let _ = writeln!(page, "| {name} | {} | {config} |", line.version);
        }
    }
    page
}

/// How far the twins were apart, and what was played again.
fn noise(lines: &[Line]) -> String {
    let apart = ratios(lines, TWINS[0], TWINS[1]).map(|it| it.max(1.0 / it) - 1.0);
    let most = apart.fold(0.0, f64::max) * 100.0;
    let repeated = lines.iter().map(|it| it.repeated).max().unwrap_or(0);
    let load = median(lines.iter().map(|it| it.load));
    format!("The twins differ by {most:.0} % at most; rounds played again: {repeated}; load {load:.1}.")
}

fn of<'a>(lines: &'a [Line], client: &str) -> impl Iterator<Item = &'a Line> {
    lines.iter().filter(move |it| it.client == client)
}

fn cpu(lines: &[Line], client: &str) -> f64 {
    median(of(lines, client).map(|it| it.cpu_ns_per_record))
}

/// How many times the CPU time of another one client took, round by round.
fn ratios<'a>(lines: &'a [Line], client: &'a str, beside: &'a str) -> impl Iterator<Item = f64> + use<'a> {
    of(lines, client).filter_map(move |own| {
        let other = of(lines, beside).find(|it| it.table == own.table && it.round == own.round)?;
        Some(own.cpu_ns_per_record / other.cpu_ns_per_record)
    })
}

/// Says what ours takes beside the reference, and fails where that is too much.
pub(super) fn judge(lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let mut tables: Vec<&str> = lines.iter().map(|it| it.table.as_str()).collect();
    tables.dedup();
    let mut missed = Vec::new();
    for table in tables {
        let own: Vec<Line> = lines.iter().filter(|it| it.table == table).cloned().collect();
        let ratios: Vec<_> = ratios(&own, TWINS[0], REFERENCE).collect();
        if ratios.is_empty() {
            return Err("there is nothing to judge by: librdkafka did not take part".into());
        }
        let ratio = median(ratios.into_iter());
        let at_most = if table.starts_with(Work::Consume.name()) { CONSUME_MAX } else { PRODUCE_MAX };
        println!("{table}: {ratio:.3} of what librdkafka takes, at most {at_most}");
        if ratio > at_most {
            missed.push(format!(
                "{table}: ours takes {ratio:.3} of librdkafka's CPU time; the limit is {at_most}"
            ));
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(missed.join("\n").into()) }
}
