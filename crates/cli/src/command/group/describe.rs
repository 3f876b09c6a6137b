//! `vltava group describe` and `vltava group lag`: what a group does, seen once or again and again.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use super::{
    look::{Seen, Watch},
    show::Group,
};
use crate::{
    brokers::Cluster,
    output::{self, Look, Output},
    report::Failure,
    signals::Signals,
    times,
};

/// What is seen in this time is judged together while a group is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its name
    name: String,
    /// How long to look for whether it keeps up; 0s looks once
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = times::duration)]
    window: Duration,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
pub(super) struct LagArgs {
    #[command(flatten)]
    args: Args,
    /// Show it again and again, until a signal
    #[arg(long)]
    watch: bool,
    /// How often, with --watch
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = times::duration)]
    interval: Duration,
}

/// How much is shown of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Lag,
    Members,
}

pub(super) async fn run(cluster: &Cluster, args: &Args) -> Result<(), Failure> {
    once(cluster, args, Extent::Members).await
}

pub(super) async fn lag(cluster: &Cluster, args: &LagArgs) -> Result<(), Failure> {
    if args.watch { watch(cluster, args).await } else { once(cluster, &args.args, Extent::Lag).await }
}

async fn once(cluster: &Cluster, args: &Args, extent: Extent) -> Result<(), Failure> {
    let mut watch = Watch::new(cluster, &args.name, args.window);
    let mut seen = watch.look().await?;
    let is_done = seen.partitions.values().all(|it| it.lag().is_none_or(|lag| lag == 0));
    if !is_done && !args.window.is_zero() {
        tokio::time::sleep(args.window).await;
        seen = watch.look().await?;
    }
    watch.date(&mut seen).await?;
    let group = shown(cluster, seen).await?;
    match args.output.look {
        Look::Json => Ok(output::write(&group.json(true)?)?),
        Look::Table => Ok(output::write(&group.text(extent == Extent::Members))?),
    }
}

async fn watch(cluster: &Cluster, args: &LagArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let watching = async {
        let mut watch = Watch::new(cluster, &args.args.name, WATCHED);
        let clears = io::stdout().is_terminal();
        for round in 0_u64.. {
            let mut seen = watch.look().await?;
            watch.date(&mut seen).await?;
            let group = shown(cluster, seen).await?;
            let text = match args.args.output.look {
                Look::Json => group.json(false)?,
                Look::Table if clears => format!("{CLEAR}{}", group.text(false)),
                Look::Table if round > 0 => format!("\n{}", group.text(false)),
                Look::Table => group.text(false),
            };
            output::write(&text)?;
            tokio::time::sleep(args.interval).await;
        }
        Ok(())
    };
    tokio::select! {
        biased;
        () = signals.next() => Ok(()),
        ended = watching => ended,
    }
}

/// What was seen, with who coordinates the group.
async fn shown(cluster: &Cluster, seen: Seen) -> Result<Group, Failure> {
    let admin = cluster.client.admin();
    let node = admin.coordinator(&seen.group.group).await.map_err(vltava::Error::from)?;
    let brokers = admin.brokers().await.map_err(vltava::Error::from)?;
    let coordinator = match brokers.get(&node) {
        Some(address) => format!("{node} ({address})"),
        None => node.to_string(),
    };
    Ok(Group::of(seen, coordinator))
}
