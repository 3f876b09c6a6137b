//! The command line of vltava.

fn main() {}
