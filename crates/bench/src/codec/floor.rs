//! The floor: what reading and writing records cannot be much faster than in safe Rust. It knows the one shape it is
//! given, believes every byte that does not lead out of the batch, and has no type for an error.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::load::{Load, Row, Tally};

const HEADER_BYTES: usize = 61;

/// Reads all records where they lie.
pub(crate) fn borrowed(load: &Load) -> Tally {
    let mut tally = Tally::default();
    let mut rest = &load.fetched[..];
    while let Some((records, after)) = batch(rest) {
        for record in records {
            tally.add(record.offset, record.timestamp, record.key, record.value);
        }
        rest = after;
    }
    tally
}

/// A record that keeps its batch alive.
#[derive(Debug)]
pub(crate) struct Handle {
    batch: Arc<Bytes>,
    offset: i64,
    timestamp: i64,
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
}

/// Makes every record a handle of its own, gathers those of a batch in `gathered`, and reads them.
pub(crate) fn owned(load: &Load, gathered: &mut Vec<Handle>) -> Tally {
    let mut tally = Tally::default();
    let mut rest = load.fetched.clone();
    while let Some((records, after)) = batch(&rest) {
        let whole = rest.slice(..rest.len() - after.len());
        let place = |part: &[u8]| {
            let start = part.as_ptr() as usize - whole.as_ptr() as usize;
            start as u32..(start + part.len()) as u32
        };
        let shared = Arc::new(whole.clone());
        gathered.extend(records.map(|it| Handle {
            batch: shared.clone(),
            offset: it.offset,
            timestamp: it.timestamp,
            key: it.key.map(place),
            value: it.value.map(place),
        }));
        rest = rest.slice(whole.len()..);
        for handle in gathered.drain(..) {
            let part = |it: &Range<u32>| &handle.batch[it.start as usize..it.end as usize];
            let (key, value) = (handle.key.as_ref().map(part), handle.value.as_ref().map(part));
            tally.add(handle.offset, handle.timestamp, key, value);
        }
    }
    tally
}

/// A record as it lies in its batch.
#[derive(Debug, Clone, Copy)]
struct Found<'a> {
    offset: i64,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// The batch at the start of `fetched`, if its checksum is right, and what follows it.
fn batch(fetched: &[u8]) -> Option<(Reader<'_>, &[u8])> {
    let length = u32::from_be_bytes(*fetched.get(8..)?.first_chunk()?) as usize + 12;
    let (batch, rest) = fetched.split_at_checked(length)?;
    let crc = u32::from_be_bytes(*batch.get(17..)?.first_chunk()?);
    if checksum(&batch[21..]) != crc {
        return None;
    }
    let reader = Reader {
        bytes: batch,
        at: HEADER_BYTES,
        left: u32::from_be_bytes(*batch.get(57..)?.first_chunk()?),
        base_offset: i64::from_be_bytes(*batch.first_chunk()?),
        base_timestamp: i64::from_be_bytes(*batch.get(27..)?.first_chunk()?),
    };
    Some((reader, rest))
}

/// The records of a batch.
#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
    base_offset: i64,
    base_timestamp: i64,
}

impl<'a> Iterator for Reader<'a> {
    type Item = Found<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Found<'a>> {
        self.left = self.left.checked_sub(1)?;
        let length = varint(self.bytes, &mut self.at)? as usize;
        let record = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length;
        let mut at = 1;
        let timestamp = self.base_timestamp + varint(record, &mut at)?;
        let offset = self.base_offset + varint(record, &mut at)?;
        let key = part(record, &mut at)?;
        let value = part(record, &mut at)?;
        Some(Found { offset, timestamp, key, value })
    }
}

#[inline(always)]
fn part<'a>(record: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let length = varint(record, at)?;
    if length < 0 {
        return Some(None);
    }
    let found = record.get(*at..)?.get(..length as usize)?;
    *at += length as usize;
    Some(Some(found))
}

#[inline(always)]
fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    let mut value = u64::from(first);
    if first >= 0x80 {
        let second = *bytes.get(*at)?;
        *at += 1;
        value = u64::from(first & 0x7f) | u64::from(second & 0x7f) << 7;
        if second >= 0x80 {
            value |= longer(bytes, at)? << 14;
        }
    }
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[inline(never)]
fn longer(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..50).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A batch that records are appended to, in memory that is used again.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Writer {
    /// Writes a batch.
    pub(crate) fn written(&mut self, rows: &[Row]) -> &[u8] {
        self.open();
        for row in rows {
            self.append(row);
        }
        self.close()
    }

    fn open(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES, 0);
        self.count = 0;
    }

    #[inline]
    fn append(&mut self, row: &Row) {
        let Row { timestamp, key, value } = row;
        if self.count == 0 {
            (self.base_timestamp, self.max_timestamp) = (*timestamp, *timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(*timestamp);
        let lead = [zigzag((timestamp - self.base_timestamp) as usize), zigzag(self.count as usize)];
        let (key_length, value_length) = (zigzag(key.len()), zigzag(value.len()));
        let sizes = size(lead[0]) + size(lead[1]) + size(key_length) + size(value_length);
        let body = 1 + sizes + key.len() + value.len() + 1;
        self.bytes.reserve(body + 5);
        self.put(zigzag(body));
        self.bytes.push(0);
        self.put(lead[0]);
        self.put(lead[1]);
        self.put(key_length);
        self.bytes.extend_from_slice(key);
        self.put(value_length);
        self.bytes.extend_from_slice(value);
        self.bytes.push(0);
        self.count += 1;
    }

    fn close(&mut self) -> &[u8] {
        let bytes = &mut self.bytes;
        let length = bytes.len() as u32 - 12;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[12..16].copy_from_slice(&(-1i32).to_be_bytes());
        bytes[16] = 2;
        bytes[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..57].fill(0xff);
        bytes[57..61].copy_from_slice(&self.count.to_be_bytes());
        let crc = checksum(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    #[inline(always)]
    fn put(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[inline(always)]
fn zigzag(value: usize) -> u32 {
    (value as u32) << 1
}

#[inline(always)]
fn size(value: u32) -> usize {
    (38 - (value | 1).leading_zeros()) as usize / 7
}

fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}
