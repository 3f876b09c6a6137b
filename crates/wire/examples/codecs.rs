//! What it costs to pack and to unpack a batch of 16 KiB, with a codec that is kept from batch to batch and with one
//! made anew for each: `cargo run --release -p vltava-wire --example codecs`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use vltava_wire::{
    Codec, Compression, Compressor, Decompressor,
    record::{Batch, BatchBuilder, Limits, RecordSlices, Stamp},
};

const BATCH_BYTES: usize = 16 << 10;

/// The best of so many rounds counts; in each, everything is measured once.
const ROUNDS: usize = 15;

const BATCHES_A_ROUND: u32 = 300;

fn main() {
    let codecs = ["gzip:1", "gzip", "snappy", "lz4", "zstd:1", "zstd"];
    let codecs = codecs.map(|it| it.parse::<Codec>().expect("it is a codec"));
    println!("| codec | ratio | pack, kept | made anew | saved | unpack, kept | made anew | saved |");
    println!("|---|---|---|---|---|---|---|---|");
    for codec in codecs.into_iter().filter(|it| it.compression().is_available()) {
        let (plain, packed) =
            (batch().finish(Stamp::NONE, Compression::None), batch().finish(Stamp::NONE, codec));
        let (plain, packed) = (plain.expect("it packs"), packed.expect("it packs"));
        let ratio = plain.len() as f64 / packed.len() as f64;
        let [pack, pack_anew, unpack, unpack_anew] = measured(codec, &packed);
        println!(
            "| {codec} | {ratio:.2} | {} | {} | {} | {} | {} | {} |",
            micros(pack),
            micros(pack_anew),
            saved(pack, pack_anew),
            micros(unpack),
            micros(unpack_anew),
            saved(unpack, unpack_anew),
        );
    }
}

fn measured(codec: Codec, packed: &Bytes) -> [Duration; 4] {
    let (mut compressor, mut decompressor) = (Compressor::new(codec), Decompressor::new());
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let pack = |work: &mut dyn FnMut(BatchBuilder) -> Bytes| {
            let batches: Vec<_> = (0..BATCHES_A_ROUND).map(|_| batch()).collect();
            let started = Instant::now();
            batches.into_iter().for_each(|batch| drop(std::hint::black_box(work(batch))));
            started.elapsed() / BATCHES_A_ROUND
        };
        let kept = pack(&mut |it| it.finish_with(Stamp::NONE, &mut compressor).expect("it packs"));
        let anew = pack(&mut |it| it.finish(Stamp::NONE, codec).expect("it packs"));
        let unpack = |work: &mut dyn FnMut(Batch) -> usize| {
            let batch = Batch::parse(packed.clone()).expect("it was just built");
            let started = Instant::now();
            (0..BATCHES_A_ROUND).for_each(|_| {
                std::hint::black_box(work(batch.clone()));
            });
            started.elapsed() / BATCHES_A_ROUND
        };
        let limits = Limits::default();
        let read =
            unpack(&mut |it| it.decompress_with(&mut decompressor, limits).expect("it is sound").len());
        let read_anew = unpack(&mut |it| it.decompress(limits).expect("it is sound").len());
        for (best, time) in best.iter_mut().zip([kept, anew, read, read_anew]) {
            *best = time.min(*best);
        }
    }
    best
}

/// Records of some hundred bytes, as an application writes them.
fn batch() -> BatchBuilder {
    let mut batch = BatchBuilder::new();
    let mut state = 1u64;
    while batch.bytes() < BATCH_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (id, price) = (state >> 40, (state >> 20) % 100_000);
        let value = format!(
            r#"{{"id":{id},"symbol":"S{}","price":{}.{:02},"side":"{}","venue":"XNAS","at":1700000{id}}}"#,
            id % 97,
            price / 100,
            price % 100,
            if id % 2 == 0 { "buy" } else { "sell" },
        );
        let record = RecordSlices::new(1_700_000_000_000, None, Some(value.as_bytes()));
        batch.append(record).expect("there is room");
    }
    batch
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

fn saved(kept: Duration, anew: Duration) -> String {
    format!("{:.0} %", 100.0 * (1.0 - kept.as_secs_f64() / anew.as_secs_f64()))
}
