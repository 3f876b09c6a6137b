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

/// How many elements, or bytes, are more than a length of one byte can say, in both forms of a length.
const LARGE: u64 = 128;

/// How many bytes are more than a compact length of two bytes can say.
const HUGE: usize = 16_384;

/// Numbers from a seed.
#[derive(Debug)]
pub struct Dice {
    state: u64,
    /// Whether the one large part has been made that a message may have.
    large: bool,
}

impl Dice {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, large: false }
    }

    /// The next number (splitmix64).
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// Whether this part is the large one: now and then, and only once, or a message would be nothing but large.
    fn large(&mut self) -> bool {
        let large = !self.large && self.below(200) == 0;
        self.large |= large;
        large
    }
}

/// A value that can be made up.
pub trait Sample {
    /// A value that `version` can carry.
    fn sample(dice: &mut Dice, version: Version) -> Self;
}

/// Whether two messages are the same, numbers that are not equal to themselves included.
pub fn same<T: PartialEq + std::fmt::Debug>(one: &T, other: &T) -> bool {
    one == other || format!("{one:?}") == format!("{other:?}")
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Sample for $number {
            /// Often what stands for something: the ends, none, and -1, which is unknown.
            fn sample(dice: &mut Dice, _: Version) -> Self {
                match dice.below(8) {
                    0 => Self::MIN,
                    1 => Self::MAX,
                    2 => 0,
                    3 => !0,
                    4 => dice.below(100) as Self,
                    _ => dice.roll() as Self,
                }
            }
        }
    )*};
}
numbers! { i8 i16 u16 i32 u32 i64 }

impl Sample for f64 {
    /// Any bits: some are not a number, and there are two zeros.
    fn sample(dice: &mut Dice, _: Version) -> Self {
        match dice.below(10) {
            0 => 0.0,
            1 => -0.0,
            2 => Self::NAN,
            3 => Self::INFINITY,
            4 => Self::NEG_INFINITY,
            5 => Self::MIN_POSITIVE,
            6 => Self::MAX,
            7 => dice.below(1_000) as Self / 8.0,
            _ => Self::from_bits(dice.roll()),
        }
    }
}

impl Sample for bool {
    fn sample(dice: &mut Dice, _: Version) -> Self {
        dice.below(2) == 1
    }
}

impl Sample for Uuid {
    fn sample(dice: &mut Dice, _: Version) -> Self {
        match dice.below(4) {
            0 => Self::ZERO,
            _ => Self(u128::from(dice.roll()) << 64 | u128::from(dice.roll())),
        }
    }
}

impl Sample for String {
    /// Letters of one byte to four.
    fn sample(dice: &mut Dice, _: Version) -> Self {
        let length = if dice.below(16) == 0 { LARGE / 2 + dice.below(LARGE) } else { dice.below(12) };
        let letter = |dice: &mut Dice| match dice.below(20) {
            0 => 'ř',
            1 => '語',
            2 => '🦀',
            _ => char::from(b'a' + dice.below(26) as u8),
        };
        let text: Self = (0..length).map(|_| letter(dice)).collect();
        if text.is_empty() || !dice.large() { text } else { text.repeat(HUGE / text.len() + 1) }
    }
}

impl Sample for Bytes {
    /// Now and then more than an encoder copies.
    fn sample(dice: &mut Dice, _: Version) -> Self {
        let length = if dice.below(16) == 0 { dice.below(3_000) } else { dice.below(12) };
        let bytes: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
        if bytes.is_empty() || !dice.large() {
            bytes.into()
        } else {
            bytes.repeat(HUGE / bytes.len() + 1).into()
        }
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(dice: &mut Dice, version: Version) -> Self {
        (dice.below(4) > 0).then(|| T::sample(dice, version))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(dice: &mut Dice, version: Version) -> Self {
        let length = if dice.large() { LARGE + dice.below(8) } else { dice.below(4) };
        (0..length).map(|_| T::sample(dice, version)).collect()
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
pub fn compress<'a>(compressor: &'a mut Compressor, input: &[u8]) -> Result<&'a [u8], CompressionError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::ApiVersionsResponse;

    /// One of the seeds that a lane tries makes a value such as this.
    fn reached<T: Sample>(what: &str, is_it: impl Fn(&T) -> bool) {
        let version = Api::ApiVersions.version(4);
        let mut samples = (0..1_000).map(|seed| T::sample(&mut Dice::new(seed), version));
        assert!(samples.any(|sample| is_it(&sample)), "{what}");
    }

    #[test]
    fn a_thousand_seeds_reach_what_matters() {
        for length in [0, 1, 3] {
            reached("a few elements", |list: &Vec<i8>| list.len() == length);
        }
        reached("more elements than a byte can say", |list: &Vec<i8>| list.len() > 127);
        reached("no list", |list: &Option<Vec<i8>>| list.is_none());
        reached("no text", |text: &String| text.is_empty());
        reached("longer text than a byte can say", |text: &String| (128..16_384).contains(&text.len()));
        reached("longer text than two can say", |text: &String| (16_384..32_767).contains(&text.len()));
        reached("longer bytes than two can say", |bytes: &Bytes| bytes.len() > 16_383);
        reached("the least number", |number: &i64| *number == i64::MIN);
        reached("the number for unknown", |number: &i32| *number == -1);
        reached("no number", |number: &f64| number.is_nan());
        reached("the other zero", |number: &f64| *number == 0.0 && number.is_sign_negative());
        let tags = |message: &ApiVersionsResponse| {
            [
                !message.supported_features.is_empty(),
                message.finalized_features_epoch != -1,
                !message.finalized_features.is_empty(),
                message.zk_migration_ready,
            ]
        };
        reached("all tags", |message| tags(message) == [true; 4]);
        reached("no tags", |message| tags(message) == [false; 4]);
    }

    #[test]
    fn what_is_no_number_is_the_same_as_itself() {
        assert!(same(&f64::NAN, &f64::NAN) && !same(&0.0, &-1.0));
        assert!(same(&[1], &[1]) && !same(&[1], &[2]));
    }
}
