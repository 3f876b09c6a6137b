//! Logs: as text on stderr, beside the reports and the progress that are no logs.
//!
//! The level is that of `RUST_LOG`, else of `--verbose`, else of the flow's file (`log.level`), else warn.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use crate::report::Failure;

/// The options about logs, the same for every command.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Logs {
    /// Log more; twice or three times for still more (RUST_LOG goes before it)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
}

impl Logs {
    /// Starts logging. To be called once; `file` is the level a flow's file names.
    pub(crate) fn start(self, file: Option<&str>) -> Result<(), Failure> {
        let variable = std::env::var("RUST_LOG").ok().filter(|value| !value.trim().is_empty());
        let targets = self.targets(variable.as_deref(), file)?;
        let terminal = std::io::stderr().is_terminal();
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
        tracing_subscriber::registry().with(lines).with(targets).init();
        Ok(())
    }

    fn targets(self, variable: Option<&str>, file: Option<&str>) -> Result<Targets, Failure> {
        if let Some(text) = variable {
            return text.parse().map_err(|error| {
                Failure::because(format!("RUST_LOG: cannot read `{text}`"), &error)
                    .fix("write a level, or targets with levels: info or warn,vltava_client=debug")
            });
        }
        let level = match (self.verbose, file) {
            (0, None) => LevelFilter::WARN,
            (0, Some(level)) => level.parse().map_err(|_| {
                Failure::usage(format!("log.level: there is no level `{level}`"))
                    .fix("there are error, warn, info, debug, trace and off")
            })?,
            (1, _) => LevelFilter::INFO,
            (2, _) => LevelFilter::DEBUG,
            (_, _) => LevelFilter::TRACE,
        };
        Ok(Targets::new().with_default(level))
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn level_of(verbose: u8, variable: Option<&str>, file: Option<&str>) -> Option<LevelFilter> {
        Logs { verbose }.targets(variable, file).expect("levels").default_level()
    }

    #[test]
    fn the_variable_goes_before_the_flag_and_the_flag_before_the_file() {
        assert_eq!(level_of(0, None, None), Some(LevelFilter::WARN));
        assert_eq!(level_of(0, None, Some("info")), Some(LevelFilter::INFO));
        assert_eq!(level_of(2, None, Some("info")), Some(LevelFilter::DEBUG));
        assert_eq!(level_of(2, Some("error"), Some("info")), Some(LevelFilter::ERROR));
    }

    #[test]
    fn a_single_crate_can_be_asked_for() {
        let targets =
            Logs { verbose: 0 }.targets(Some("warn,vltava_client=debug"), None).expect("targets with levels");
        assert!(targets.would_enable("vltava_client::net", &Level::DEBUG));
        assert!(!targets.would_enable("vltava_broker", &Level::INFO));
    }

    #[test]
    fn a_level_that_does_not_exist_is_refused() {
        let failure = Logs { verbose: 0 }.targets(None, Some("loud")).expect_err("no such level");
        assert!(failure.to_string().starts_with("error: log.level: there is no level `loud`\n"));
        assert!(Logs { verbose: 0 }.targets(Some("a=b=c"), None).is_err());
    }
}
