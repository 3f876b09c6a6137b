//! The open batch: records are encoded straight from slices into what will be sent.

use bytes::Bytes;

use crate::{
    budget::OverLimit,
    compress::{Codec, Compression, Compressor},
    limits::{HEADER_NAME_BYTES_MAX, HEADERS_MAX, RECORDS_MAX, UNPACKED_BYTES_MAX},
};

use super::{
    batch::checksum,
    error::{RecordError, RecordErrorKind},
    header::{BATCH_OVERHEAD_BYTES, LENGTH_PREFIX_BYTES, MAGIC, TRANSACTIONAL, at},
    varint,
};

/// No headers, for a literal of [`RecordSlices`].
pub const NO_HEADERS: &[(&str, Option<&[u8]>)] = &[];

/// A record to be appended. Names and values of headers may be whatever is bytes.
#[derive(Debug)]
pub struct RecordSlices<'a, N = &'static str, V = &'static [u8]> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; without one, the record is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in their order.
    pub headers: &'a [(N, Option<V>)],
}

impl<'a> RecordSlices<'a> {
    /// A record without headers.
    pub fn new(timestamp: i64, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Self { timestamp, key, value, headers: NO_HEADERS }
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> RecordSlices<'_, N, V> {
    /// Bytes that it takes in this place of a batch.
    #[inline]
    fn bytes_as(&self, place: u32, timestamp_delta: i64) -> usize {
        let Self { key, value, headers, .. } = *self;
        let body = body_bytes(place, timestamp_delta, key, value, headers.len(), headers_bytes(headers));
        varint::size(body as i64) + body
    }
}

impl<N, V> Clone for RecordSlices<'_, N, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N, V> Copy for RecordSlices<'_, N, V> {}

/// Who sends a batch, and which of theirs it is: what makes a second copy of it known as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Given by the broker, or -1.
    pub producer_id: i64,
    /// Given by the broker, or -1.
    pub producer_epoch: i16,
    /// How many records the producer sent to the partition before, or -1.
    pub base_sequence: i32,
    /// Whether the batch is part of the producer's transaction.
    pub transactional: bool,
}

impl Stamp {
    /// Of a producer that is not idempotent.
    pub const NONE: Self =
        Self { producer_id: -1, producer_epoch: -1, base_sequence: -1, transactional: false };
}

/// A batch that records are appended to.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        Self::with_capacity(BATCH_OVERHEAD_BYTES)
    }

    /// An empty batch that grows to `bytes` without being moved.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::in_memory(Vec::with_capacity(bytes.max(BATCH_OVERHEAD_BYTES)))
    }

    /// An empty batch in memory that is needed no more, whatever it holds.
    pub fn in_memory(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(BATCH_OVERHEAD_BYTES, 0);
        Self { bytes, count: 0, base_timestamp: -1, max_timestamp: -1 }
    }

    /// How many records it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How long it is, its header included, before its records are packed.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How long it would be with this record, before its records are packed.
    pub fn size_with<N: AsRef<[u8]>, V: AsRef<[u8]>>(&self, record: &RecordSlices<'_, N, V>) -> usize {
        let timestamp_delta = record.timestamp.wrapping_sub(self.base(record.timestamp));
        self.bytes.len() + record.bytes_as(self.count, timestamp_delta)
    }

    /// How long a batch of this record alone would be, before it is packed.
    pub fn size_of_one<N: AsRef<[u8]>, V: AsRef<[u8]>>(record: &RecordSlices<'_, N, V>) -> usize {
        BATCH_OVERHEAD_BYTES + record.bytes_as(0, 0)
    }

    /// Appends a record and returns its index in the batch. On an error the batch is as before.
    #[inline(always)] // it is little more than a call
    pub fn append<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        record: RecordSlices<'_, N, V>,
    ) -> Result<u32, RecordError> {
        let RecordSlices { timestamp, key, value, headers } = record;
        if !headers.is_empty() {
            check_headers(headers)?;
        }
        self.put(timestamp, key, value, headers.len(), headers_bytes(headers))
            .map_err(|refused| refused.of(timestamp))?;
        for (name, value) in headers {
            self.put_nullable(Some(name.as_ref()));
            self.put_nullable(value.as_ref().map(AsRef::as_ref));
        }
        Ok(self.count - 1)
    }

    /// Closes the batch as [`finish_with`](Self::finish_with) does, by a compressor of its own.
    pub fn finish(self, stamp: Stamp, codec: impl Into<Codec>) -> Result<Bytes, RecordError> {
        self.finish_with(stamp, &mut Compressor::new(codec))
    }

    /// Closes the batch: packs its records, writes its header and checksum. Its base offset is 0, as a producer's
    /// is.
    pub fn finish_with(mut self, stamp: Stamp, compressor: &mut Compressor) -> Result<Bytes, RecordError> {
        if self.count == 0 {
            return Err(RecordErrorKind::Empty.into_error());
        }
        let compression = compressor.codec().compression();
        if compression != Compression::None {
            self.pack(compressor)?;
        }
        self.put_header(stamp, compression)?;
        Ok(Bytes::from(self.bytes))
    }

    /// The timestamp that deltas count from once this record is in.
    #[inline(always)]
    fn base(&self, timestamp: i64) -> i64 {
        if self.count == 0 { timestamp } else { self.base_timestamp }
    }

    /// Puts a record but for its headers, for which it makes room. All that does not depend on the caller's types is
    /// here, in one piece: how fast it is must not depend on what else the caller's crate has.
    #[inline(never)]
    fn put(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: usize,
        headers_bytes: usize,
    ) -> Result<(), Refused> {
        let base = self.base(timestamp);
        let timestamp_delta = timestamp.checked_sub(base).ok_or(Refused::TimestampOutOfRange)?;
        let body = body_bytes(self.count, timestamp_delta, key, value, headers, headers_bytes);
        if self.bytes.len() + varint::BYTES_MAX + body > UNPACKED_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        if self.count as usize == RECORDS_MAX {
            return Err(Refused::TooMany);
        }
        self.bytes.reserve(varint::BYTES_MAX + body);
        self.put_varint(body as i64);
        self.bytes.push(0);
        self.put_varint(timestamp_delta);
        self.put_varint(i64::from(self.count));
        self.put_nullable(key);
        self.put_nullable(value);
        self.put_varint(headers as i64);
        self.base_timestamp = base;
        self.max_timestamp = if self.count == 0 { base } else { self.max_timestamp.max(timestamp) };
        self.count += 1;
        Ok(())
    }

    #[inline(always)]
    fn put_nullable(&mut self, part: Option<&[u8]>) {
        match part {
            Some(part) => {
                self.put_varint(part.len() as i64);
                self.bytes.extend_from_slice(part);
            }
            None => self.put_varint(-1),
        }
    }

    #[inline(always)]
    fn put_varint(&mut self, value: i64) {
        varint::put(value, &mut self.bytes);
    }

    fn pack(&mut self, compressor: &mut Compressor) -> Result<(), RecordError> {
        let records = compressor
            .compress(&self.bytes[BATCH_OVERHEAD_BYTES..])
            .map_err(|error| RecordErrorKind::Compression(error).into_error())?;
        // Into the same memory: whoever counts it, counts what the records took before they were packed.
        self.bytes.truncate(BATCH_OVERHEAD_BYTES);
        self.bytes.extend_from_slice(records);
        Ok(())
    }

    fn put_header(&mut self, stamp: Stamp, compression: Compression) -> Result<(), RecordError> {
        let length = i32::try_from(self.bytes.len() - LENGTH_PREFIX_BYTES)
            .map_err(|_| RecordErrorKind::TooLong.into_error())?;
        let attributes = i16::from(compression.id()) | if stamp.transactional { TRANSACTIONAL } else { 0 };
        let mut put = |at: usize, field: &[u8]| self.bytes[at..at + field.len()].copy_from_slice(field);
        put(at::LENGTH, &length.to_be_bytes());
        put(at::LEADER_EPOCH, &(-1i32).to_be_bytes());
        put(at::MAGIC, &MAGIC.to_be_bytes());
        put(at::ATTRIBUTES, &attributes.to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &(self.count - 1).to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp.to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(at::COUNT, &self.count.to_be_bytes());
        put_stamp(&mut self.bytes, stamp);
        Ok(())
    }
}

/// A copy of a batch under another number, with the checksum renewed. Whether it is transactional stays as it was.
///
/// # Panics
/// If `batch` is shorter than a header.
pub fn restamp(batch: &[u8], stamp: Stamp) -> Bytes {
    assert!(batch.len() >= BATCH_OVERHEAD_BYTES, "a batch has a header");
    let mut copy = batch.to_vec();
    put_stamp(&mut copy, stamp);
    Bytes::from(copy)
}

fn put_stamp(batch: &mut [u8], stamp: Stamp) {
    batch[at::PRODUCER_ID..at::PRODUCER_EPOCH].copy_from_slice(&stamp.producer_id.to_be_bytes());
    batch[at::PRODUCER_EPOCH..at::BASE_SEQUENCE].copy_from_slice(&stamp.producer_epoch.to_be_bytes());
    batch[at::BASE_SEQUENCE..at::COUNT].copy_from_slice(&stamp.base_sequence.to_be_bytes());
    let crc = checksum(&batch[at::ATTRIBUTES..]);
    batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}

/// Why a record is kept out of a batch: small, so that the way of all others costs nothing.
enum Refused {
    TimestampOutOfRange,
    TooLong,
    TooMany,
}

impl Refused {
    #[cold]
    fn of(self, timestamp: i64) -> RecordError {
        match self {
            Self::TimestampOutOfRange => RecordErrorKind::TimestampOutOfRange(timestamp).into_error(),
            Self::TooLong => RecordErrorKind::TooLong.into_error(),
            Self::TooMany => {
                let over =
                    OverLimit { limit: "records of the batch", max: RECORDS_MAX, asked: RECORDS_MAX + 1 };
                RecordErrorKind::OverLimit(over).into_error()
            }
        }
    }
}

/// Refuses headers that no reader of ours would take.
fn check_headers<N: AsRef<[u8]>, V>(headers: &[(N, Option<V>)]) -> Result<(), RecordError> {
    let longest = headers.iter().map(|(name, _)| name.as_ref().len()).max().unwrap_or_default();
    OverLimit::check("headers of the record", HEADERS_MAX, headers.len())
        .and_then(|()| OverLimit::check("bytes of the header's name", HEADER_NAME_BYTES_MAX, longest))
        .map_err(|over| RecordErrorKind::OverLimit(over).into_error())
}

/// Bytes of a record after its length.
#[inline(always)]
fn body_bytes(
    place: u32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: usize,
    headers_bytes: usize,
) -> usize {
    1 + varint::size(timestamp_delta)
        + varint::size(i64::from(place))
        + nullable_bytes(key)
        + nullable_bytes(value)
        + varint::size(headers as i64)
        + headers_bytes
}

#[inline]
fn headers_bytes<N: AsRef<[u8]>, V: AsRef<[u8]>>(headers: &[(N, Option<V>)]) -> usize {
    let bytes = |(name, value): &(N, Option<V>)| {
        nullable_bytes(Some(name.as_ref())) + nullable_bytes(value.as_ref().map(AsRef::as_ref))
    };
    headers.iter().map(bytes).sum()
}

#[inline(always)]
fn nullable_bytes(part: Option<&[u8]>) -> usize {
    part.map_or(1, |part| varint::size(part.len() as i64) + part.len())
}
