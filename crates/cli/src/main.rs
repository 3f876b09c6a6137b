//! The command line of vltava.

mod brokers;
mod command;
mod embedded;
mod format;
mod logs;
mod output;
mod progress;
mod report;
mod scan;
mod signals;
mod times;
mod topics;

use std::process::ExitCode;

use clap::Parser;

use crate::report::Failure;

fn main() -> ExitCode {
    let line = command::Line::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::because("cannot start threads", &error).report(),
    };
    let ended = runtime.block_on(line.run());
    // A read of stdin cannot be interrupted, so it is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
