//! The records of a batch, borrowed or as owned handles. They were checked as a whole, so reading them cannot fail.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    error::RecordErrorKind,
    fields::{Fields, Headers},
    header::{BatchHeader, TimestampType},
};

/// Said where a record is read again.
const CHECKED: &str = "records are checked before they are handed out";

/// All records of a batch, unpacked and checked. A clone costs a reference count.
#[derive(Debug, Clone)]
pub struct Records {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    header: BatchHeader,
    /// The records, without the header.
    bytes: Bytes,
}

impl Records {
    pub(super) fn check(header: BatchHeader, bytes: Bytes) -> Result<Self, RecordErrorKind> {
        if !header.count_fits(bytes.len()) {
            return Err(RecordErrorKind::BadCount(header.count));
        }
        let mut at = 0;
        let mut delta_min = 0;
        for index in 0..header.count as u32 {
            let bad = RecordErrorKind::BadRecord { index };
            let Some(fields) = Fields::read(&bytes, &mut at) else { return Err(bad) };
            if !Headers::are_sound(fields.headers) {
                return Err(bad);
            }
            let delta = fields.offset_delta;
            if delta < delta_min || delta > header.last_offset_delta {
                return Err(RecordErrorKind::BadOffsetDelta { index, delta });
            }
            delta_min = delta.saturating_add(1);
        }
        if at < bytes.len() {
            return Err(RecordErrorKind::TrailingBytes);
        }
        Ok(Self { shared: Arc::new(Shared { header, bytes }) })
    }

    /// The header of their batch.
    pub fn header(&self) -> &BatchHeader {
        &self.shared.header
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.header.count as usize
    }

    /// Whether compaction took all of them.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that live as long as a record of them does.
    pub fn bytes(&self) -> usize {
        self.shared.bytes.len()
    }

    /// The records as they lie in the batch, without its header.
    pub(super) fn unpacked(&self) -> &[u8] {
        &self.shared.bytes
    }

    /// The records in their order, borrowed.
    pub fn iter(&self) -> Iter<'_> {
        Iter { header: &self.shared.header, records: &self.shared.bytes, at: 0, left: self.len() }
    }

    /// The records in their order, each a handle that keeps the whole batch alive.
    pub fn owned(&self) -> Owned {
        Owned { records: self.clone(), at: 0, left: self.len() }
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = RecordRef<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// See [`Records::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    header: &'a BatchHeader,
    records: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let fields = Fields::read(self.records, &mut self.at).expect(CHECKED);
        Some(RecordRef {
            offset: offset(self.header, fields.offset_delta),
            timestamp: timestamp(self.header, fields.timestamp_delta),
            key: fields.key,
            value: fields.value,
            headers: fields.headers,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// A record that borrows from its batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    offset: i64,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [u8],
}

impl<'a> RecordRef<'a> {
    /// Its place in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since 1970; -1 if it has none.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The key, if it has one.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The value; without one, the record is a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// The headers, read as they are asked for.
    pub fn headers(&self) -> Headers<'a> {
        Headers::of(self.headers)
    }
}

/// See [`Records::owned`].
#[derive(Debug, Clone)]
pub struct Owned {
    records: Records,
    at: usize,
    left: usize,
}

impl Iterator for Owned {
    type Item = Record;

    #[inline(always)] // into whatever collects them: a record is moved once instead of three times
    fn next(&mut self) -> Option<Record> {
        self.left = self.left.checked_sub(1)?;
        let shared = &*self.records.shared;
        let fields = Fields::read(&shared.bytes, &mut self.at).expect(CHECKED);
        let place = |part: &[u8]| Place::of(part, &shared.bytes);
        Some(Record {
            offset: offset(&shared.header, fields.offset_delta),
            timestamp: timestamp(&shared.header, fields.timestamp_delta),
            key: fields.key.map_or(Place::NONE, place),
            value: fields.value.map_or(Place::NONE, place),
            headers: place(fields.headers),
            records: self.records.clone(),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Owned {}

/// A record on its own: a handle on its batch, which lives as long, and where to find things in it.
#[derive(Clone)]
pub struct Record {
    records: Records,
    offset: i64,
    timestamp: i64,
    key: Place,
    value: Place,
    headers: Place,
}

impl Record {
    /// Its place in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Milliseconds since 1970; -1 if it has none.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The key, if it has one.
    pub fn key(&self) -> Option<&[u8]> {
        self.key.range().map(|range| &self.records.shared.bytes[range])
    }

    /// The value; without one, the record is a tombstone.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.range().map(|range| &self.records.shared.bytes[range])
    }

    /// The key as bytes of its own, which keep the batch alive.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key.range().map(|range| self.records.shared.bytes.slice(range))
    }

    /// The value as bytes of its own, which keep the batch alive.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value.range().map(|range| self.records.shared.bytes.slice(range))
    }

    /// The headers, read as they are asked for.
    pub fn headers(&self) -> Headers<'_> {
        Headers::of(self.headers.range().map_or(&[], |range| &self.records.shared.bytes[range]))
    }

    /// Bytes of its key, value and headers: what it weighs by itself.
    pub fn bytes(&self) -> usize {
        [self.key, self.value, self.headers].iter().map(|place| place.length as usize).sum()
    }

    /// The same, borrowed.
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key(),
            value: self.value(),
            headers: self.headers.range().map_or(&[], |range| &self.records.shared.bytes[range]),
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// Where a part of a record lies in its batch. A batch is shorter than 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    length: u32,
}

impl Place {
    /// Nowhere: the part is absent.
    const NONE: Self = Self { start: u32::MAX, length: 0 };

    #[inline(always)]
    fn of(part: &[u8], records: &[u8]) -> Self {
        let start = part.as_ptr() as usize - records.as_ptr() as usize;
        Self { start: start as u32, length: part.len() as u32 }
    }

    fn range(self) -> Option<Range<usize>> {
        let start = self.start as usize;
        (self.start != u32::MAX).then_some(start..start + self.length as usize)
    }
}

#[inline(always)]
fn offset(header: &BatchHeader, delta: i32) -> i64 {
    header.base_offset + i64::from(delta)
}

#[inline(always)]
fn timestamp(header: &BatchHeader, delta: i64) -> i64 {
    match header.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    }
}
