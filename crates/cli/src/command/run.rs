//! `vltava run`: the flows of a file, until a signal or until they have caught up.

use std::{io::IsTerminal, path::PathBuf, time::Instant};

use vltava::{
    flow::{self, FlowHandle, pipeline, spec},
    sinks,
};

use crate::{
    brokers::{Brokers, Cluster},
    logs::Logs,
    output::count,
    progress::Progress,
    report::Failure,
    topics,
};

/// Run the flows of a file until SIGINT or SIGTERM: what is at work is finished, committed, and the group left
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file
    #[arg(value_name = "FLOW.YAML")]
    file: PathBuf,
    /// End by itself once every partition's lag is 0
    #[arg(long)]
    until_caught_up: bool,
    #[command(flatten)]
    brokers: Brokers,
}

pub(crate) async fn run(args: Args, logs: Logs) -> Result<(), Failure> {
    let file = spec::File::load(&args.file, &sinks::registry())
        .map_err(|error| Failure::usage(error.to_string()))?;
    logs.start(file.log.level.map(spec::Level::name))?;
    let cluster = args.brokers.connect_or(&file.kafka).await?;
    let ran = flows(&args, file, &cluster).await;
    ran.and(cluster.close().await)
}

async fn flows(args: &Args, file: spec::File, cluster: &Cluster) -> Result<(), Failure> {
    for topic in file.flows.iter().flat_map(|flow| &flow.from) {
        topics::described(cluster, topic).await?;
    }
    let prints = file.flows.iter().any(|flow| flow.to.iter().any(|branch| branch.sink == "stdout"));
    let started = Instant::now();
    let mut names = Vec::new();
    let mut handles = Vec::new();
    for (name, flow) in pipeline::open(file, &cluster.client).await.map_err(vltava::Error::from)? {
        let flow = if args.until_caught_up { flow.until_caught_up() } else { flow };
        handles.push(flow.start().await.map_err(vltava::Error::from)?);
        names.push(name);
    }
    // Records and the line would write over each other on one terminal.
    let watched = if prints && std::io::stdout().is_terminal() { None } else { Some(&handles) };
    let progress = watched
        .map(|handles| Progress::start(&names.join(", "), handles.iter().map(FlowHandle::control).collect()));
    let ended = flow::all_until_signal(handles, flow::DRAIN).await;
    drop(progress);
    let elapsed = started.elapsed();
    for (name, summary) in names.iter().zip(ended.map_err(vltava::Error::from)?) {
        eprintln!("{name}: {} records in {:.1} s", count(summary.done), elapsed.as_secs_f64());
    }
    Ok(())
}
