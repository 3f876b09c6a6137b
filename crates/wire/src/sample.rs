//! Messages of random content, for tests: what a version lacks has its default, all else is anything. And the codecs
//! by themselves.
//!
//! `messages!` derives [`Sample`] for every struct; [`each_message`] visits every request and response.

use bytes::Bytes;

use crate::{
    api::{Api, Request},
    compress::{Compression, CompressionError, Compressor, Decompressor},
    primitive::{Uuid, Wire},
    version::Version,
};

/// Numbers from a seed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// A value that can be made up.
pub trait Sample {
    /// A value that `version` can carry.
    fn sample(dice: &mut Dice, version: Version) -> Self;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Sample for $number {
            fn sample(dice: &mut Dice, _: Version) -> Self {
                match dice.below(6) {
                    0 => Self::MIN,
                    1 => Self::MAX,
                    2 => Self::default(),
                    _ => dice.roll() as Self,
                }
            }
        }
    )*};
}
numbers! { i8 i16 u16 i32 u32 i64 f64 }

impl Sample for bool {
    fn sample(dice: &mut Dice, _: Version) -> Self {
        dice.below(2) == 1
    }
}

impl Sample for Uuid {
    fn sample(dice: &mut Dice, _: Version) -> Self {
        Self(u128::from(dice.roll()) << 64 | u128::from(dice.roll()))
    }
}

impl Sample for String {
    /// Some are longer than one byte of a compact length can say, some are not ASCII.
    fn sample(dice: &mut Dice, _: Version) -> Self {
        let length = if dice.below(8) == 0 { 200 } else { dice.below(12) };
        (0..length)
            .map(|_| if dice.below(6) == 0 { 'ř' } else { char::from(b'a' + dice.below(26) as u8) })
            .collect()
    }
}

impl Sample for Bytes {
    fn sample(dice: &mut Dice, _: Version) -> Self {
        let length = if dice.below(8) == 0 { 3_000 } else { dice.below(12) };
        (0..length).map(|_| dice.roll() as u8).collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(dice: &mut Dice, version: Version) -> Self {
        (dice.below(4) > 0).then(|| T::sample(dice, version))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(dice: &mut Dice, version: Version) -> Self {
        (0..dice.below(4)).map(|_| T::sample(dice, version)).collect()
    }
}

/// Who wants to see every message.
pub trait Visitor {
    /// Called with each message type.
    fn visit<T: Wire + Sample + PartialEq + std::fmt::Debug>(&mut self, api: Api, name: &'static str);

    /// Called with each request type, before it and its response are visited.
    fn ask<R: Request + Sample>(&mut self) {}
}

/// Visits every request and response, in the order of their APIs.
pub fn each_message(visitor: &mut impl Visitor) {
    crate::api::each_message(visitor);
}

/// Packs bytes as the records of a batch are packed.
pub fn compress<'a>(compressor: &'a mut Compressor, input: &'a [u8]) -> Result<&'a [u8], CompressionError> {
    compressor.compress(input)
}

/// Unpacks bytes as the records of a batch are unpacked.
pub fn decompress(
    decompressor: &mut Decompressor,
    kind: Compression,
    input: &[u8],
    bytes_max: usize,
) -> Result<Bytes, CompressionError> {
    decompressor.decompress(kind, input, bytes_max)
}
