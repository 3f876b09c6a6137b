//! The floor: what reading and writing records cannot be much faster than in safe Rust. It knows the one shape it is
//! given, believes every byte that does not lead out of the batch, and has no type for an error.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::load::{Load, Row, Tally};

const HEADER_BYTES: usize = 61;

/// The length of a key that is not there.
const NO_KEY: u32 = 1;

/// Reads all records where they lie.
pub(crate) fn borrowed(load: &Load) -> Tally {
    let mut tally = Tally::default();
    let mut rest = &load.fetched[..];
    while let Some((batch, after)) = batch(rest) {
        for record in batch.records() {
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
    pub(crate) offset: i64,
    timestamp: i64,
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
}

impl Handle {
    #[inline(always)]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|it| &self.batch[it.start as usize..it.end as usize])
    }

    #[inline(always)]
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.value.as_ref().map(|it| &self.batch[it.start as usize..it.end as usize])
    }
}

/// Makes every record a handle of its own, gathers those of a batch in `gathered`, and reads them.
pub(crate) fn owned(load: &Load, gathered: &mut Vec<Handle>) -> Tally {
    let mut tally = Tally::default();
    each_owned(&load.fetched, gathered, |it| tally.add(it.offset, it.timestamp, it.key(), it.value()));
    tally
}

/// The same, for whoever visits them.
#[inline]
pub(crate) fn each_owned(fetched: &Bytes, gathered: &mut Vec<Handle>, mut visit: impl FnMut(&Handle)) {
    let mut rest = fetched.clone();
    while let Some((found, after)) = batch(&rest) {
        let whole = rest.slice(..rest.len() - after.len());
        let place = |part: &[u8]| {
            let start = part.as_ptr() as usize - whole.as_ptr() as usize;
            start as u32..(start + part.len()) as u32
        };
        let shared = Arc::new(whole.clone());
        gathered.extend(found.records().map(|it| Handle {
            batch: shared.clone(),
            offset: it.offset,
            timestamp: it.timestamp,
            key: it.key.map(place),
            value: it.value.map(place),
        }));
        rest = rest.slice(whole.len()..);
        gathered.drain(..).for_each(|handle| visit(&handle));
    }
}

/// A record as it lies in its batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// A batch whose checksum is right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    header: &'a [u8; HEADER_BYTES],
    /// As they came, packed or not.
    pub(crate) records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// By which codec the records are packed.
    pub(crate) fn codec(&self) -> u8 {
        self.header[22] & 7
    }

    fn records(&self) -> Reader<'a> {
        self.reader(self.records)
    }

    /// Its records, where they are these bytes.
    #[inline(always)]
    pub(crate) fn reader<'b>(&self, records: &'b [u8]) -> Reader<'b> {
        let [base_offset, base_timestamp] =
            [0, 27].map(|at| self.header[at..].first_chunk().expect("it is long enough"));
        let left = self.header.last_chunk().expect("it is long enough");
        Reader {
            bytes: records,
            at: 0,
            left: u32::from_be_bytes(*left),
            base_offset: i64::from_be_bytes(*base_offset),
            base_timestamp: i64::from_be_bytes(*base_timestamp),
        }
    }
}

/// The batch at the start of `fetched`, if its checksum is right, and what follows it.
#[inline]
pub(crate) fn batch(fetched: &[u8]) -> Option<(Batch<'_>, &[u8])> {
    let length = u32::from_be_bytes(*fetched.get(8..)?.first_chunk()?) as usize + 12;
    let (batch, rest) = fetched.split_at_checked(length)?;
    let crc = u32::from_be_bytes(*batch.get(17..)?.first_chunk()?);
    if checksum(&batch[21..]) != crc {
        return None;
    }
    let (header, records) = batch.split_first_chunk()?;
    Some((Batch { header, records }, rest))
}

/// The records of a batch.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
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
            self.append(row.timestamp, Some(&row.key), &row.value);
        }
        self.close()
    }

    /// Forgets what is in it.
    pub(crate) fn open(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES, 0);
        self.count = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How long the batch is by now.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(crate) fn append(&mut self, timestamp: i64, key: Option<&[u8]>, value: &[u8]) {
        if self.count == 0 {
            (self.base_timestamp, self.max_timestamp) = (timestamp, timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let lead = [zigzag((timestamp - self.base_timestamp) as usize), zigzag(self.count as usize)];
        let (key_length, value_length) = (key.map_or(NO_KEY, |it| zigzag(it.len())), zigzag(value.len()));
        let key = key.unwrap_or_default();
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

    /// Packs the records before the batch is closed.
    pub(crate) fn pack(&mut self, codec: u8, pack: impl FnOnce(&[u8]) -> Vec<u8>) {
        let packed = pack(&self.bytes[HEADER_BYTES..]);
        self.bytes.truncate(HEADER_BYTES);
        self.bytes.extend_from_slice(&packed);
        self.bytes[22] = codec;
    }

    /// Fills in the header.
    pub(crate) fn close(&mut self) -> &[u8] {
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
