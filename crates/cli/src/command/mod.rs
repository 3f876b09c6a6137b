//! The commands: a file for each verb.

mod broker;
mod consume;
mod demo;
mod group;
mod produce;
mod run;
mod topic;

use crate::{logs::Logs, report::Failure};

/// A Kafka streaming toolkit: flows, a client and an embedded broker.
#[derive(Debug, clap::Parser)]
#[command(name = "vltava", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Line {
    #[command(flatten)]
    logs: Logs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(run::Args),
    Broker(broker::Args),
    Topic(topic::Args),
    Produce(produce::Args),
    Consume(consume::Args),
    Group(group::Args),
    Demo(demo::Args),
}

impl Line {
    /// Does what the command line says.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        // A flow's file may name the level of logs: `run` starts them when it has read it.
        if !matches!(self.command, Command::Run(_)) {
            self.logs.start(None)?;
        }
        match self.command {
            Command::Run(args) => run::run(args, self.logs).await,
            Command::Broker(args) => broker::run(args).await,
            Command::Topic(args) => topic::run(args).await,
            Command::Produce(args) => produce::run(args).await,
            Command::Consume(args) => consume::run(args).await,
            Command::Group(args) => group::run(args).await,
            Command::Demo(args) => demo::run(args).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Line::command().debug_assert();
    }
}
