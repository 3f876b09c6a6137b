//! `vltava group delete`: whole groups, or what they have committed for some topics.

use std::collections::BTreeSet;

use vltava::TopicPartition;

use super::{described, not_there, refuse_members};
use crate::{brokers::Cluster, output, report::Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Their names
    #[arg(required = true)]
    names: Vec<String>,
    /// Keep the groups, and delete what they have committed for this topic; may be given several times
    #[arg(short, long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Do it
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(cluster: &Cluster, args: &Args) -> Result<(), Failure> {
    let mut plans = Vec::new();
    // All are checked before the first goes.
    for name in &args.names {
        plans.push((name, plan(cluster, args, name).await?));
    }
    for (name, plan) in plans {
        let what = plan.text(name);
        if args.yes {
            plan.carry_out(cluster, name).await?;
            output::write(&format!("deleted {what}\n"))?;
        } else {
            output::write(&format!("would delete {what}\n"))?;
        }
    }
    if !args.yes {
        output::write("nothing was deleted; say --yes to do it\n")?;
    }
    Ok(())
}

/// What goes of a group.
enum Plan {
    /// All, the offsets of so many partitions among it.
    Group(usize),
    Offsets(Vec<TopicPartition>),
}

async fn plan(cluster: &Cluster, args: &Args, name: &str) -> Result<Plan, Failure> {
    let group = described(cluster, name).await?.ok_or_else(|| not_there(cluster, name))?;
    let committed = cluster.client.admin().committed_offsets(name).await.map_err(vltava::Error::from)?;
    if args.topic.is_empty() {
        refuse_members(&group)?;
        return Ok(Plan::Group(committed.len()));
    }
    // Members are in the way only if they read one of the topics, which their coordinator knows.
    let named = |at: &TopicPartition| args.topic.iter().any(|topic| **topic == *at.topic);
    let offsets: Vec<_> = committed.into_keys().filter(named).collect();
    if offsets.is_empty() {
        let topics = args.topic.join(", ");
        return Err(Failure::not_found(format!("group {name} has committed nothing for {topics}")));
    }
    Ok(Plan::Offsets(offsets))
}

impl Plan {
    fn text(&self, name: &str) -> String {
        let partitions = |count: usize| format!("{count} partition{}", if count == 1 { "" } else { "s" });
        match self {
            Plan::Group(committed) => format!("group {name}: offsets of {}", partitions(*committed)),
            Plan::Offsets(offsets) => {
                let topics: BTreeSet<&str> = offsets.iter().map(|at| &*at.topic).collect();
                let topics = topics.into_iter().collect::<Vec<_>>().join(", ");
                format!("of group {name}: offsets of {} of {topics}", partitions(offsets.len()))
            }
        }
    }

    async fn carry_out(self, cluster: &Cluster, name: &str) -> Result<(), Failure> {
        let admin = cluster.client.admin();
        let done = match self {
            Plan::Group(_) => admin.delete_group(name).await,
            Plan::Offsets(offsets) => admin.delete_offsets(name, offsets).await,
        };
        Ok(done.map_err(vltava::Error::from)?)
    }
}
