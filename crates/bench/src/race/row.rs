//! What is read or written: a row of what is measured.

use std::fmt;

use clap::Args;
use vltava_wire::{Codec, Compression};

use crate::drive::Work;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What is measured at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) work: Work,
    pub(super) value_bytes: usize,
    pub(super) partitions: usize,
    pub(super) endpoints: usize,
    pub(super) codec: Codec,
    pub(super) keyed: bool,
    pub(super) group: bool,
    pub(super) batch_bytes: usize,
    pub(super) rtt_micros: u64,
    pub(super) records: u64,
    /// Records a second, where they are sent at a rate.
    pub(super) rate: u64,
    /// Of three nodes, one gets most records.
    pub(super) skewed: bool,
}

/// Which rows are measured. Without any of these: a short set.
#[derive(Debug, Clone, Args)]
pub(super) struct Shapes {
    /// Every row of the published page.
    #[arg(long)]
    all: bool,

    /// Bytes of a value.
    #[arg(long, value_delimiter = ',')]
    value_bytes: Vec<usize>,

    /// Partitions of the topic.
    #[arg(long, value_delimiter = ',')]
    partitions: Vec<usize>,

    /// Nodes that lead them.
    #[arg(long, value_delimiter = ',')]
    endpoints: Vec<usize>,

    /// How batches are compressed: none, lz4, zstd, snappy, gzip.
    #[arg(long, value_delimiter = ',')]
    codec: Vec<Compression>,

    /// Only records that go where their keys say.
    #[arg(long)]
    keyed: bool,

    /// Only members of groups.
    #[arg(long)]
    group: bool,

    /// Bytes of the batches of the log that is read, before compression.
    #[arg(long, default_value_t = 16 * KIB)]
    batch_bytes: usize,

    /// Added by the stub between every request and its answer.
    #[arg(long, default_value_t = 0)]
    rtt_micros: u64,

    /// Records of a row, in place of what takes about a second.
    #[arg(long)]
    records: Option<u64>,
}

impl Shapes {
    pub(super) fn rows(&self, work: Work) -> Vec<Row> {
        if self.all {
            return published(work).map(|it| self.fitted(it)).collect();
        }
        if !self.names_any() {
            return short(work).map(|it| self.fitted(it)).collect();
        }
        let of = |given: &[usize], otherwise| if given.is_empty() { vec![otherwise] } else { given.to_vec() };
        let codecs = if self.codec.is_empty() { vec![Compression::None] } else { self.codec.clone() };
        let mut rows = Vec::new();
        for value_bytes in of(&self.value_bytes, 100) {
            for partitions in of(&self.partitions, 1) {
                for endpoints in of(&self.endpoints, 1) {
                    for &codec in &codecs {
                        let row =
                            Row { value_bytes, partitions, endpoints, codec: codec.into(), ..plain(work) };
                        rows.push(self.fitted(Row { keyed: self.keyed, group: self.group, ..row }));
                    }
                }
            }
        }
        rows
    }

    fn names_any(&self) -> bool {
        let lists = [&self.value_bytes, &self.partitions, &self.endpoints];
        self.keyed || self.group || !self.codec.is_empty() || lists.iter().any(|it| !it.is_empty())
    }

    fn fitted(&self, row: Row) -> Row {
        let records = self.records.unwrap_or_else(|| about_a_second(row.value_bytes));
        Row { batch_bytes: self.batch_bytes, rtt_micros: self.rtt_micros, records, ..row }
    }
}

/// What is measured of latency, for so many seconds each.
pub(super) fn latencies(rates: &[u64], seconds: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for &rate in rates {
        let at_rate = |work| Row { rate, records: rate * seconds, ..plain(work) };
        let one = Row { partitions: 12, ..at_rate(Work::Through) };
        let three = Row { endpoints: 3, skewed: true, ..one.clone() };
        rows.extend([at_rate(Work::Ack), one, three]);
    }
    rows
}

/// Records that a client of the usual kind takes about a second for.
fn about_a_second(value_bytes: usize) -> u64 {
    match value_bytes {
        0..=16 => 4_000_000,
        17..=100 => 3_000_000,
        101..=1024 => 1_000_000,
        1025..=10_240 => 150_000,
        more => (2_000_000_000 / more as u64).max(100),
    }
}

/// What everything is compared with.
fn plain(work: Work) -> Row {
    Row {
        work,
        value_bytes: 100,
        partitions: 1,
        endpoints: 1,
        codec: Codec::default(),
        keyed: false,
        group: false,
        batch_bytes: 16 * KIB,
        rtt_micros: 0,
        records: 0,
        rate: 0,
        skewed: false,
    }
}

fn short(work: Work) -> impl Iterator<Item = Row> {
    let plain = plain(work);
    let lz4 = Compression::Lz4.into();
    let rows = [
        plain.clone(),
        Row { value_bytes: KIB, ..plain.clone() },
        Row { value_bytes: 10 * KIB, ..plain.clone() },
        Row { codec: lz4, ..plain.clone() },
    ];
    let many = match work {
        Work::Consume => Row { partitions: 12, group: true, ..plain },
        _ => Row { partitions: 12, keyed: true, ..plain },
    };
    rows.into_iter().chain([many])
}

fn published(work: Work) -> impl Iterator<Item = Row> {
    let plain = plain(work);
    let codec = |codec: Compression| Row { codec: codec.into(), ..plain.clone() };
    let mut rows: Vec<_> =
        [100, 16, KIB, 10 * KIB, MIB].map(|value_bytes| Row { value_bytes, ..plain.clone() }).into();
    rows.extend([codec(Compression::Lz4), codec(Compression::Zstd)]);
    let many = |partitions, endpoints| Row { partitions, endpoints, ..plain.clone() };
    match work {
        Work::Consume => {
            rows.extend([many(12, 1), many(100, 1), many(12, 3)]);
            rows.extend([many(1, 1), many(12, 1)].map(|row| Row { group: true, ..row }));
        }
        _ => rows.extend([many(12, 1), many(100, 1), many(12, 3)].map(|row| Row { keyed: true, ..row })),
    }
    rows.into_iter()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.work.name(), size(self.value_bytes))?;
        match self.partitions {
            1 => f.write_str(", 1 partition")?,
            many => write!(f, ", {many} partitions")?,
        }
        if self.endpoints > 1 {
            write!(f, " of {} nodes", self.endpoints)?;
        }
        if self.codec != Codec::default() {
            write!(f, ", {}", self.codec)?;
        }
        if self.keyed {
            f.write_str(", keyed")?;
        }
        if self.group {
            f.write_str(", in a group")?;
        }
        if self.skewed {
            f.write_str(", one of which has four fifths")?;
        }
        if self.rate > 0 {
            write!(f, ", {} records/s", self.rate)?;
        }
        if self.rtt_micros > 0 {
            write!(f, ", {} µs away", self.rtt_micros)?;
        }
        Ok(())
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        _ => format!("{} MiB", bytes / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_what_it_differs_in() {
        let row = Row { value_bytes: 10 * KIB, ..plain(Work::Consume) };
        assert_eq!(row.to_string(), "consume 10 KiB, 1 partition");
        let row = Row { partitions: 12, endpoints: 3, keyed: true, ..plain(Work::Produce) };
        assert_eq!(row.to_string(), "produce 100 B, 12 partitions of 3 nodes, keyed");
    }

    #[test]
    fn no_row_is_measured_twice() {
        for rows in [
            short(Work::Consume).collect(),
            published(Work::Consume).collect(),
            published(Work::Produce).collect(),
        ] {
            let rows: Vec<Row> = rows;
            for (at, row) in rows.iter().enumerate() {
                assert!(!rows[..at].contains(row), "{row}");
            }
        }
    }
}
