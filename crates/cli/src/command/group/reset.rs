//! `vltava group reset`: has a group go on from elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    time::Duration,
};

use serde::Serialize;
use vltava::{
    Offset, TopicPartition,
    client::{CommittedOffset, Timestamp},
};

use super::{described, not_there, refuse_members};
use crate::{
    brokers::Cluster,
    output::{self, Look, Output, Row, count},
    report::Failure,
    times,
    topics::{self, Range},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its name
    name: String,
    /// Where to: earliest, latest, an offset, a time (2026-01-31T14:00:00Z), so long ago (1h30m), or +N or -N from
    /// what is committed
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    to: Place,
    /// Only this topic, which the group need not have read before; may be given several times
    #[arg(short, long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only these partitions
    #[arg(short, long, value_name = "N,…", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// Do it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
}

/// Where a group is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Earliest,
    Latest,
    At(i64),
    Since(Timestamp),
    Within(Duration),
    /// So far from what is committed.
    Shift(i64),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let wrong = || {
            format!(
                "`{text}` is no place to go to: write earliest, latest, an offset, a time such as \
                 2026-01-31T14:00:00Z, a span of time such as 1h30m, or +N or -N"
            )
        };
        let number = text.parse::<i64>();
        Ok(match text {
            "earliest" => Place::Earliest,
            "latest" => Place::Latest,
            _ if text.starts_with(['+', '-']) => Place::Shift(number.map_err(|_| wrong())?),
            _ => match (number, times::duration(text), times::timestamp(text)) {
                (Ok(offset), ..) => Place::At(offset),
                (_, Ok(span), _) => Place::Within(span),
                (.., Ok(time)) => Place::Since(time),
                _ => return Err(wrong()),
            },
        })
    }
}

impl Place {
    /// What is to be looked up in the log, if that must be done.
    fn sought(self) -> Option<Offset> {
        match self {
            Place::Since(time) => Some(Offset::Timestamp(time)),
            Place::Within(span) => Some(Offset::Within(span)),
            Place::Earliest | Place::Latest | Place::At(_) | Place::Shift(_) => None,
        }
    }

    /// The offset, within what the partition holds. None if it depends on what was committed, and nothing was.
    fn offset(self, range: &Range, committed: Option<i64>, found: Option<i64>) -> Option<i64> {
        let offset = match self {
            Place::Earliest => range.start,
            Place::Latest => range.end,
            Place::At(offset) => offset,
            Place::Since(_) | Place::Within(_) => found?,
            Place::Shift(by) => committed?.saturating_add(by),
        };
        Some(offset.clamp(range.start, range.end))
    }
}

pub(super) async fn run(cluster: &Cluster, args: &Args) -> Result<(), Failure> {
    let admin = cluster.client.admin();
    if let Some(group) = described(cluster, &args.name).await? {
        refuse_members(&group)?;
    } else if args.topic.is_empty() {
        return Err(not_there(cluster, &args.name));
    }
    let committed = admin.committed_offsets(&args.name).await.map_err(vltava::Error::from)?;
    let rows = plan(cluster, args, &committed).await?;
    if args.yes {
        let offsets = rows.iter().map(|row| (row.topic_partition(), CommittedOffset::from(row.new)));
        admin.alter_offsets(&args.name, offsets).await.map_err(vltava::Error::from)?;
    }
    output::print(&rows, args.output.look)?;
    if args.output.look == Look::Table {
        output::write(match args.yes {
            true => "\ndone\n",
            false => "\nnothing was changed; say --yes to do it\n",
        })?;
    }
    Ok(())
}

/// Where each partition goes.
async fn plan(
    cluster: &Cluster,
    args: &Args,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<Vec<ResetRow>, Failure> {
    let ranges = ranges(cluster, args, committed).await?;
    let found = match args.to.sought() {
        None => BTreeMap::new(),
        Some(place) => {
            let places = ranges.iter().map(|range| (range.topic_partition.clone(), place));
            cluster.client.admin().offsets(places).await.map_err(vltava::Error::from)?
        }
    };
    let row = |range: &Range| {
        let at = &range.topic_partition;
        let committed = committed.get(at).map(|it| it.offset);
        let new = args.to.offset(range, committed, found.get(at).copied()).ok_or_else(|| {
            Failure::new(format!("group {} has committed nothing for {at}, to go on from there", args.name))
                .fix("name a place in the log: --to earliest")
        })?;
        Ok(ResetRow { topic: at.topic.to_string(), partition: at.partition, committed, new })
    };
    ranges.iter().map(row).collect()
}

/// The partitions that are meant: those of the topics that were named, or those that are committed.
async fn ranges(
    cluster: &Cluster,
    args: &Args,
    committed: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<Vec<Range>, Failure> {
    let mut wanted: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    if args.topic.is_empty() {
        let meant =
            |at: &&TopicPartition| args.partitions.is_empty() || args.partitions.contains(&at.partition);
        for at in committed.keys().filter(meant) {
            wanted.entry(at.topic.to_string()).or_default().insert(at.partition);
        }
    }
    for topic in &args.topic {
        wanted.entry(topic.clone()).or_default().extend(&args.partitions);
    }
    if wanted.is_empty() {
        return Err(Failure::not_found(format!("group {} has committed nothing of these", args.name))
            .fix("name the topics it is to read: --topic orders"));
    }
    let mut ranges = Vec::new();
    for (topic, partitions) in wanted {
        let partitions: Vec<i32> = partitions.into_iter().collect();
        ranges.extend(topics::ranges(cluster, &topic, &partitions).await?);
    }
    Ok(ranges)
}

#[derive(Debug, Serialize)]
struct ResetRow {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    new: i64,
}

impl ResetRow {
    fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

impl Row for ResetRow {
    const HEAD: &'static [&'static str] = &["TOPIC-PARTITION", ">COMMITTED", ">NEW", ">CHANGE"];

    fn cells(&self) -> Vec<String> {
        let change = self.committed.map(|committed| self.new - committed);
        vec![
            format!("{}-{}", self.topic, self.partition),
            self.committed.map_or_else(|| "-".to_owned(), count),
            count(self.new),
            match change {
                None => "-".to_owned(),
                Some(change @ 1..) => format!("+{}", count(change)),
                Some(change) => count(change),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_is_a_name_an_offset_a_time_a_span_or_a_shift() {
        for (text, place) in [
            ("earliest", Place::Earliest),
            ("latest", Place::Latest),
            ("4711", Place::At(4711)),
            ("+5", Place::Shift(5)),
            ("-5", Place::Shift(-5)),
            ("1h30m", Place::Within(Duration::from_secs(5_400))),
            ("1970-01-01T00:00:01Z", Place::Since(Timestamp(1_000))),
        ] {
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
        for wrong in ["", "start", "-", "+1h", "1.5"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_group_goes_nowhere_but_where_the_partition_has_records() {
        let range = Range { topic_partition: TopicPartition::new("orders", 0), start: 10, end: 100 };
        for (place, committed, expected) in [
            (Place::Earliest, None, Some(10)),
            (Place::Latest, None, Some(100)),
            (Place::At(47), None, Some(47)),
            (Place::At(5), None, Some(10)),
            (Place::At(500), None, Some(100)),
            (Place::Shift(-5), Some(50), Some(45)),
            (Place::Shift(i64::MIN), Some(50), Some(10)),
            (Place::Shift(-5), None, None),
            (Place::Within(Duration::ZERO), Some(50), Some(60)),
        ] {
            assert_eq!(place.offset(&range, committed, Some(60)), expected, "{place:?}");
        }
    }
}
