//! An endpoint that costs as little as one can: it serves every partition from the same few canned batches, and of
//! what is produced it keeps the count. It is a process of its own, speaks to any client, groups of one member
//! included, and pretends to be as many nodes as it has ports. It is no broker: nothing produced can be fetched.

mod answers;
mod connection;
mod group;
mod log;
mod process;
mod produced;

use std::{
    error::Error,
    io::{self, BufRead},
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Args;
use serde::{Deserialize, Serialize};
use vltava_wire::Codec;

use log::CannedLog;
use produced::Produced;

pub(crate) use process::Stub;

/// The topic, whatever clients ask for.
pub(crate) const TOPIC: &str = "bench";

/// What is served.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Nodes; partitions are spread over them in turn.
    #[arg(long, default_value_t = 1)]
    pub(crate) endpoints: usize,

    /// Partitions of the topic.
    #[arg(long, default_value_t = 1)]
    pub(crate) partitions: usize,

    /// Records of the topic, made up to whole batches in every partition.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) records: u64,

    /// Bytes of every value.
    #[arg(long, default_value_t = 100)]
    pub(crate) value_bytes: usize,

    /// Bytes of a batch before it is compressed; one record at least.
    #[arg(long, default_value_t = 16 << 10)]
    pub(crate) batch_bytes: usize,

    /// How batches are compressed.
    #[arg(long, default_value = "none")]
    pub(crate) codec: Codec,

    /// Added between a request and its answer.
    #[arg(long, default_value_t = 0)]
    pub(crate) rtt_micros: u64,
}

/// The first line a stub writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Where its nodes listen, as clients are given it.
    pub(crate) bootstrap: String,
    /// Records of all partitions.
    pub(crate) records: u64,
    /// The sum of their offsets.
    pub(crate) offsets: u64,
    /// How many times smaller compression made a batch.
    pub(crate) ratio: f64,
}

/// What all connections share.
struct Shared {
    log: CannedLog,
    ports: Vec<u16>,
    partitions: usize,
    produced: Produced,
    rtt: Duration,
}

/// Serves until its input ends; tells what was produced for every line of it.
pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let listeners = (0..options.endpoints.max(1)).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    let ports = listeners.iter().map(|it| Ok(it.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
    let log = CannedLog::new(options)?;
    let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let greeting = Greeting {
        bootstrap: addresses.join(","),
        records: log.end() as u64 * options.partitions as u64,
        offsets: log.offsets() * options.partitions as u64,
        ratio: log.ratio(),
    };
    let shared = Arc::new(Shared {
        log,
        ports,
        partitions: options.partitions,
        produced: Produced::new(options.partitions),
        rtt: Duration::from_micros(options.rtt_micros),
    });
    for listener in listeners {
        let shared = shared.clone();
        thread::spawn(move || connection::accept(&listener, &shared));
    }
    println!("{}", serde_json::to_string(&greeting)?);
    for line in io::stdin().lock().lines() {
        line?;
        println!("{}", serde_json::to_string(&shared.produced.take())?);
    }
    Ok(())
}
