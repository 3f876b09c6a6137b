//! Packing, batch after batch.

use std::fmt;

use super::{Codec, Compression, CompressionError, gzip, lz4, snappy};

/// Packs with one codec. Keeps the codec's state and a buffer for what comes out, so that packing a batch allocates
/// nothing but the batch.
pub struct Compressor {
    codec: Codec,
    state: State,
    packed: Vec<u8>,
}

/// A buffer larger than this is not kept for the next batch.
const KEPT_BYTES_MAX: usize = 1 << 20;

enum State {
    None,
    Gzip(gzip::Packer),
    Snappy(Box<snappy::Packer>),
    Lz4(lz4::Packer),
    #[cfg(feature = "zstd")]
    Zstd(super::zstd::Packer),
    /// A codec that can only be read in this build.
    #[cfg(not(feature = "zstd"))]
    Off {
        feature: &'static str,
    },
}

impl Compressor {
    /// One that packs so.
    pub fn new(codec: impl Into<Codec>) -> Self {
        let codec = codec.into();
        let state = match codec.compression() {
            Compression::None => State::None,
            Compression::Gzip => State::Gzip(gzip::Packer::new(codec.level())),
            Compression::Snappy => State::Snappy(Box::new(snappy::Packer::new())),
            Compression::Lz4 => State::Lz4(lz4::Packer::default()),
            #[cfg(feature = "zstd")]
            Compression::Zstd => State::Zstd(super::zstd::Packer::new(codec.level())),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => State::Off { feature: "zstd" },
        };
        Self { codec, state, packed: Vec::new() }
    }

    /// What it packs with.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// `input`, packed.
    pub(crate) fn compress(&mut self, input: &[u8]) -> Result<&[u8], CompressionError> {
        let Self { state, packed, .. } = self;
        packed.clear();
        packed.shrink_to(KEPT_BYTES_MAX);
        match state {
            State::None => packed.extend_from_slice(input),
            State::Gzip(gzip) => gzip.pack(input, packed)?,
            State::Snappy(snappy) => snappy.pack(input, packed)?,
            State::Lz4(lz4) => lz4.pack(input, packed)?,
            #[cfg(feature = "zstd")]
            State::Zstd(zstd) => zstd.pack(input, packed)?,
            #[cfg(not(feature = "zstd"))]
            State::Off { feature } => return Err(CompressionError::FeatureOff { feature }),
        }
        Ok(packed)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compressor for {}", self.codec)
    }
}
