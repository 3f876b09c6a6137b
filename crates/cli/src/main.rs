//! The command line of vltava.

mod format;
mod logs;
mod output;
mod report;
mod scan;

fn main() {}
