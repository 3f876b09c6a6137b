//! One record as it lies in a batch: a length, an unused byte, deltas, key, value, headers.

use super::varint;
use crate::limits::{HEADER_NAME_BYTES_MAX, HEADERS_MAX};

/// What a record says and where its parts lie, before its batch is taken into account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    key: Place,
    value: Place,
    end: u32,
}

impl Fields {
    /// Reads the record at `at` of records that are no longer than 2 GiB. `None` if it does not fit together.
    ///
    /// Numbers go in and out by value, so that they stay in registers: what is read next waits for them.
    #[inline(always)]
    pub(super) fn read(records: &[u8], at: usize) -> Option<Self> {
        let (length, start) = varint::length(records, at)?;
        let end = start + length? as usize;
        let record = records.get(..end)?;
        let (timestamp_delta, at) = varint::long(record, start + ATTRIBUTES_BYTES)?;
        let (offset_delta, at) = varint::int(record, at)?;
        let (key, at) = Place::read(record, at)?;
        let (value, at) = Place::read(record, at)?;
        let sound = Headers::are_sound(record, at);
        sound.then_some(Self { timestamp_delta, offset_delta, key, value, end: end as u32 })
    }

    /// Where the next record begins.
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.end as usize
    }

    #[inline(always)]
    pub(super) fn key<'a>(&self, records: &'a [u8]) -> Option<&'a [u8]> {
        self.key.of(records)
    }

    #[inline(always)]
    pub(super) fn value<'a>(&self, records: &'a [u8]) -> Option<&'a [u8]> {
        self.value.of(records)
    }

    /// The count of the headers and themselves.
    #[inline(always)]
    pub(super) fn headers<'a>(&self, records: &'a [u8]) -> &'a [u8] {
        &records[self.value.end()..self.end as usize]
    }
}

/// They have no meaning yet.
const ATTRIBUTES_BYTES: usize = 1;

/// Where a part of a record lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    /// Below zero, the part is absent.
    length: i32,
}

impl Place {
    /// Reads bytes with their length before them.
    #[inline(always)]
    fn read(record: &[u8], at: usize) -> Option<(Self, usize)> {
        let (length, start) = varint::length(record, at)?;
        let Some(length) = length else {
            return Some((Self { start: start as u32, length: -1 }, start));
        };
        let end = start + length as usize;
        (end <= record.len()).then_some((Self { start: start as u32, length: length as i32 }, end))
    }

    #[inline(always)]
    fn end(self) -> usize {
        self.start as usize + self.length.max(0) as usize
    }

    #[inline(always)]
    fn of(self, records: &[u8]) -> Option<&[u8]> {
        (self.length >= 0).then(|| &records[self.start as usize..self.end()])
    }
}

/// The headers of a record, in their order. Names may repeat and need not be UTF-8.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: usize,
}

impl<'a> Headers<'a> {
    /// Headers that [`are_sound`](Self::are_sound).
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let (count, at) = varint::int(bytes, 0).unwrap_or_default();
        Self { bytes, at, left: usize::try_from(count).unwrap_or_default() }
    }

    /// Whether the count at `at`, and as many headers as it says, are the rest of the record and within their limits.
    #[inline(always)]
    fn are_sound(record: &'a [u8], at: usize) -> bool {
        record[at..] == [0] || Self::are_sound_and_some(record, at)
    }

    #[inline(never)]
    fn are_sound_and_some(record: &'a [u8], at: usize) -> bool {
        let Some((count, mut at)) = varint::int(record, at) else { return false };
        let mut header_fits = || match header(record, at) {
            Some(((name, _), next)) => {
                at = next;
                name.len() <= HEADER_NAME_BYTES_MAX
            }
            None => false,
        };
        usize::try_from(count).is_ok_and(|count| count <= HEADERS_MAX)
            && (0..count).all(|_| header_fits())
            && at == record.len()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (header, next) = header(self.bytes, self.at)?;
        self.at = next;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

fn header(bytes: &[u8], at: usize) -> Option<(Header<'_>, usize)> {
    let (name, at) = Place::read(bytes, at)?;
    let (value, at) = Place::read(bytes, at)?;
    Some(((name.of(bytes)?, value.of(bytes)), at))
}
