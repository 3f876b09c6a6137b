//! What fuzzing found to be worth keeping, replayed: each property holds for its seeds, for the corpus and for every
//! input that once broke it.

mod replay;
mod targets;

use targets::{batch, compressed, request, response};
use vltava_wire::Compression;

#[test]
fn requests_hold() {
    replay::all("request", request::seeds(), request::check);
}

#[test]
fn responses_hold() {
    replay::all("response", response::seeds(), response::check);
}

#[test]
fn batches_hold() {
    replay::all("batch", batch::seeds(), batch::check);
}

#[test]
fn gzip_holds() {
    packed_holds(Compression::Gzip);
}

#[test]
fn snappy_holds() {
    packed_holds(Compression::Snappy);
}

#[test]
fn lz4_holds() {
    packed_holds(Compression::Lz4);
}

#[test]
fn zstd_holds() {
    packed_holds(Compression::Zstd);
}

fn packed_holds(kind: Compression) {
    replay::all(kind.name(), compressed::seeds(kind), |input| compressed::check(kind, input));
}
