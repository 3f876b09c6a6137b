//! One batch, as it came: its header is read, its records are not.

use std::ops::Deref;

use bytes::{Buf, Bytes};

use crate::{
    budget::OverLimit,
    compress::{Compression, CompressionError, Decompressor},
};

use super::{
    error::{RecordError, RecordErrorKind},
    fields::Fields,
    header::{BATCH_OVERHEAD_BYTES, BatchHeader, LENGTH_PREFIX_BYTES, at},
    reader::Records,
};

/// How much a batch may unpack to. A reader's memory is not at the mercy of who wrote the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of records at most.
    pub bytes_max: usize,
    /// Bytes of records for each byte of the batch at most, once there are more than [`Limits::RATIO_FROM`].
    pub ratio_max: usize,
    /// Records at most. Reading keeps 32 bytes beside each, so a batch of many small ones takes more than its bytes.
    pub records_max: usize,
}

impl Limits {
    /// A batch may be as large as a request, 100 MiB, before it is packed.
    pub const BYTES_MAX: usize = 100 << 20;

    /// Zstandard packs records that repeat each other by a thousand and more: 1,500 times the same 10 KiB by 1,261.
    /// What is packed eight times as well has little to say.
    pub const RATIO_MAX: usize = 8_192;

    /// Four million records, of which even the smallest fill 28 MiB: what is kept beside them takes 128 MiB then.
    pub const RECORDS_MAX: usize = 1 << 22;

    /// Up to here any ratio will do.
    pub const RATIO_FROM: usize = 8 << 20;

    fn of(self, packed_bytes: usize) -> usize {
        let by_ratio = packed_bytes.saturating_mul(self.ratio_max).max(Self::RATIO_FROM);
        // A record knows its place in 32 bits, and no batch that is not packed is longer.
        self.bytes_max.min(by_ratio).min(i32::MAX as usize)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: Self::BYTES_MAX, ratio_max: Self::RATIO_MAX, records_max: Self::RECORDS_MAX }
    }
}

/// One whole batch. Dereferences to its header.
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// The batch at the start of `bytes`. What follows it is not part of it, but stays in memory as long as it does:
    /// both are views of the same bytes.
    pub fn parse(mut bytes: Bytes) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(&bytes)?;
        if bytes.len() < header.length {
            return Err(RecordErrorKind::Truncated.of_batch(header.base_offset));
        }
        bytes.truncate(header.length);
        Ok(Self { header, bytes })
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The batch as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Checks that the bytes are those that were sent. To be asked once, before anything is made of them.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let actual = checksum(&self.bytes[at::ATTRIBUTES..]);
        if actual == self.crc {
            return Ok(());
        }
        Err(RecordErrorKind::BadCrc { expected: self.crc, actual }.of_batch(self.base_offset))
    }

    /// Checks what a broker must know before it stores a batch from a producer: that the bytes are those that were
    /// sent and the records take one offset each, from the base offset to the last. The records of a packed batch
    /// are believed to do what the header says, if they are no more than so many bytes may unpack to. Allocates
    /// nothing.
    pub fn check_produced(&self) -> Result<(), RecordError> {
        self.check_crc()?;
        let BatchHeader { base_offset, count, last_offset_delta, .. } = self.header;
        let broken = |kind: RecordErrorKind| Err(kind.of_batch(base_offset));
        if count == 0 {
            return broken(RecordErrorKind::Empty);
        }
        if i64::from(count) != i64::from(last_offset_delta) + 1 {
            return broken(RecordErrorKind::CountUnlikeDeltas { count, last_offset_delta });
        }
        self.check_count(Limits::RECORDS_MAX)?;
        match self.compression() {
            Compression::None => self.check_records(),
            _ if self.count_fits(Limits::default().of(self.length - BATCH_OVERHEAD_BYTES)) => Ok(()),
            _ => broken(RecordErrorKind::BadCount(count)),
        }
    }

    /// Unpacks and checks the records as [`decompress_with`](Self::decompress_with) does, by a decompressor of its
    /// own.
    pub fn decompress(self, limits: Limits) -> Result<Records, RecordError> {
        self.decompress_with(&mut Decompressor::new(), limits)
    }

    /// Unpacks the records, if they are packed, and checks all of them, so that reading them cannot fail. What was
    /// unpacked lives as long as a record of it does; what was not is the batch's own bytes.
    pub fn decompress_with(
        self,
        decompressor: &mut Decompressor,
        limits: Limits,
    ) -> Result<Records, RecordError> {
        self.check_count(limits.records_max)?;
        let packed = self.bytes.slice(BATCH_OVERHEAD_BYTES..);
        let bytes_max = limits.of(packed.len());
        let unpacked = match self.compression() {
            Compression::None if packed.len() <= limits.bytes_max => Ok(packed),
            Compression::None => Err(CompressionError::TooLarge { bytes_max: limits.bytes_max }),
            kind => decompressor.decompress(kind, &packed, bytes_max),
        };
        let unpacked =
            unpacked.map_err(|error| RecordErrorKind::Compression(error).of_batch(self.base_offset))?;
        Records::check(self.header, unpacked).map_err(|kind| kind.of_batch(self.base_offset))
    }

    fn check_count(&self, max: usize) -> Result<(), RecordError> {
        let count = OverLimit::check("records of the batch", max, self.count as usize);
        count.map_err(|over| RecordErrorKind::OverLimit(over).of_batch(self.base_offset))
    }

    fn check_records(&self) -> Result<(), RecordError> {
        let records = &self.bytes[BATCH_OVERHEAD_BYTES..];
        let mut at = 0;
        let broken = |kind: RecordErrorKind| Err(kind.of_batch(self.base_offset));
        for expected in 0..self.count {
            let index = expected as u32;
            match Fields::read(records, at) {
                Some(fields) if fields.offset_delta != expected => {
                    return broken(RecordErrorKind::BadOffsetDelta { index, delta: fields.offset_delta });
                }
                Some(fields) => at = fields.end(),
                None => return broken(RecordErrorKind::BadRecord { index }),
            }
        }
        if at < records.len() {
            return broken(RecordErrorKind::TrailingBytes);
        }
        Ok(())
    }
}

impl Deref for Batch {
    type Target = BatchHeader;

    fn deref(&self) -> &BatchHeader {
        &self.header
    }
}

/// The batches of a records field, one after another. The last one is left out if it was cut off: a broker that
/// may send so many bytes and no more ends them anywhere. An error ends the walk.
pub fn batches(records: Bytes) -> Batches {
    Batches { rest: records }
}

/// See [`batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    /// What has not been walked: at the end, what was left out.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < whole_length(&self.rest)? {
            return None;
        }
        let batch = Batch::parse(self.rest.clone());
        match &batch {
            Ok(batch) => self.rest.advance(batch.length),
            Err(_) => self.rest.clear(),
        }
        Some(batch)
    }
}

/// How long the first batch says it is, if that much has come. A length that cannot be is nothing to wait for.
fn whole_length(bytes: &[u8]) -> Option<usize> {
    let prefix: &[u8; LENGTH_PREFIX_BYTES] = bytes.first_chunk()?;
    let length = i32::from_be_bytes(prefix[at::LENGTH..].try_into().expect("the length has four bytes"));
    Some(usize::try_from(length).unwrap_or(0).saturating_add(LENGTH_PREFIX_BYTES))
}

/// CRC-32C, as batches have it.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
