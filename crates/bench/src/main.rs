//! Ours beside the floor and the peers: a command for each thing that is measured.

mod codec;
mod instructions;
mod machine;
mod rounds;

use std::process::ExitCode;

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
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Codec(options) => codec::run(&options),
        Command::Instructions(options) => instructions::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
