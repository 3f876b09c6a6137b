//! The five ways a batch's records may be packed. A [`Compressor`] packs, a [`Decompressor`] unpacks; both keep what
//! their codecs need from one batch to the next, and belong to who packs or unpacks many. A stream says nothing about
//! its size that is believed: what comes out is limited by the reader.

use std::{fmt, str::FromStr};

mod codec;
mod compressor;
mod decompressor;
mod error;
mod gzip;
mod lz4;
mod room;
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;
mod zstd_frame;
#[cfg(any(test, not(feature = "zstd")))]
mod zstd_pure;

pub use codec::{BadCodec, BadLevel, Codec, UnknownCompression};
pub use compressor::Compressor;
pub use decompressor::Decompressor;
pub use error::CompressionError;

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
    /// Zstandard. Every build reads it; it is written if the crate's feature `zstd` is on.
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

    /// Whether this build can pack with it. Every build can unpack every kind.
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

#[cfg(test)]
mod tests;
