//! What hostile bytes make a reader allocate, counted by the allocator: never more than it was given.
//!
//! The C library of zstd has an allocator of its own, whose work is not seen here.

use allocation_counter::measure;
use bytes::Bytes;
use vltava_wire::{
    Api, Budget, Compression, DecodeErrorKind, Decoder, Encoder, Version, Wire, limits,
    record::{BATCH_OVERHEAD_BYTES, Batch, BatchBuilder, Limits, RecordSlices, Stamp},
    sample::{Dice, Sample, Visitor, each_message},
};

/// What a message may take.
const BUDGET_BYTES: usize = 64 << 10;

/// What an error and its path take, a count of references to the frame, and a budget.
const CONSTANT_BYTES: usize = 2 << 10;

/// Bytes of a frame that goes on and on.
const LONG: usize = 16 << 10;

/// The most that reading a message as `T` allocates at one time, and why it failed.
fn read<T: Wire>(bytes: &[u8], version: Version) -> (usize, Option<DecodeErrorKind>) {
    let frame = Bytes::copy_from_slice(bytes);
    let mut end = None;
    let counted = measure(|| {
        let budget = Budget::new("the test's bytes", BUDGET_BYTES);
        let permit = budget.take(0).expect("nothing fits");
        let mut input = Decoder::new(frame.clone(), version, permit);
        end = T::decode(&mut input).err().map(|error| error.kind());
        drop(input);
        assert_eq!(budget.used(), 0, "what was let go is given back");
        assert!(budget.peak() <= BUDGET_BYTES);
    });
    (counted.bytes_max as usize, end)
}

/// Has every message read from bytes that are made from a sample of it.
struct Hostile<F> {
    seed: u64,
    make: F,
    peak: usize,
    over_budget: usize,
}

impl<F: FnMut(&mut Dice, &[u8], bool) -> Vec<u8>> Hostile<F> {
    fn run(seeds: u64, make: F) -> Self {
        let mut hostile = Self { seed: 0, make, peak: 0, over_budget: 0 };
        for seed in 0..seeds {
            hostile.seed = seed;
            each_message(&mut hostile);
        }
        hostile
    }
}

impl<F: FnMut(&mut Dice, &[u8], bool) -> Vec<u8>> Visitor for Hostile<F> {
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str) {
        for number in api.versions() {
            let version = api.version(number);
            let mut dice = Dice::new(self.seed);
            let mut out = Encoder::default();
            T::sample(&mut dice, version).encode(&mut out, version).expect("a sample fits its version");
            let bytes = (self.make)(&mut dice, &out.into_bytes(), version.flexible);
            let (peak, end) = read::<T>(&bytes, version);
            let most = BUDGET_BYTES + CONSTANT_BYTES;
            assert!(peak <= most, "{name} {number} took {peak} bytes, seed {}: {end:?}", self.seed);
            self.peak = self.peak.max(peak);
            self.over_budget += usize::from(matches!(end, Some(DecodeErrorKind::OverBudget(_))));
        }
    }
}

fn below(dice: &mut Dice, end: usize) -> usize {
    dice.below(end as u64) as usize
}

/// A count or length of a million, as the version writes it.
fn lie(flexible: bool) -> &'static [u8] {
    if flexible { &[0xc1, 0x84, 0x3d] } else { &[0x00, 0x0f, 0x42, 0x40] }
}

#[test]
fn random_bytes() {
    Hostile::run(20, |dice, _, _| (0..below(dice, 2_000)).map(|_| dice.roll() as u8).collect());
}

#[test]
fn messages_with_changed_bytes() {
    Hostile::run(20, |dice, sample, _| {
        let mut bytes = sample.to_vec();
        for _ in 0..1 + below(dice, 4) {
            let Some(end) = bytes.len().checked_sub(1) else { break };
            let at = below(dice, end + 1);
            bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xff, dice.roll() as u8][below(dice, 6)];
        }
        bytes
    });
}

#[test]
fn counts_that_lie_at_any_place_before_elements_that_are_small_on_the_wire_and_large_in_memory() {
    let hostile = Hostile::run(12, |dice, sample, flexible| {
        let at = below(dice, sample.len() + 1);
        // Empty text, empty lists and zeros: in flexible versions these are mostly ones.
        let fill = [0, 1, 1, 2][below(dice, 4)];
        [&sample[..at], lie(flexible), &vec![fill; LONG]].concat()
    });
    assert!(hostile.over_budget > 100, "{} were stopped by the budget", hostile.over_budget);
    assert!(hostile.peak > BUDGET_BYTES / 2, "at most {} bytes were taken", hostile.peak);
}

#[test]
fn lies_within_lies() {
    Hostile::run(8, |dice, sample, flexible| {
        let at = below(dice, sample.len() + 1);
        [&sample[..at], &lie(flexible).repeat(LONG / 4)].concat()
    });
}

#[test]
fn tagged_sections_that_are_long_and_say_everything_again_and_again() {
    Hostile::run(8, |dice, sample, _| {
        // The last section of a message ends it, and mostly is empty.
        let mut bytes = sample.to_vec();
        bytes.pop();
        bytes.push(limits::TAGS_MAX as u8);
        for tag in 0..limits::TAGS_MAX {
            let value: Vec<u8> = (0..below(dice, 100)).map(|_| dice.below(3) as u8).collect();
            bytes.extend([(tag % 4) as u8, value.len() as u8]);
            bytes.extend(value);
        }
        bytes
    });
}

/// What records may take unpacked.
const LIMITS: Limits = Limits { bytes_max: 1 << 20, ratio_max: 1_000, records_max: 1 << 15 };

/// A batch that says its records are packed in some way and are so many, with a checksum that nobody asks for.
fn batch(kind: Compression, count: i32, packed: &[u8]) -> Batch {
    let mut bytes = vec![0; BATCH_OVERHEAD_BYTES];
    bytes[8..12].copy_from_slice(&((BATCH_OVERHEAD_BYTES - 12 + packed.len()) as i32).to_be_bytes());
    bytes[16] = 2;
    bytes[22] = kind.id();
    bytes[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    bytes.extend(packed);
    Batch::parse(bytes.into()).expect("its header is sound")
}

/// The most that opening a batch allocates at one time, and whether it could be opened.
fn open(batch: &Batch) -> (usize, bool) {
    let mut is_open = false;
    let counted = measure(|| is_open = batch.clone().decompress(LIMITS).is_ok());
    (counted.bytes_max as usize, is_open)
}

/// Old and new place of what is unpacked while it grows, and what a codec itself keeps.
const UNPACKING_BYTES: usize = 3 * LIMITS.bytes_max + (256 << 10);

/// What is kept beside the records, 32 bytes each.
const BESIDE_BYTES: usize = 32 * LIMITS.records_max;

#[test]
fn batches_of_many_small_records() {
    for kind in packing() {
        let of = |count: usize| {
            let mut builder = BatchBuilder::new();
            for _ in 0..count {
                builder.append(RecordSlices::new(0, None, None)).expect("the batch has room");
            }
            Batch::parse(builder.finish(Stamp::NONE, kind).expect("records are there")).expect("a batch")
        };
        let (peak, is_open) = open(&of(LIMITS.records_max));
        assert!(is_open && peak <= UNPACKING_BYTES + BESIDE_BYTES, "{kind} took {peak} bytes: {is_open}");
        let (peak, is_open) = open(&of(100_000));
        assert!(!is_open && peak <= UNPACKING_BYTES, "{kind} took {peak} bytes, opened: {is_open}");
    }
}

/// Records of zeros, packed.
fn packed(kind: Compression, bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(RecordSlices::new(0, None, Some(&vec![0; bytes]))).expect("the batch has room");
    let batch = builder.finish(Stamp::NONE, kind).expect("a record is there");
    batch[BATCH_OVERHEAD_BYTES..].to_vec()
}

fn packing() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|kind| *kind != Compression::None && kind.is_available())
}

#[track_caller]
fn refused(kind: Compression, count: i32, packed: &[u8], most: usize) {
    let (peak, is_open) = open(&batch(kind, count, packed));
    assert!(!is_open && peak <= most, "{kind} took {peak} bytes, opened: {is_open}");
}

#[test]
fn bombs_of_every_codec() {
    for kind in packing() {
        let (_, is_open) = open(&batch(kind, 1, &packed(kind, LIMITS.bytes_max - 100)));
        assert!(is_open, "{kind}: what is allowed is unpacked");
        refused(kind, 1, &packed(kind, 8 << 20), UNPACKING_BYTES);
    }
}

#[test]
fn bombs_in_parts() {
    for kind in packing() {
        // Whether a codec reads more than its first part is its own business.
        let (peak, _) = open(&batch(kind, 1, &packed(kind, LIMITS.bytes_max / 3).repeat(30)));
        assert!(peak <= UNPACKING_BYTES, "{kind} took {peak} bytes");
    }
}

#[test]
fn streams_that_lie_about_their_length() {
    let snappy = |length: &[u8]| [length, &[0; 20]].concat();
    let framed = |length: &[u8]| [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], length, &[0; 20]].concat();
    for lie in [
        (Compression::Snappy, snappy(&[0xff, 0xff, 0xff, 0xff, 0x0f])),
        (Compression::Snappy, snappy(&[0x80, 0x80, 0x80, 0x80, 0x01])),
        (Compression::Snappy, framed(&[0x7f, 0xff, 0xff, 0xff])),
        (Compression::Snappy, framed(&[0, 0, 0, 20])),
        // A window of 128 MiB, then a block that says it is a megabyte of one byte; a content of 2^64 - 1 bytes.
        (Compression::Zstd, vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x03, 0x00, 0x80, 0x00]),
        (Compression::Zstd, [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &[0xff; 8], &[1, 0, 0]].concat()),
        // A content of 2^64 - 1 bytes.
        (Compression::Lz4, [&[0x04, 0x22, 0x4d, 0x18, 0x6c, 0x70][..], &[0xff; 9]].concat()),
    ] {
        refused(lie.0, 1, &lie.1, UNPACKING_BYTES);
    }
}

#[test]
fn batches_whose_counts_lie_and_records_that_are_broken() {
    for kind in packing() {
        for count in [0, 2, 100_000, i32::MAX] {
            refused(kind, count, &packed(kind, 1_000), UNPACKING_BYTES);
        }
    }
    for kind in packing() {
        for seed in 0..200 {
            let mut dice = Dice::new(seed);
            let mut bytes = packed(kind, 2_000);
            for _ in 0..1 + below(&mut dice, 3) {
                let at = below(&mut dice, bytes.len());
                bytes[at] = dice.roll() as u8;
            }
            let (peak, _) = open(&batch(kind, 1, &bytes));
            assert!(peak <= UNPACKING_BYTES, "{kind} took {peak} bytes, seed {seed}");
        }
    }
}
