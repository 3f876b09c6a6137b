//! What holds for every codec.

use proptest::prelude::*;

use super::*;

const BYTES_MAX: usize = 1 << 20;

pub(super) fn packed(codec: impl Into<Codec>, input: &[u8]) -> Vec<u8> {
    Compressor::new(codec).compress(input).expect("these bytes can be packed").to_vec()
}

pub(super) fn unpack_up_to(
    kind: Compression,
    input: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, CompressionError> {
    Decompressor::new().decompress(kind, input, bytes_max).map(Vec::from)
}

pub(super) fn unpacked(kind: Compression, input: &[u8]) -> Vec<u8> {
    unpack_up_to(kind, input, BYTES_MAX).expect("these bytes can be unpacked")
}

/// Why a stream is broken.
pub(super) fn broken(kind: Compression, input: &[u8]) -> String {
    match unpack_up_to(kind, input, BYTES_MAX) {
        Err(CompressionError::Broken { reason }) => reason,
        other => panic!("{kind}: it should be broken, and is {other:?}"),
    }
}

/// Bytes that no codec makes smaller.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn available() -> impl Iterator<Item = Compression> {
    Compression::ALL.into_iter().filter(|kind| kind.is_available())
}

#[test]
fn names_and_numbers_come_back() {
    for kind in Compression::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(Compression::from_id(kind.id()), Some(kind));
    }
    assert_eq!(Compression::from_id(5), None);
    assert!("brotli".parse::<Compression>().is_err());
}

#[test]
fn a_stream_larger_than_allowed_is_refused() {
    for input in [vec![7; 100_000], noise(100_000)] {
        for kind in available() {
            let packed = packed(kind, &input);
            assert_eq!(unpack_up_to(kind, &packed, 100_000), Ok(input.clone()), "{kind}");
            for bytes_max in [99_999, 65_536, 1, 0] {
                let refused = unpack_up_to(kind, &packed, bytes_max);
                assert_eq!(refused, Err(CompressionError::TooLarge { bytes_max }), "{kind}");
            }
        }
    }
}

#[test]
fn a_stream_that_was_cut_off_is_an_error() {
    let input: Vec<u8> = (0..10_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for kind in available().filter(|kind| *kind != Compression::None) {
        let packed = packed(kind, &input);
        broken(kind, &packed[..packed.len() / 2]);
        broken(kind, &[]);
    }
}

#[test]
fn one_of_each_serves_batch_after_batch_large_small_and_broken() {
    let mut reader = Decompressor::new();
    for kind in available() {
        let mut writer = Compressor::new(kind);
        for bytes in [10, 1_000_000, 0, 70_000, 3, 16_384] {
            for input in [vec![7; bytes], noise(bytes)] {
                let packed = writer.compress(&input).expect("these bytes can be packed").to_vec();
                let cut = &packed[..packed.len().saturating_sub(1)];
                if kind != Compression::None {
                    assert!(
                        reader.decompress(kind, cut, BYTES_MAX).is_err(),
                        "{kind}, {bytes} bytes, cut off"
                    );
                }
                let unpacked = reader.decompress(kind, &packed, BYTES_MAX);
                assert_eq!(unpacked.as_deref(), Ok(&input[..]), "{kind}, {bytes} bytes");
            }
        }
    }
}

#[test]
fn every_level_is_read_back_and_more_effort_makes_less() {
    let input: Vec<u8> = (0..4_000u32).flat_map(|n| format!("{} {};", n * n, n % 77).into_bytes()).collect();
    for kind in available() {
        let at = |level| kind.at_level(level).ok().filter(|codec| codec.level() == level);
        let levels = (-50..=22).filter_map(at);
        let packed: Vec<_> = levels.map(|codec| packed(codec, &input)).collect();
        for bytes in &packed {
            assert_eq!(unpacked(kind, bytes), input, "{kind}");
        }
        if let [least, .., most] = &packed[..] {
            assert!(most.len() < least.len(), "{kind}: {} bytes, then {}", least.len(), most.len());
        }
    }
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_codec_that_can_only_be_read_is_not_written_and_says_which_feature_is_missing() {
    let refused = Compressor::new(Compression::Zstd).compress(b"x").map(<[u8]>::to_vec);
    assert_eq!(refused, Err(CompressionError::FeatureOff { feature: "zstd" }));
}

proptest! {
    #[test]
    fn what_was_packed_comes_back(input: Vec<u8>, times in 1usize..50) {
        let input = input.repeat(times);
        for kind in available() {
            prop_assert_eq!(unpack_up_to(kind, &packed(kind, &input), BYTES_MAX), Ok(input.clone()));
        }
    }

    #[test]
    fn random_bytes_never_panic(input: Vec<u8>) {
        for kind in Compression::ALL {
            let _ = unpack_up_to(kind, &input, BYTES_MAX);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(input: Vec<u8>, at: prop::sample::Index, flip in 1u8..) {
        for kind in available() {
            let mut packed = packed(kind, &input);
            if !packed.is_empty() {
                let at = at.index(packed.len());
                packed[at] ^= flip;
                let _ = unpack_up_to(kind, &packed, BYTES_MAX);
            }
        }
    }
}
