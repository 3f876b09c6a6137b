//! One record as it lies in a batch: a length, an unused byte, deltas, key, value, headers.

use super::varint;

/// What a record's bytes say, before its batch is taken into account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// Their count and themselves, not looked at.
    pub(super) headers: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads the record at `at`, which moves behind it. `None` if it does not fit together.
    #[inline(always)]
    pub(super) fn read(records: &'a [u8], at: &mut usize) -> Option<Self> {
        let length = usize::try_from(varint::int(records, at)?).ok()?;
        let record = records.get(*at..)?.get(..length)?;
        *at += length;
        let mut at = 1; // attributes, which have no meaning yet
        let timestamp_delta = varint::long(record, &mut at)?;
        let offset_delta = varint::int(record, &mut at)?;
        let key = nullable(record, &mut at)?;
        let value = nullable(record, &mut at)?;
        Some(Self { timestamp_delta, offset_delta, key, value, headers: record.get(at..)? })
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
        let mut at = 0;
        let left = varint::int(bytes, &mut at).and_then(|count| usize::try_from(count).ok());
        Self { bytes, at, left: left.unwrap_or_default() }
    }

    /// Whether the count, and as many headers as it says, are all there is.
    #[inline(always)]
    pub(super) fn are_sound(bytes: &'a [u8]) -> bool {
        bytes == [0] || Self::are_sound_and_some(bytes)
    }

    fn are_sound_and_some(bytes: &'a [u8]) -> bool {
        let mut at = 0;
        let Some(count) = varint::int(bytes, &mut at) else { return false };
        count >= 0 && (0..count).all(|_| header(bytes, &mut at).is_some()) && at == bytes.len()
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        header(self.bytes, &mut self.at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

fn header<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let name = nullable(bytes, at)??;
    Some((name, nullable(bytes, at)?))
}

/// Reads bytes with their length before them; below zero there are none.
#[inline(always)]
fn nullable<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = varint::int(bytes, at)?;
    let Ok(length) = usize::try_from(length) else { return Some(None) };
    let found = bytes.get(*at..)?.get(..length)?;
    *at += length;
    Some(Some(found))
}
