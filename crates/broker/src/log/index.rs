//! Where in a segment a search begins: a point every few batches, by offset and by timestamp.
//!
//! It is made from the segment and can always be made again; a stored copy only saves the time.

use std::{io, sync::Mutex};

use vltava_wire::record::{BATCH_OVERHEAD_BYTES, BatchHeader};

use crate::disk::File;

use super::entry::checksum;

/// A search reads no more than this, and one batch, before it is where it wants to be.
const INTERVAL_BYTES: u64 = 32 * 1024;
/// Headers are looked for in pieces of this size.
const SCAN_BYTES: usize = 256 * 1024;
const POINT_BYTES: usize = 24;

/// The points of one segment, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<Points>);

#[derive(Debug, Clone, PartialEq)]
struct Points {
    /// The part of the segment that the points are about.
    covered: u64,
    /// The latest timestamp in that part.
    max_timestamp: i64,
    points: Vec<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    offset: i64,
    position: u64,
    /// The latest timestamp before this point.
    timestamp_before: i64,
}

impl Default for Points {
    fn default() -> Self {
        Self { covered: 0, max_timestamp: i64::MIN, points: Vec::new() }
    }
}

/// What is searched for in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Offset(i64),
    /// The first batch with a record of this time or later that does not end before an offset.
    Timestamp {
        timestamp: i64,
        from: i64,
    },
}

impl Target {
    /// Whether a batch is wholly before the target.
    pub(super) fn is_after(self, batch: &BatchHeader) -> bool {
        match self {
            Self::Offset(offset) => batch.last_offset() < offset,
            Self::Timestamp { timestamp, from } => {
                batch.max_timestamp < timestamp || batch.last_offset() < from
            }
        }
    }
}

impl Index {
    /// Takes note of a batch that was appended at `position`, if all before it is known.
    pub(super) fn note(&self, position: u64, batch: &BatchHeader) {
        let mut points = self.points();
        if points.covered == position {
            points.note(position, batch);
        }
    }

    /// Where to begin to look, in a segment of this length.
    pub(super) fn seek(&self, file: &dyn File, length: u64, target: Target) -> io::Result<u64> {
        let known = self.points();
        if known.covered >= length {
            return Ok(known.seek(target));
        }
        // A segment may be long: who appends to it does not wait until it is read.
        let mut points = known.clone();
        drop(known);
        let from = points.covered;
        scan(file, from, length, |position, batch| points.note(position, batch))?;
        let place = points.seek(target);
        let mut known = self.points();
        if known.covered < points.covered {
            *known = points;
        }
        Ok(place)
    }

    /// What to store of it, if all of a segment of this length is known.
    pub(super) fn encode(&self, length: u64) -> Option<Vec<u8>> {
        let points = self.points();
        (points.covered == length).then(|| points.encode())
    }

    /// Takes what was stored, unless it is damaged or of a longer segment. Says how much of the segment it covers.
    pub(super) fn restore(&self, stored: &[u8], length: u64) -> Option<u64> {
        let stored = Points::decode(stored).filter(|it| it.covered <= length)?;
        let covered = stored.covered;
        *self.points() = stored;
        Some(covered)
    }

    fn points(&self) -> std::sync::MutexGuard<'_, Points> {
        self.0.lock().expect("nothing panics with this lock")
    }
}

impl Points {
    fn note(&mut self, position: u64, batch: &BatchHeader) {
        if self.points.last().is_none_or(|last| position - last.position >= INTERVAL_BYTES) {
            let timestamp_before = self.max_timestamp;
            self.points.push(Point { offset: batch.base_offset, position, timestamp_before });
        }
        self.max_timestamp = self.max_timestamp.max(batch.max_timestamp);
        self.covered = position + batch.length as u64;
    }

    fn seek(&self, target: Target) -> u64 {
        let by_offset = |offset| self.points.partition_point(|point| point.offset <= offset);
        let before = match target {
            Target::Offset(offset) => by_offset(offset),
            Target::Timestamp { timestamp, from } => {
                by_offset(from).max(self.points.partition_point(|point| point.timestamp_before < timestamp))
            }
        };
        before.checked_sub(1).map_or(0, |index| self.points[index].position)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.points.len() * POINT_BYTES);
        out.extend(self.covered.to_be_bytes());
        out.extend(self.max_timestamp.to_be_bytes());
        for point in &self.points {
            out.extend(point.offset.to_be_bytes());
            out.extend(point.position.to_be_bytes());
            out.extend(point.timestamp_before.to_be_bytes());
        }
        out.extend(checksum(&out, 0).to_be_bytes());
        out
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        let (rest, sum) = stored.split_last_chunk()?;
        if u32::from_be_bytes(*sum) != checksum(rest, 0) {
            return None;
        }
        let (covered, rest) = rest.split_first_chunk()?;
        let (max_timestamp, rest) = rest.split_first_chunk()?;
        let number = |bytes: &[u8], at: usize| bytes[at..at + 8].try_into().expect("the slice has 8 bytes");
        let point = |bytes: &[u8]| Point {
            offset: i64::from_be_bytes(number(bytes, 0)),
            position: u64::from_be_bytes(number(bytes, 8)),
            timestamp_before: i64::from_be_bytes(number(bytes, 16)),
        };
        Some(Self {
            covered: u64::from_be_bytes(*covered),
            max_timestamp: i64::from_be_bytes(*max_timestamp),
            points: rest.chunks_exact(POINT_BYTES).map(point).collect(),
        })
    }
}

/// Visits the headers of the batches in a part of a segment.
fn scan(file: &dyn File, from: u64, until: u64, mut visit: impl FnMut(u64, &BatchHeader)) -> io::Result<()> {
    let mut buffer = vec![0; SCAN_BYTES.min((until - from) as usize)];
    let mut position = from;
    while position < until {
        let read = file.read_at(position, &mut buffer)?;
        let mut at = 0;
        while at + BATCH_OVERHEAD_BYTES <= read && position < until {
            let header = BatchHeader::parse(&buffer[at..read]).map_err(|error| invalid(position, &error))?;
            visit(position, &header);
            at += header.length;
            position += header.length as u64;
        }
        if read < BATCH_OVERHEAD_BYTES {
            return Err(invalid(position, &"the file ends within a batch"));
        }
    }
    Ok(())
}

pub(super) fn invalid(position: u64, why: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no batch at byte {position}: {why}"))
}

#[cfg(test)]
mod tests {
    use vltava_wire::{
        Compression,
        record::{BatchBuilder, RecordSlices, Stamp, patch_base_offset},
    };

    use super::*;
    use crate::disk::{Disk, Memory, Syncing};

    /// A segment of batches of about 1 KiB with one record each, whose timestamps rise and fall.
    fn segment(batches: i64) -> (std::sync::Arc<dyn File>, Vec<(u64, BatchHeader)>) {
        let file = Memory::new().create("segment").unwrap();
        let mut headers = Vec::new();
        let mut position = 0;
        for offset in 0..batches {
            let mut builder = BatchBuilder::new();
            let value = vec![b'x'; 1000];
            builder.append(RecordSlices::new(offset ^ 7, None, Some(&value))).unwrap();
            let mut batch = Vec::from(builder.finish(Stamp::NONE, Compression::None).unwrap());
            patch_base_offset(&mut batch, offset);
            file.write_at(position, &batch).unwrap();
            headers.push((position, BatchHeader::parse(&batch).unwrap()));
            position += batch.len() as u64;
        }
        (file, headers)
    }

    fn length(headers: &[(u64, BatchHeader)]) -> u64 {
        headers.last().map_or(0, |(position, header)| position + header.length as u64)
    }

    #[test]
    fn a_search_begins_at_or_shortly_before_its_target() {
        let (file, headers) = segment(300);
        let index = Index::default();
        for (position, header) in &headers {
            let offset = Target::Offset(header.base_offset);
            let from = index.seek(&*file, length(&headers), offset).unwrap();
            assert!(from <= *position && position - from < INTERVAL_BYTES, "{from} for {position}");
            let time = Target::Timestamp { timestamp: header.max_timestamp, from: 0 };
            let first = headers.iter().find(|(_, it)| !time.is_after(it)).unwrap().0;
            let from = index.seek(&*file, length(&headers), time).unwrap();
            assert!(from <= first && first - from < INTERVAL_BYTES, "{from} for {first}");
        }
    }

    /// A file that something happens to whenever it is read.
    struct Disturbed<'a, F>(&'a dyn File, F);

    impl<F: Fn() + Send + Sync> File for Disturbed<'_, F> {
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            (self.1)();
            self.0.read_at(offset, buffer)
        }

        fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write_at(offset, bytes)
        }

        fn truncate(&self, length: u64) -> io::Result<()> {
            self.0.truncate(length)
        }

        fn length(&self) -> io::Result<u64> {
            self.0.length()
        }

        fn sync(&self) -> Syncing {
            self.0.sync()
        }

        fn fill(&self, length: u64) -> Syncing {
            self.0.fill(length)
        }
    }

    #[test]
    fn nobody_waits_for_a_scan_and_it_takes_back_nothing() {
        let (file, headers) = segment(200);
        let (scanned, known) = (Index::default(), Index::default());
        headers.iter().for_each(|(position, header)| known.note(*position, header));
        let (short, all) = (length(&headers[..77]), length(&headers));
        let stored = known.encode(all).unwrap();
        let file = Disturbed(&*file, || {
            assert!(scanned.0.try_lock().is_ok(), "the index is free while its segment is read");
            scanned.restore(&stored, all);
        });
        let target = Target::Offset(70);
        let place = scanned.seek(&file, short, target).unwrap();
        assert_eq!(place, known.seek(&file, all, target).unwrap());
        assert_eq!(scanned.points().covered, all, "more was known by the end of the scan");
    }

    #[test]
    fn what_is_noted_what_is_scanned_and_what_is_stored_is_the_same() {
        let (file, headers) = segment(200);
        let (noted, scanned, mixed) = (Index::default(), Index::default(), Index::default());
        headers.iter().for_each(|(position, header)| noted.note(*position, header));
        scanned.seek(&*file, length(&headers), Target::Offset(0)).unwrap();
        mixed.seek(&*file, length(&headers[..77]), Target::Offset(0)).unwrap();
        headers.iter().for_each(|(position, header)| mixed.note(*position, header));
        let points = noted.points().clone();
        assert!(points.points.len() > 3);
        assert_eq!(*scanned.points(), points);
        assert_eq!(*mixed.points(), points);
        assert_eq!(Points::decode(&points.encode()), Some(points));
    }

    #[test]
    fn a_stored_index_that_is_damaged_or_of_more_than_there_is_counts_for_nothing() {
        let (_, headers) = segment(50);
        let index = Index::default();
        headers.iter().for_each(|(position, header)| index.note(*position, header));
        let stored = index.encode(length(&headers)).unwrap();
        assert_eq!(index.encode(length(&headers) + 1), None);
        let again = Index::default();
        assert_eq!(again.restore(&stored, length(&headers) - 1), None);
        for byte in 0..stored.len() {
            let mut damaged = stored.clone();
            damaged[byte] ^= 1;
            assert_eq!(again.restore(&damaged, u64::MAX), None, "byte {byte}");
            assert_eq!(again.restore(&stored[..byte], u64::MAX), None, "cut at {byte}");
        }
        assert_eq!(again.restore(&stored, length(&headers)), Some(length(&headers)));
    }

    #[test]
    fn a_segment_that_ends_within_a_batch_is_an_error() {
        let (file, headers) = segment(3);
        let all = length(&headers);
        for cut in [1, 500, 1030] {
            file.truncate(all - cut).unwrap();
            let error = Index::default().seek(&*file, all + 5, Target::Offset(0)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "cut {cut}");
        }
    }
}
