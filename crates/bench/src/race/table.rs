//! Measurements as a table, and what they must keep to.

use std::{error::Error, fmt::Write};

use super::{
    Line,
    clients::{self, FLOOR, REFERENCE, TWINS},
};
use crate::{
    drive::{Quantiles, Work},
    rounds::median,
};

/// Of the CPU time of the reference, ours may take so much.
const CONSUME_MAX: f64 = 0.20;
const PRODUCE_MAX: f64 = 0.30;

/// So many times the floor is what ours aims at.
const FLOOR_MAX: f64 = 1.5;

/// One row's lines.
pub(super) fn markdown(lines: &[Line]) -> String {
    let mut page = String::new();
    let Some(first) = lines.first() else { return page };
    if first.latency_us.is_some() {
        return latencies(lines);
    }
    let _ = writeln!(page, "### {}\n", first.table);
    let _ = writeln!(
        page,
        "| client | CPU ns a record | × librdkafka | least – most | × floor | million/s | MiB |"
    );
    let _ = writeln!(page, "|---|---:|---:|---:|---:|---:|---:|");
    for name in names(lines) {
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
pub(super) fn clients(works: &[Work], lines: &[Line]) -> String {
    let mut page = String::from("| client | version | set up |\n|---|---|---|\n");
    for &work in works {
        for (name, config) in clients::configs(work) {
            let told = of(lines, name).find(|it| it.table.starts_with(work.name()));
            if let Some(line) = told {
                let _ = writeln!(page, "| {}: {name} | {} | {config} |", work.name(), line.version);
            }
        }
    }
    page
}

/// All that was kept of some works: a table for each row, and who took part.
pub(super) fn chapter(name: &str, works: &[Work], lines: &[Line]) -> String {
    let mut page = format!("## {name}\n\n");
    if lines.is_empty() {
        page += "Not measured yet.\n\n";
        return page;
    }
    for table in tables(lines) {
        let own: Vec<Line> = lines.iter().filter(|it| it.table == table).cloned().collect();
        page += &markdown(&own);
        page.push('\n');
    }
    page += &clients(works, lines);
    page.push('\n');
    page
}

/// What ours takes beside librdkafka and the best of all peers, in the plain rows of 100 bytes.
pub(super) fn summary(consume: &[Line], produce: &[Line]) -> String {
    let mut page = String::from(
        "| values of 100 bytes, 1 partition | vltava | floor | librdkafka | best peer |\n|---|---:|---:|---:|---:|\n",
    );
    for (what, lines) in [("consume", consume), ("produce", produce)] {
        let plain: Vec<Line> =
            lines.iter().filter(|it| it.table == format!("{what} 100 B, 1 partition")).cloned().collect();
        let peers =
            names(&plain).into_iter().filter(|it| !it.starts_with(FLOOR) && !it.starts_with(TWINS[0]));
        let best = peers.min_by(|a, b| cpu(&plain, a).total_cmp(&cpu(&plain, b)));
        let Some(best) = best else { continue };
        let _ = writeln!(
            page,
            "| {what}, CPU ns a record | {:.0} | {:.0} | {:.0} | {:.0} ({best}) |",
            cpu(&plain, TWINS[0]),
            cpu(&plain, FLOOR),
            cpu(&plain, REFERENCE),
            cpu(&plain, best),
        );
    }
    page
}

/// Where another takes less than ours, or ours more than it should beside the floor.
pub(super) fn losses(lines: &[Line]) -> String {
    let mut page = String::new();
    for table in tables(lines) {
        let own: Vec<Line> = lines.iter().filter(|it| it.table == table).cloned().collect();
        let ours = cpu(&own, TWINS[0]);
        for name in names(&own).into_iter().filter(|it| !it.starts_with(FLOOR) && !it.starts_with(TWINS[0])) {
            let other = cpu(&own, name);
            if other < ours {
                let _ = writeln!(page, "- {table}: {name} takes {other:.0} ns a record, ours {ours:.0}.");
            }
        }
        let floor: Vec<_> = ratios(&own, TWINS[0], FLOOR).collect();
        if !floor.is_empty() {
            let times = median(floor.into_iter());
            if times > FLOOR_MAX {
                let _ = writeln!(page, "- {table}: {times:.1} times the floor; the aim is {FLOOR_MAX}.");
            }
        }
    }
    page
}

fn tables(lines: &[Line]) -> Vec<&str> {
    let mut tables: Vec<&str> = lines.iter().map(|it| it.table.as_str()).collect();
    tables.dedup();
    tables
}

/// Who took part, the one that took least first.
fn names(lines: &[Line]) -> Vec<&str> {
    let mut names: Vec<&str> = lines.iter().map(|it| it.client.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.sort_by(|a, b| cpu(lines, a).total_cmp(&cpu(lines, b)));
    names
}

/// One row of latencies.
fn latencies(lines: &[Line]) -> String {
    let mut page = format!("### {}\n\n", lines[0].table);
    page += "| client | p50 µs | × librdkafka | p99 | p99.9 | most | CPU ns a record |\n|---|---:|---:|---:|---:|---:|---:|\n";
    for name in names(lines) {
        let median_of = |of: fn(&Quantiles) -> f64| {
            median(self::of(lines, name).filter_map(|it| it.latency_us.as_ref().map(of)))
        };
        let beside = of(lines, name).filter_map(|own| {
            let other = of(lines, REFERENCE).find(|it| it.round == own.round)?;
            Some(own.latency_us?.p50 / other.latency_us?.p50)
        });
        let beside: Vec<_> = beside.collect();
        let beside = if beside.is_empty() {
            String::from("–")
        } else {
            format!("{:.2}", median(beside.into_iter()))
        };
        let _ = writeln!(
            page,
            "| {name} | {:.0} | {beside} | {:.0} | {:.0} | {:.0} | {:.0} |",
            median_of(|it| it.p50),
            median_of(|it| it.p99),
            median_of(|it| it.p999),
            median_of(|it| it.max),
            cpu(lines, name),
        );
    }
    let _ = writeln!(page, "\nLoad {:.1}.", median(lines.iter().map(|it| it.load)));
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
    let mut missed = Vec::new();
    for table in tables(lines) {
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
