//! Unpacking, batch after batch.

use std::fmt;

use bytes::Bytes;

use super::{Compression, CompressionError, gzip, lz4, room::Room, snappy};

#[cfg(feature = "zstd")]
use super::zstd;
#[cfg(not(feature = "zstd"))]
use super::zstd_pure as zstd;

/// Unpacks whatever comes. Keeps what the codecs need, once they were needed, and the buffer that they write into, so
/// that unpacking a batch allocates nothing but its records, exactly as many bytes as they have.
#[derive(Default)]
pub struct Decompressor {
    room: Room,
    gzip: Option<gzip::Unpacker>,
    zstd: Option<zstd::Unpacker>,
}

impl Decompressor {
    /// One that has not unpacked anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Unpacks `input` into no more than `bytes_max` bytes.
    pub(crate) fn decompress(
        &mut self,
        kind: Compression,
        input: &[u8],
        bytes_max: usize,
    ) -> Result<Bytes, CompressionError> {
        let room = &mut self.room;
        room.clear(bytes_max);
        let unpacked = match kind {
            Compression::None => room.push(input),
            _ if input.is_empty() => Err(CompressionError::cut_off()),
            Compression::Gzip => self.gzip.get_or_insert_default().unpack(input, room),
            Compression::Snappy => snappy::unpack(input, room),
            Compression::Lz4 => lz4::unpack(input, room),
            Compression::Zstd => self.zstd.get_or_insert_default().unpack(input, room),
        };
        let bytes = unpacked.map(|()| room.take());
        room.trim();
        bytes
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("decompressor")
    }
}
