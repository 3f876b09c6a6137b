//! The commands: a file for each verb.

mod broker;
mod group;
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
    Broker(broker::Args),
    Topic(topic::Args),
    Group(group::Args),
}

impl Line {
    /// Does what the command line says.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        // A flow's file may name the level of logs: `run` starts them when it has read it.
        if true {
            self.logs.start(None)?;
        }
        match self.command {
            Command::Broker(args) => broker::run(args).await,
            Command::Topic(args) => topic::run(args).await,
            Command::Group(args) => group::run(args).await,
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
