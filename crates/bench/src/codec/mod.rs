//! Reading and writing records in memory: ours beside a floor written by hand and the codecs of others, all over the
//! same bytes, each checked to have seen every record.

pub(crate) mod floor;
mod load;
mod ours;
#[cfg(feature = "peers")]
mod peers;
mod table;

use std::{error::Error, fs, hint::black_box, path::Path};

use bytes::Bytes;
use clap::Args;

use crate::rounds::{Contender, Courses, play};
use load::{Load, Row, Shape, Tally};

pub(crate) const FLOOR: &str = "floor";
pub(crate) const FLOOR_OWNED: &str = "floor, owned handles";
pub(crate) const OURS: &str = "vltava";
pub(crate) const OURS_AGAIN: &str = "vltava, again";
pub(crate) const OURS_OWNED: &str = "vltava, owned handles";
#[cfg(feature = "peers")]
pub(crate) const PEERS: [&str; 3] = ["kafka-protocol", "kacrab-protocol", "krafka"];

const SHAPES: [Shape; 6] = [
    Shape { value_bytes: 16, batch_bytes: 16 << 10 },
    JUDGED,
    Shape { value_bytes: 1024, batch_bytes: 16 << 10 },
    Shape { value_bytes: 16, batch_bytes: 1 << 20 },
    Shape { value_bytes: 100, batch_bytes: 1 << 20 },
    Shape { value_bytes: 1024, batch_bytes: 1 << 20 },
];

/// The shape that has aims.
const JUDGED: Shape = Shape { value_bytes: 100, batch_bytes: 16 << 10 };

/// How many times as long as another a contender may take.
struct Aim {
    work: Work,
    who: &'static str,
    beside: &'static [&'static str],
    at_most: f64,
}

const AIMS: &[Aim] = &[
    Aim { work: Work::Read, who: OURS, beside: &[FLOOR], at_most: 1.3 },
    Aim { work: Work::Read, who: OURS_OWNED, beside: &[FLOOR_OWNED], at_most: 1.6 },
    Aim { work: Work::Write, who: OURS, beside: &[FLOOR], at_most: 1.3 },
    #[cfg(feature = "peers")]
    Aim { work: Work::Read, who: OURS, beside: &PEERS, at_most: 0.25 },
    #[cfg(feature = "peers")]
    Aim { work: Work::Read, who: OURS_OWNED, beside: &PEERS, at_most: 0.5 },
    #[cfg(feature = "peers")]
    Aim { work: Work::Write, who: OURS, beside: &PEERS, at_most: 0.5 },
];

/// What is measured, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rounds that count, for every shape.
    #[arg(long, default_value_t = 9)]
    rounds: usize,

    /// The order of the contenders, and what is in the records.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Only the shape that has aims; fails if one is missed.
    #[arg(long)]
    judge: bool,

    /// Every measurement as JSON instead of the table.
    #[arg(long)]
    json: bool,

    /// Writes the table and the measurements into the folder `bench` of the repository.
    #[arg(long, conflicts_with = "judge")]
    write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Read,
    Write,
}

/// What was measured of one kind of work on one shape.
struct Measured {
    work: Work,
    shape: Shape,
    courses: Courses,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let shapes = if options.judge { &[JUDGED][..] } else { &SHAPES };
    let rng = &mut fastrand::Rng::with_seed(options.seed);
    let mut all = Vec::new();
    for shape in shapes {
        let load = Load::new(*shape, rng);
        check_writers(&load);
        for (work, contenders) in [(Work::Read, readers(&load)), (Work::Write, writers(&load))] {
            all.push(Measured { work, shape: *shape, courses: play(contenders, options.rounds, rng) });
        }
    }
    let (markdown, json) = (table::markdown(&all), table::json(&all));
    println!("{}", if options.json { &json } else { &markdown });
    if options.write {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("codec.md"), markdown)?;
        fs::write(folder.join("codec.json"), json)?;
    }
    let missed = missed(&all);
    if options.judge && !missed.is_empty() { Err(missed.join("\n").into()) } else { Ok(()) }
}

/// The aims that were missed, each as a sentence.
fn missed(all: &[Measured]) -> Vec<String> {
    let mut missed = Vec::new();
    for aim in AIMS {
        let measured = all.iter().filter(|it| it.work == aim.work && it.shape == JUDGED);
        for courses in measured.map(|it| &it.courses) {
            let ratios = aim.beside.iter().map(|beside| (beside, courses.ratio(aim.who, beside)));
            let (beside, ratio) = ratios.max_by(|a, b| a.1.total_cmp(&b.1)).expect("it is beside someone");
            if ratio > aim.at_most {
                missed.push(format!(
                    "{:?}: {} takes {ratio:.2} times as long as {beside}; the aim is {}",
                    aim.work, aim.who, aim.at_most
                ));
            }
        }
    }
    missed
}

/// All who read records; the twins are last.
fn readers(load: &Load) -> Vec<Contender<'_>> {
    let expected = load.expected();
    let reader = |name, read: fn(&Load) -> Tally| {
        Contender::new(name, move || {
            let tally = read(load);
            assert_eq!(tally, expected, "{name} saw every record");
            tally.records
        })
    };
    let (mut handles, mut records) = (Vec::new(), Vec::new());
    let mut all = vec![
        reader(FLOOR, floor::borrowed),
        Contender::new(FLOOR_OWNED, move || {
            let tally = floor::owned(load, &mut handles);
            assert_eq!(tally, expected, "the floor saw every record");
            tally.records
        }),
        Contender::new(OURS_OWNED, move || {
            let tally = ours::owned(load, &mut records);
            assert_eq!(tally, expected, "the handles were of every record");
            tally.records
        }),
    ];
    #[cfg(feature = "peers")]
    all.extend([
        reader(PEERS[0], peers::read_by_kafka_protocol),
        reader(PEERS[1], peers::read_by_kacrab),
        reader(PEERS[2], peers::read_by_krafka),
    ]);
    all.extend([reader(OURS, ours::borrowed), reader(OURS_AGAIN, ours::borrowed)]);
    all
}

type Writer = fn(&[Row], usize) -> Bytes;

const WRITERS: &[(&str, Writer)] = &[
    #[cfg(feature = "peers")]
    (PEERS[0], peers::written_by_kafka_protocol),
    #[cfg(feature = "peers")]
    (PEERS[1], peers::written_by_kacrab),
    #[cfg(feature = "peers")]
    (PEERS[2], peers::written_by_krafka),
    (OURS, ours::written),
    (OURS_AGAIN, ours::written),
];

/// All who write records; the twins are last.
fn writers(load: &Load) -> Vec<Contender<'_>> {
    let mut floor = floor::Writer::default();
    let by_floor = Contender::new(FLOOR, move || {
        for rows in load.rows.chunks(load.batch_records) {
            black_box(floor.written(rows));
        }
        load.rows.len() as u64
    });
    let by_writer = |(name, write): &(&'static str, Writer)| {
        let write = *write;
        Contender::new(name, move || {
            for rows in load.rows.chunks(load.batch_records) {
                black_box(write(rows, load.batch_bytes));
            }
            load.rows.len() as u64
        })
    };
    [by_floor].into_iter().chain(WRITERS.iter().map(by_writer)).collect()
}

/// What each of them writes holds the records it was given.
fn check_writers(load: &Load) {
    let rows = &load.rows[..load.batch_records];
    let mut expected = Tally::default();
    for (offset, row) in rows.iter().enumerate() {
        expected.add(offset as i64, row.timestamp, Some(&row.key), Some(&row.value));
    }
    let by_floor = Bytes::copy_from_slice(floor::Writer::default().written(rows));
    assert_eq!(ours::read(&by_floor), expected, "the floor writes what it is given");
    for (name, write) in WRITERS {
        assert_eq!(ours::read(&write(rows, load.batch_bytes)), expected, "{name} writes what it is given");
    }
}
