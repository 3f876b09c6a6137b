//! Ours beside the floor and the peers: a command for each thing that is measured.

mod broker;
mod codec;
mod drive;
mod instructions;
mod machine;
mod page;
mod race;
mod rounds;
mod serve;
mod stub;
mod values;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Measures vltava beside a hand-written floor and other implementations of Kafka.
#[derive(Debug, Parser)]
#[command(name = "vltava-bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reading and writing records in memory, in CPU time.
    Codec(codec::Options),
    /// Instructions of reading and writing records and messages, counted by callgrind.
    Instructions(instructions::Options),
    /// Reading a topic, beside other clients.
    Consume(race::Options),
    /// Writing to a topic, beside other clients.
    Produce(race::Options),
    /// How long records take with ours and librdkafka, at a rate.
    Latency(race::LatencyOptions),
    /// What our broker takes and gives.
    Broker(broker::Options),
    /// Makes the page of what was kept by `--write`.
    Page(page::Options),
    /// Our broker, for what is measured through it.
    #[command(hide = true)]
    Serve(serve::Options),
    /// Serves canned records to any client, and counts what is produced.
    Stub(stub::Options),
    /// Has one client do its work: a contender in a race.
    #[command(hide = true)]
    Drive(drive::Task),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Codec(options) => codec::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Consume(options) => race::run(drive::Work::Consume, &options),
        Command::Produce(options) => race::run(drive::Work::Produce, &options),
        Command::Latency(options) => race::run_latency(&options),
        Command::Broker(options) => broker::run(&options),
        Command::Page(options) => page::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Stub(options) => stub::run(&options),
        Command::Drive(task) => drive::run(&task),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the repository that has what was measured.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench")
}
