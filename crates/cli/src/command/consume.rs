//! `vltava consume`: the records of a topic on stdout.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    str::FromStr,
};

use vltava::{Offset, RecordBatch, client::RecordRef};

use crate::{
    brokers::{Brokers, Cluster},
    format::{Format, Header, Line},
    report::Failure,
    signals::Signals,
    topics::{self, Range},
};

/// Print the records of a topic, by default one value a line
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Where to begin: beginning, end, an offset, or -N for the last N of each partition
    #[arg(short, long, value_name = "WHERE", default_value = "beginning", allow_hyphen_values = true)]
    offset: Begin,
    /// End at what is the end of the topic now
    #[arg(short, long)]
    exit: bool,
    /// End after so many records
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,
    /// Only these partitions
    #[arg(short, long, value_name = "N,…", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// How a record looks: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %d timestamp
    #[arg(short, long, default_value = "%v\\n", value_parser = str::parse::<Format>)]
    format: Format,
    #[command(flatten)]
    brokers: Brokers,
}

/// Where to begin in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Beginning,
    End,
    At(i64),
    /// So many before the end.
    Last(i64),
}

impl FromStr for Begin {
    type Err = String;

    fn from_str(text: &str) -> Result<Begin, String> {
        let wrong = || format!("`{text}` is no place in a topic: write beginning, end, an offset or -N");
        Ok(match text {
            "beginning" | "start" => Begin::Beginning,
            "end" => Begin::End,
            number => match number.parse().map_err(|_| wrong())? {
                at if number.starts_with('-') => Begin::Last(i64::checked_neg(at).ok_or_else(wrong)?),
                at => Begin::At(at),
            },
        })
    }
}

impl Begin {
    fn offset(self, start: i64, end: i64) -> i64 {
        match self {
            Begin::Beginning => start,
            Begin::End => end,
            Begin::At(offset) => offset,
            Begin::Last(count) => end.saturating_sub(count).max(start),
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let cluster = args.brokers.connect().await?;
    let printed = tokio::select! {
        biased;
        () = signals.next() => Ok(()),
        printed = print_all(&args, &cluster) => printed,
    };
    printed.and(cluster.close().await)
}

async fn print_all(args: &Args, cluster: &Cluster) -> Result<(), Failure> {
    let mut begins = Vec::new();
    let mut ends = BTreeMap::new();
    for Range { topic_partition, start, end } in
        topics::ranges(cluster, &args.topic, &args.partitions).await?
    {
        let begin = args.offset.offset(start, end);
        if !args.exit || begin < end {
            begins.push((topic_partition.clone(), Offset::Exact(begin)));
            ends.insert(topic_partition, end);
        }
    }
    if begins.is_empty() || args.count == Some(0) {
        return Ok(());
    }
    let mut consumer = cluster.client.consumer().assign(begins).await.map_err(vltava::Error::from)?;
    if args.exit {
        consumer.stop_at(ends.clone());
    }
    let mut printer = Printer::new(args);
    while let Some(batch) = consumer.next().await.map_err(vltava::Error::from)? {
        let end = if args.exit { ends[batch.topic_partition()] } else { i64::MAX };
        if !printer.print(&batch, end)? {
            break;
        }
    }
    Ok(())
}

/// Writes records to stdout, a batch at once.
struct Printer<'a> {
    format: &'a Format,
    wants_headers: bool,
    left: u64,
    out: Vec<u8>,
}

impl Printer<'_> {
    fn new(args: &Args) -> Printer<'_> {
        let left = args.count.unwrap_or(u64::MAX);
        Printer { format: &args.format, wants_headers: args.format.wants_headers(), left, out: Vec::new() }
    }

    /// Prints what lies before `end`; says whether more is wanted.
    fn print(&mut self, batch: &RecordBatch, end: i64) -> io::Result<bool> {
        self.out.clear();
        for record in batch {
            if self.left == 0 || record.offset() >= end {
                break;
            }
            self.left -= 1;
            self.line(batch, record);
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.out)?;
        stdout.flush()?;
        Ok(self.left > 0)
    }

    fn line(&mut self, batch: &RecordBatch, record: RecordRef<'_>) {
        let headers: Vec<Header<'_>> =
            if self.wants_headers { record.headers().collect() } else { Vec::new() };
        let line = Line {
            topic: batch.topic(),
            partition: batch.partition(),
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key(),
            value: record.value(),
            headers: &headers,
        };
        self.format.print(&line, &mut self.out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_begin_is_a_name_an_offset_or_so_many_from_the_end() {
        for (text, offset) in
            [("beginning", 10), ("start", 10), ("end", 100), ("47", 47), ("-3", 97), ("-500", 10)]
        {
            let begin: Begin = text.parse().expect(text);
            assert_eq!(begin.offset(10, 100), offset, "{text}");
        }
        for wrong in ["", "-", "first", "1.5", "-9223372036854775808"] {
            assert!(wrong.parse::<Begin>().is_err(), "{wrong:?}");
        }
    }
}
