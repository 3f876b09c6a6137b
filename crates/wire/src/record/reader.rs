//! The records of a batch, borrowed or as owned handles. They were checked as a whole, so reading them cannot fail.

use std::{slice, sync::Arc};

use bytes::Bytes;

use super::{
    error::RecordErrorKind,
    fields::{Fields, Headers},
    header::{BatchHeader, TimestampType},
};

/// All records of a batch, unpacked and checked: beside their bytes, 32 more for each say where its parts lie, so that
/// they are looked for once. A clone costs a reference count.
#[derive(Debug, Clone)]
pub struct Records {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    header: BatchHeader,
    /// The records, without the header.
    bytes: Bytes,
    /// What was found when they were checked.
    fields: Vec<Fields>,
}

impl Records {
    pub(super) fn check(header: BatchHeader, bytes: Bytes) -> Result<Self, RecordErrorKind> {
        if !header.count_fits(bytes.len()) {
            return Err(RecordErrorKind::BadCount(header.count));
        }
        // No more than the bytes that came can hold, and than a batch may have.
        let mut all: Vec<Fields> = Vec::with_capacity(header.count as usize);
        let (mut at, mut last) = (0, -1);
        while all.len() < header.count as usize {
            let Some(fields) = Fields::read(&bytes, at) else {
                return Err(RecordErrorKind::BadRecord { index: all.len() as u32 });
            };
            let delta = fields.offset_delta;
            if delta <= last {
                return Err(RecordErrorKind::BadOffsetDelta { index: all.len() as u32, delta });
            }
            (at, last) = (fields.end(), delta);
            all.push(fields);
        }
        if last > header.last_offset_delta {
            let index = all.partition_point(|it| it.offset_delta <= header.last_offset_delta);
            let delta = all[index].offset_delta;
            return Err(RecordErrorKind::BadOffsetDelta { index: index as u32, delta });
        }
        if at < bytes.len() {
            return Err(RecordErrorKind::TrailingBytes);
        }
        Ok(Self { shared: Arc::new(Shared { header, bytes, fields: all }) })
    }

    /// The header of their batch.
    pub fn header(&self) -> &BatchHeader {
        &self.shared.header
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shared.fields.len()
    }

    /// Whether compaction took all of them.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that live as long as a record of them does.
    pub fn bytes(&self) -> usize {
        self.shared.bytes.len() + size_of_val(&*self.shared.fields)
    }

    /// The records as they lie in the batch, without its header.
    pub(super) fn unpacked(&self) -> &[u8] {
        &self.shared.bytes
    }

    /// The records in their order, borrowed.
    pub fn iter(&self) -> Iter<'_> {
        self.since(i64::MIN)
    }

    /// The records from this offset on, borrowed.
    pub fn since(&self, offset: i64) -> Iter<'_> {
        let Shared { header, bytes, fields } = &*self.shared;
        Iter { header, records: bytes, fields: fields[self.first_since(offset)..].iter() }
    }

    /// The records in their order, each a handle that keeps the whole batch alive.
    pub fn owned(&self) -> Owned {
        self.owned_since(i64::MIN)
    }

    /// The records from this offset on, each a handle that keeps the whole batch alive.
    pub fn owned_since(&self, offset: i64) -> Owned {
        Owned { records: self.clone(), at: self.first_since(offset) as u32 }
    }

    fn first_since(&self, since: i64) -> usize {
        let Shared { header, fields, .. } = &*self.shared;
        if since <= header.base_offset {
            return 0;
        }
        fields.partition_point(|it| offset(header, it) < since)
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
    fields: slice::Iter<'a, Fields>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        let fields = self.fields.next()?;
        Some(RecordRef { header: self.header, records: self.records, fields })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.fields.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// A record that borrows from its batch.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    header: &'a BatchHeader,
    records: &'a [u8],
    fields: &'a Fields,
}

impl<'a> RecordRef<'a> {
    /// Its place in the partition.
    #[inline]
    pub fn offset(&self) -> i64 {
        offset(self.header, self.fields)
    }

    /// Milliseconds since 1970; -1 if it has none.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match self.header.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(self.fields.timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        }
    }

    /// The key, if it has one.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.fields.key(self.records)
    }

    /// The value; without one, the record is a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.fields.value(self.records)
    }

    /// The headers, read as they are asked for.
    #[inline]
    pub fn headers(&self) -> Headers<'a> {
        Headers::of(self.fields.headers(self.records))
    }
}

impl std::fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("offset", &self.offset())
            .field("timestamp", &self.timestamp())
            .field("key", &self.key())
            .field("value", &self.value())
            .field("headers", &self.headers())
            .finish()
    }
}

/// See [`Records::owned`].
#[derive(Debug, Clone)]
pub struct Owned {
    records: Records,
    at: u32,
}

impl Iterator for Owned {
    type Item = Record;

    #[inline]
    fn next(&mut self) -> Option<Record> {
        if self.at as usize == self.records.len() {
            return None;
        }
        let index = self.at;
        self.at += 1;
        Some(Record { records: self.records.clone(), index })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.records.len() - self.at as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Owned {}

/// A record on its own: a handle on its batch, which lives as long, and which of its records it is.
#[derive(Clone)]
pub struct Record {
    records: Records,
    index: u32,
}

impl Record {
    /// Its place in the partition.
    #[inline]
    pub fn offset(&self) -> i64 {
        self.as_ref().offset()
    }

    /// Milliseconds since 1970; -1 if it has none.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        self.as_ref().timestamp()
    }

    /// The key, if it has one.
    #[inline]
    pub fn key(&self) -> Option<&[u8]> {
        self.as_ref().key()
    }

    /// The value; without one, the record is a tombstone.
    #[inline]
    pub fn value(&self) -> Option<&[u8]> {
        self.as_ref().value()
    }

    /// The key as bytes of its own, which keep the batch alive.
    pub fn key_bytes(&self) -> Option<Bytes> {
        self.key().map(|key| self.records.shared.bytes.slice_ref(key))
    }

    /// The value as bytes of its own, which keep the batch alive.
    pub fn value_bytes(&self) -> Option<Bytes> {
        self.value().map(|value| self.records.shared.bytes.slice_ref(value))
    }

    /// The headers, read as they are asked for.
    pub fn headers(&self) -> Headers<'_> {
        self.as_ref().headers()
    }

    /// Bytes of its key, value and headers: what it weighs by itself.
    pub fn bytes(&self) -> usize {
        let record = self.as_ref();
        let parts = [record.key(), record.value(), Some(record.fields.headers(record.records))];
        parts.into_iter().flatten().map(<[u8]>::len).sum()
    }

    /// The same, borrowed.
    #[inline]
    pub fn as_ref(&self) -> RecordRef<'_> {
        let Shared { header, bytes, fields } = &*self.records.shared;
        RecordRef { header, records: bytes, fields: &fields[self.index as usize] }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[inline]
fn offset(header: &BatchHeader, fields: &Fields) -> i64 {
    header.base_offset + i64::from(fields.offset_delta)
}
