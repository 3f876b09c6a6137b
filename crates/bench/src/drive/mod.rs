//! A client at work, in a process of its own: it is told what to do by arguments, checks nothing but what it counts,
//! and ends with one line that says what it saw and what that took. The programs in Go and Java take the same
//! arguments and write the same line.

mod floor;
mod latency;
#[cfg(feature = "librdkafka")]
mod librdkafka;
mod meter;
mod ours;
mod outgoing;

use std::error::Error;

use clap::{Args, ValueEnum};
use vltava_wire::Codec;

use latency::Latencies;
pub(crate) use latency::Quantiles;
pub(crate) use meter::Report;
use meter::{Meter, Seen};

type Outcome = Result<Report, Box<dyn Error>>;

/// What a client is to do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Task {
    /// Whose client.
    pub(crate) client: String,

    /// By which of its doors, or set up in which way.
    #[arg(long, default_value = "")]
    pub(crate) variant: String,

    /// What is done.
    #[arg(long)]
    pub(crate) work: Work,

    /// Where the cluster is.
    #[arg(long)]
    pub(crate) bootstrap: String,

    /// What is read or written.
    #[arg(long)]
    pub(crate) topic: String,

    /// How many partitions the topic has.
    #[arg(long)]
    pub(crate) partitions: usize,

    /// How many records there are to be read in all of them, or to be written.
    #[arg(long)]
    pub(crate) records: u64,

    /// Bytes of a value.
    #[arg(long)]
    pub(crate) value_bytes: usize,

    /// How batches are compressed.
    #[arg(long, default_value = "none")]
    pub(crate) codec: Codec,

    /// Records have keys, and go where those say.
    #[arg(long)]
    pub(crate) keyed: bool,

    /// The group to be a member of; without one, every partition is read.
    #[arg(long)]
    pub(crate) group: Option<String>,

    /// Records a second, where they are sent at a rate.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,

    /// Of three nodes, one gets most records.
    #[arg(long)]
    pub(crate) skewed: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Every record that there is.
    Consume,
    /// Until every record is acknowledged by all.
    Produce,
    /// At a rate, and how long each takes until it is acknowledged.
    Ack,
    /// At a rate, and how long each takes until it is read.
    Through,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consume => "consume",
            Self::Produce => "produce",
            Self::Ack => "ack",
            Self::Through => "through",
        }
    }
}

pub(crate) fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    let report = match task.client.as_str() {
        "floor" => floor::run(task)?,
        "vltava" => ours::run(task)?,
        #[cfg(feature = "librdkafka")]
        "librdkafka" => librdkafka::run(task)?,
        client => return Err(format!("there is no client {client:?}").into()),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

impl Task {
    /// For a door that a client does not have.
    fn no_variant(&self) -> Box<dyn Error> {
        format!("{} has no variant {:?}", self.client, self.variant).into()
    }
}
