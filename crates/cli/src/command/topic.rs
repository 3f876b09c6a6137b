//! `vltava topic`: create, list, describe, delete.

use serde::Serialize;
use vltava::client::{ErrorCode, NewTopic, PartitionDescription, TopicDescription};

use crate::{
    brokers::{Brokers, Cluster},
    output::{self, Output, Row, count},
    report::Failure,
    topics::{self, Range},
};

/// Create, list, describe and delete topics
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create a topic
    Create {
        /// Its name
        name: String,
        /// How many partitions it has
        #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: i32,
        /// How many brokers have each partition; by default as many as the cluster is set to
        #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replication_factor: Option<i16>,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// List all topics
    List {
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Show the partitions of a topic: who leads them, what they hold
    Describe {
        /// Its name
        name: String,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        brokers: Brokers,
    },
    /// Delete topics with all they hold; only shows what would go, unless --yes
    Delete {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// Do it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        brokers: Brokers,
    },
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let brokers = match &args.verb {
        Verb::Create { brokers, .. }
        | Verb::List { brokers, .. }
        | Verb::Describe { brokers, .. }
        | Verb::Delete { brokers, .. } => brokers,
    };
    let cluster = brokers.connect().await?;
    let done = match &args.verb {
        Verb::Create { name, partitions, replication_factor, .. } => {
            create(&cluster, name, *partitions, *replication_factor).await
        }
        Verb::List { output, .. } => list(&cluster, *output).await,
        Verb::Describe { name, output, .. } => describe(&cluster, name, *output).await,
        Verb::Delete { names, yes, .. } => delete(&cluster, names, *yes).await,
    };
    done.and(cluster.close().await)
}

async fn create(
    cluster: &Cluster,
    name: &str,
    partitions: i32,
    replication_factor: Option<i16>,
) -> Result<(), Failure> {
    let topic = NewTopic { replication_factor, ..NewTopic::new(name).partitions(partitions) };
    cluster.client.admin().create_topic(topic).await.map_err(|error| match error.code() {
        Some(ErrorCode::TopicAlreadyExists) => {
            Failure::new(format!("topic {name} is there already on {}", cluster.name))
        }
        _ => vltava::Error::from(error).into(),
    })?;
    Ok(output::write(&format!("created {name}: {}\n", counted(partitions, "partition")))?)
}

async fn list(cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let topics = cluster.client.admin().topics().await.map_err(vltava::Error::from)?;
    let rows: Vec<TopicRow> = topics.iter().map(TopicRow::of).collect();
    Ok(output::print(&rows, output.look)?)
}

async fn describe(cluster: &Cluster, name: &str, output: Output) -> Result<(), Failure> {
    let topic = topics::described(cluster, name).await?;
    let ranges = topics::ranges(cluster, name, &[]).await?;
    let rows: Vec<PartitionRow> = topic
        .partitions
        .into_iter()
        .zip(ranges)
        .map(|(partition, range)| PartitionRow::of(name, partition, &range))
        .collect();
    Ok(output::print(&rows, output.look)?)
}

async fn delete(cluster: &Cluster, names: &[String], yes: bool) -> Result<(), Failure> {
    for name in names {
        let ranges = topics::ranges(cluster, name, &[]).await?;
        if yes {
            cluster.client.admin().delete_topic(name).await.map_err(vltava::Error::from)?;
            output::write(&format!("deleted {name}\n"))?;
        } else {
            let records: i64 = ranges.iter().map(|range| range.end - range.start).sum();
            let (partitions, records) =
                (counted(ranges.len() as i64, "partition"), counted(records, "record"));
            output::write(&format!("would delete {name}: {partitions}, {records}\n"))?;
        }
    }
    if !yes {
        output::write("nothing was deleted; say --yes to do it\n")?;
    }
    Ok(())
}

fn counted(number: impl Into<i128>, what: &str) -> String {
    let number = number.into();
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

#[derive(Debug, Serialize)]
struct TopicRow {
    topic: String,
    partitions: usize,
    /// The most that any partition has.
    replicas: usize,
}

impl TopicRow {
    fn of(topic: &TopicDescription) -> TopicRow {
        let replicas = topic.partitions.iter().map(|it| it.replicas.len()).max().unwrap_or(0);
        TopicRow { topic: topic.name.to_string(), partitions: topic.partitions.len(), replicas }
    }
}

impl Row for TopicRow {
    const HEAD: &'static [&'static str] = &["TOPIC", ">PARTITIONS", ">REPLICAS"];

    fn cells(&self) -> Vec<String> {
        vec![self.topic.clone(), self.partitions.to_string(), self.replicas.to_string()]
    }
}

#[derive(Debug, Serialize)]
struct PartitionRow {
    topic: String,
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    start: i64,
    end: i64,
}

impl PartitionRow {
    fn of(topic: &str, it: PartitionDescription, range: &Range) -> PartitionRow {
        PartitionRow {
            topic: topic.to_owned(),
            partition: it.partition,
            leader: it.leader,
            replicas: it.replicas,
            in_sync: it.in_sync,
            start: range.start,
            end: range.end,
        }
    }
}

impl Row for PartitionRow {
    const HEAD: &'static [&'static str] =
        &["TOPIC-PARTITION", ">LEADER", "REPLICAS", "IN-SYNC", ">START", ">END", ">RECORDS"];

    fn cells(&self) -> Vec<String> {
        vec![
            format!("{}-{}", self.topic, self.partition),
            self.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
            joined(&self.replicas),
            joined(&self.in_sync),
            count(self.start),
            count(self.end),
            count(self.end - self.start),
        ]
    }
}

fn joined(numbers: &[i32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
