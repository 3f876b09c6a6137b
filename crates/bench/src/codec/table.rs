//! What was measured, as text for people and for programs.

use std::fmt::Write;

use serde::Serialize;

use super::{FLOOR, Measured, Shape, Work};
use crate::{machine::Machine, rounds::median};

/// A page that says how it was made.
pub(super) fn markdown(all: &[Measured]) -> String {
    let Machine { date, processor, cores, kernel, compiler, versions } = Machine::here();
    let mut page = String::from("# Reading and writing records, in memory\n\n");
    let rounds = all.first().map_or(0, |it| it.courses.noise.len());
    let _ = writeln!(
        page,
        "CPU nanoseconds for a record of an 8-byte key and a value, one thread, the checksum included. Medians of {rounds} rounds in\n\
         which everyone runs once in random order; the ratio is to the floor of the same round, with the least and the most.\n\
         The floor is written by hand for this shape of records (`crates/bench/src/codec/floor.rs`). \"Again\" is the same code a\n\
         second time: what it differs by is noise, and rounds in which it differs by more than 15 % are played again.\n\n\
         Made on {date} by `cargo run --release -p vltava-bench -- codec --write`, on {processor}, {cores} cores,\n\
         Linux {kernel}, {compiler}; {versions}. All measurements: `codec.json`."
    );
    for measured in all {
        section(&mut page, measured);
    }
    page
}

fn section(page: &mut String, Measured { work, shape, courses }: &Measured) {
    let Shape { value_bytes, batch_bytes } = shape;
    let verb = match work {
        Work::Read => "Read",
        Work::Write => "Write",
    };
    let _ =
        writeln!(page, "\n## {verb}: values of {value_bytes} bytes, batches of {} KiB\n", batch_bytes >> 10);
    let _ = writeln!(page, "| | ns | × floor | least – most |\n|---|---:|---:|---:|");
    for course in &courses.all {
        let nanos = median(course.nanos.iter().copied());
        let least = courses.ratios(course.name, FLOOR).fold(f64::INFINITY, f64::min);
        let most = courses.ratios(course.name, FLOOR).fold(0.0, f64::max);
        let ratio = courses.ratio(course.name, FLOOR);
        let _ = writeln!(page, "| {} | {nanos:.1} | {ratio:.2} | {least:.2} – {most:.2} |", course.name);
    }
    if courses.repeated > 0 {
        let _ = writeln!(page, "\nRounds played again: {}.", courses.repeated);
    }
}

/// Every measurement.
pub(super) fn json(all: &[Measured]) -> String {
    #[derive(Serialize)]
    struct Run<'a> {
        machine: Machine,
        rows: Vec<Row<'a>>,
    }
    #[derive(Serialize)]
    struct Row<'a> {
        work: &'static str,
        value_bytes: usize,
        batch_bytes: usize,
        who: &'a str,
        nanos: Vec<f64>,
    }
    let mut rows = Vec::new();
    for Measured { work, shape, courses } in all {
        let work = match work {
            Work::Read => "read",
            Work::Write => "write",
        };
        rows.extend(courses.all.iter().map(|course| Row {
            work,
            value_bytes: shape.value_bytes,
            batch_bytes: shape.batch_bytes,
            who: course.name,
            nanos: course.nanos.iter().map(|it| (it * 100.0).round() / 100.0).collect(),
        }));
    }
    let run = Run { machine: Machine::here(), rows };
    serde_json::to_string_pretty(&run).expect("numbers and text are JSON") + "\n"
}
