//! Where unpacked bytes go: a buffer that is kept from batch to batch. It grows with what really comes, and never
//! beyond what one batch may unpack to.

use bytes::Bytes;

use super::CompressionError;

/// A buffer larger than this is not kept for the next batch, but handed out as it is instead of copied.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// See the top of the file.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bytes that came, then whatever is left of earlier batches.
    bytes: Vec<u8>,
    filled: usize,
    bytes_max: usize,
}

impl Room {
    /// Makes it empty, for a batch of no more than `bytes_max` bytes.
    pub(super) fn clear(&mut self, bytes_max: usize) {
        self.filled = 0;
        self.bytes_max = bytes_max;
    }

    /// How much may still come.
    pub(super) fn left(&self) -> usize {
        self.bytes_max - self.filled
    }

    /// What came last, up to so many bytes, and room for `wanted` more, or for as many as may still come. Whoever
    /// asks has seen that much of the stream that it may honestly become so long.
    pub(super) fn around(&mut self, last: usize, wanted: usize) -> (&[u8], &mut [u8]) {
        let end = self.filled + wanted.min(self.left());
        if self.bytes.len() < end {
            // By doubling, or a stream that comes in small steps would be copied over and over.
            let grown = end.max(self.bytes.len() * 2).min(self.bytes_max);
            self.bytes.reserve_exact(grown - self.bytes.len());
            self.bytes.resize(grown, 0);
        }
        let (before, spare) = self.bytes[..end].split_at_mut(self.filled);
        (&before[before.len().saturating_sub(last)..], spare)
    }

    /// Room for `wanted` bytes, or for as many as may still come.
    pub(super) fn spare(&mut self, wanted: usize) -> &mut [u8] {
        self.around(0, wanted).1
    }

    /// The last `bytes` that came.
    pub(super) fn last(&self, bytes: usize) -> &[u8] {
        &self.bytes[self.filled - bytes..self.filled]
    }

    /// So many bytes were written into the spare room.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.filled += bytes;
        assert!(self.filled <= self.bytes.len(), "a codec writes into the room it was given");
    }

    /// Appends bytes as they are.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), CompressionError> {
        if bytes.len() > self.left() {
            return Err(self.too_large());
        }
        self.spare(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
        Ok(())
    }

    pub(super) fn too_large(&self) -> CompressionError {
        CompressionError::TooLarge { bytes_max: self.bytes_max }
    }

    /// What came, in memory of its own: records keep it alive, so it cannot be part of what is reused.
    pub(super) fn take(&mut self) -> Bytes {
        if self.filled <= KEPT_BYTES_MAX {
            return Bytes::copy_from_slice(&self.bytes[..self.filled]);
        }
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.filled);
        bytes.shrink_to_fit();
        Bytes::from(bytes)
    }

    /// Gives back what only a large batch needed.
    pub(super) fn trim(&mut self) {
        if self.bytes.len() > KEPT_BYTES_MAX {
            self.bytes.truncate(KEPT_BYTES_MAX);
            self.bytes.shrink_to_fit();
        }
    }
}
