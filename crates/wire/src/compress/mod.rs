//! The five ways a batch's records may be packed, behind one table. A stream says nothing about its size that is
//! believed: what comes out is limited by the reader.

use std::{fmt, io::Read, str::FromStr};

mod gzip;
mod lz4;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;

/// How the records of a batch are packed. The numbers are those of the batch's attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Compression {
    /// As they are.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy blocks, framed as Java's `SnappyOutputStream` does.
    Snappy = 2,
    /// LZ4 frames of independent blocks.
    Lz4 = 3,
    /// Zstandard, if the crate's feature `zstd` is on.
    Zstd = 4,
}

impl Compression {
    /// Every kind, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The kind of a number, if there is one.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Its name in Kafka's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build can pack and unpack it.
    pub fn is_available(self) -> bool {
        cfg!(feature = "zstd") || self != Self::Zstd
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| UnknownCompression(name.to_owned()))
    }
}

/// A name that stands for no kind of compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCompression(String);

impl fmt::Display for UnknownCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no compression is called {:?}: it is none, gzip, snappy, lz4 or zstd", self.0)
    }
}

impl std::error::Error for UnknownCompression {}

/// Why bytes could not be packed or unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompressionError {
    /// What comes out is larger than the reader allows, or than such a stream could honestly hold.
    TooLarge {
        /// The most that was allowed.
        bytes_max: usize,
    },
    /// The stream is not what it says it is.
    Broken {
        /// What the codec says.
        reason: String,
    },
    /// This build lacks a feature of the crate.
    FeatureOff {
        /// The feature to build with.
        feature: &'static str,
    },
}

impl CompressionError {
    fn broken(error: impl fmt::Display) -> Self {
        Self::Broken { reason: error.to_string() }
    }
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes_max } => write!(f, "the stream unpacks to more than {bytes_max} bytes"),
            Self::Broken { reason } => write!(f, "the stream is broken: {reason}"),
            Self::FeatureOff { feature } => write!(f, "built without the feature {feature}"),
        }
    }
}

impl std::error::Error for CompressionError {}

/// Appends `input`, packed, to `out`.
pub(crate) fn compress(kind: Compression, input: &[u8], out: &mut Vec<u8>) -> Result<(), CompressionError> {
    match kind {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => gzip::compress(input, out)?,
        Compression::Snappy => snappy::compress(input, out)?,
        Compression::Lz4 => lz4::compress(input, out)?,
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::compress(input, out)?,
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => return Err(CompressionError::FeatureOff { feature: "zstd" }),
    }
    Ok(())
}

/// Unpacks `input` into no more than `bytes_max` bytes.
pub(crate) fn decompress(
    kind: Compression,
    input: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, CompressionError> {
    match kind {
        Compression::None if input.len() > bytes_max => Err(CompressionError::TooLarge { bytes_max }),
        Compression::None => Ok(input.to_vec()),
        Compression::Gzip => gzip::decompress(input, bytes_max),
        Compression::Snappy => snappy::decompress(input, bytes_max),
        Compression::Lz4 => lz4::decompress(input, bytes_max),
        #[cfg(feature = "zstd")]
        Compression::Zstd => zstd::decompress(input, bytes_max),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => Err(CompressionError::FeatureOff { feature: "zstd" }),
    }
}

/// Reads a stream to its end. The buffer grows with what really comes.
fn read_all(stream: impl Read, input_bytes: usize, bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    // A guess that saves most of the growing: records shrink to a third or so.
    let mut out = Vec::with_capacity(input_bytes.saturating_mul(4).min(bytes_max));
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    stream.take(limit).read_to_end(&mut out).map_err(CompressionError::broken)?;
    if out.len() > bytes_max {
        return Err(CompressionError::TooLarge { bytes_max });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES_MAX: usize = 1 << 20;

    fn packed(kind: Compression, input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(kind, input, &mut out).expect("these bytes can be packed");
        out
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
        let input = vec![7; 100_000];
        for kind in available() {
            let packed = packed(kind, &input);
            assert_eq!(decompress(kind, &packed, 100_000), Ok(input.clone()), "{kind}");
            let refused = decompress(kind, &packed, 99_999);
            assert_eq!(refused, Err(CompressionError::TooLarge { bytes_max: 99_999 }), "{kind}");
        }
    }

    #[test]
    fn a_stream_that_was_cut_off_is_an_error() {
        let input: Vec<u8> =
            (0..10_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for kind in available().filter(|kind| *kind != Compression::None) {
            let packed = packed(kind, &input);
            let cut = decompress(kind, &packed[..packed.len() / 2], BYTES_MAX);
            assert!(matches!(cut, Err(CompressionError::Broken { .. })), "{kind}: {cut:?}");
        }
    }

    #[cfg(not(feature = "zstd"))]
    #[test]
    fn a_codec_that_was_not_built_is_refused_by_the_name_of_its_feature() {
        let refused = Err(CompressionError::FeatureOff { feature: "zstd" });
        assert_eq!(compress(Compression::Zstd, b"x", &mut Vec::new()), refused);
        assert_eq!(decompress(Compression::Zstd, b"x", BYTES_MAX), refused.map(|()| Vec::new()));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(input: Vec<u8>, times in 1usize..50) {
            let input = input.repeat(times);
            for kind in available() {
                prop_assert_eq!(decompress(kind, &packed(kind, &input), BYTES_MAX), Ok(input.clone()));
            }
        }

        #[test]
        fn random_bytes_never_panic(input: Vec<u8>) {
            for kind in available() {
                let _ = decompress(kind, &input, BYTES_MAX);
            }
        }

        #[test]
        fn a_flipped_byte_never_panics(input: Vec<u8>, at: prop::sample::Index, flip in 1u8..) {
            for kind in available() {
                let mut packed = packed(kind, &input);
                if !packed.is_empty() {
                    let at = at.index(packed.len());
                    packed[at] ^= flip;
                    let _ = decompress(kind, &packed, BYTES_MAX);
                }
            }
        }
    }
}
