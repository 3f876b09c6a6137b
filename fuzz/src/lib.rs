//! The properties that `cargo test` replays, one function each, for the fuzzer to break. Nothing is decided here.

// The seeds of a property are for the replay, which also writes them for the fuzzer.
#![allow(dead_code)]

use vltava_wire::Compression;

#[path = "../../crates/broker/tests/fuzz/targets/mod.rs"]
mod broker;
#[path = "../../crates/core/tests/fuzz/targets/mod.rs"]
mod group;
#[cfg(feature = "flow")]
#[path = "../../crates/flow/tests/fuzz/targets/mod.rs"]
mod flow;
#[path = "../../crates/wire/tests/fuzz/targets/mod.rs"]
mod wire;

macro_rules! targets {
    ($($name:ident => $check:expr;)*) => {$(
        pub fn $name(input: &[u8]) {
            $check(input);
        }
    )*};
}

targets! {
    request => wire::request::check;
    response => wire::response::check;
    batch => wire::batch::check;
    gzip => |input| wire::compressed::check(Compression::Gzip, input);
    snappy => |input| wire::compressed::check(Compression::Snappy, input);
    lz4 => |input| wire::compressed::check(Compression::Lz4, input);
    zstd => |input| wire::compressed::check(Compression::Zstd, input);
    member => group::member::check;
    conversation => broker::conversation::check;
    folder => broker::folder::check;
}

#[cfg(feature = "flow")]
targets! {
    flow_file => flow::file::check;
}
