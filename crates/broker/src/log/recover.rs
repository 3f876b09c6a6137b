//! Reading the journal back after a start: the chain of entries from a position on, and what comes after its end.
//!
//! Where the chain ends, the journal was cut off, unless an entry further on says that more had been synced: then
//! something that was on the disk is gone, and that is nothing to go on from. Damage to what the last sync before the
//! end was about looks like a tail that was cut: nothing after it can tell.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;

use crate::{
    Error, ErrorKind, Result,
    disk::{Disk, File},
};

use super::{
    entry::{ALIGNMENT, HEADER_BYTES, Header, KIND_END_OF_FILE},
    journal::{End, FILE_PREFIX, Journal, Place, Slot},
};

/// Reads the journal from `start` on and hands every entry to `apply`: kind, payload, position after it. What comes
/// back goes on where the chain ended.
pub(super) fn replay(
    place: Place,
    start: End,
    mut apply: impl FnMut(u8, Bytes, u64) -> Result<()>,
) -> Result<Journal> {
    let mut reader = Reader::open(&place, start)?;
    while let Some((header, payload)) = reader.next_entry()? {
        if header.kind != KIND_END_OF_FILE {
            apply(header.kind, payload, header.end())?;
        }
    }
    reader.check_for_damage()?;
    let Reader { end, used, slots, .. } = reader;
    let spares = slots.into_iter().filter(|slot| !used.values().any(|it| it.name == slot.name)).collect();
    Ok(Journal::new(place, end, start.position, used, spares))
}

struct Reader<'a> {
    place: &'a Place,
    slots: Vec<Slot>,
    used: BTreeMap<u64, Slot>,
    /// The stretch of positions that is being read, and what is in its file.
    open: Option<(u64, Bytes)>,
    end: End,
}

impl<'a> Reader<'a> {
    fn open(place: &'a Place, end: End) -> Result<Self> {
        let failed = |error| unreadable(&*place.disk, "the folder", error);
        let mut slots = Vec::new();
        for (name, _) in place.disk.list().map_err(failed)? {
            if name.starts_with(FILE_PREFIX) {
                let file = place.disk.open(&name).map_err(|error| unreadable(&*place.disk, &name, error))?;
                slots.push(Slot { name, file });
            }
        }
        Ok(Self { place, slots, used: BTreeMap::new(), open: None, end })
    }

    fn next_entry(&mut self) -> Result<Option<(Header, Bytes)>> {
        let size = self.place.file_bytes;
        let (number, offset) = (self.end.position / size, (self.end.position % size) as usize);
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) && !self.find_file(number)? {
            return Ok(None);
        }
        let (_, bytes) = self.open.as_ref().expect("the file was just opened");
        let rest = bytes.get(offset..).unwrap_or_default();
        let Some(header) = Header::intact(rest, self.end.position, self.place.key) else { return Ok(None) };
        if !header.continues(self.end.position, self.end.previous) {
            return Ok(None);
        }
        let payload = bytes.slice(offset + HEADER_BYTES..offset + header.length);
        let position = match header.kind {
            KIND_END_OF_FILE => (number + 1) * size,
            _ => header.end(),
        };
        self.end = End { position, previous: header.checksum };
        Ok(Some((header, payload)))
    }

    /// The file that goes on with the chain. An earlier use of a file, or a tail that was cut, may look alike.
    fn find_file(&mut self, number: u64) -> Result<bool> {
        let offset = (self.end.position % self.place.file_bytes) as usize;
        for slot in &self.slots {
            let mut header = [0; HEADER_BYTES];
            slot.file.read_at(offset as u64, &mut header).map_err(|error| self.unreadable(slot, error))?;
            if !Header::parse(&header).continues(self.end.position, self.end.previous) {
                continue;
            }
            let bytes = contents(self.place, slot)?;
            let rest = bytes.get(offset..).unwrap_or_default();
            if Header::intact(rest, self.end.position, self.place.key).is_some() {
                self.used.insert(number, slot.clone());
                self.open = Some((number, bytes));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks in all files for an entry after the chain's end that says that more than the chain was synced.
    fn check_for_damage(&self) -> Result<()> {
        for slot in &self.slots {
            let bytes = contents(self.place, slot)?;
            for offset in (0..bytes.len()).step_by(ALIGNMENT as usize) {
                if let Some(header) = self.later_entry(&bytes[offset..], offset as u64) {
                    return Err(self.damage(slot, offset, header));
                }
            }
        }
        Ok(())
    }

    fn later_entry(&self, bytes: &[u8], offset: u64) -> Option<Header> {
        let position = u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
        let synced = u64::from_be_bytes(*bytes.get(16..)?.first_chunk()?);
        let fits = position % self.place.file_bytes == offset;
        let end = self.end.position;
        if !fits || position <= end || synced <= end {
            return None;
        }
        Header::intact(bytes, position, self.place.key)
    }

    fn unreadable(&self, slot: &Slot, error: io::Error) -> Error {
        unreadable(&*self.place.disk, &slot.name, error)
    }

    fn damage(&self, slot: &Slot, offset: usize, later: Header) -> Error {
        let Place { disk, file_bytes, .. } = self.place;
        let end = self.end.position;
        let held = self.used.get(&(end / file_bytes)).map_or("none of its files", |slot| &slot.name);
        let message = format!(
            "the journal in {} is damaged at position {end} (byte {} of {held}): {} has an intact entry at byte \
             {offset} which says that all before position {} had been synced; restore the folder from a copy, the \
             broker will not start by dropping acknowledged data",
            disk.path(),
            end % file_bytes,
            slot.name,
            later.synced,
        );
        Error::new(ErrorKind::Damaged, message)
    }
}

fn contents(place: &Place, slot: &Slot) -> Result<Bytes> {
    read_all(&slot.file, place.file_bytes).map_err(|error| unreadable(&*place.disk, &slot.name, error))
}

/// All of a file, up to `most` bytes of it.
pub(super) fn read_all(file: &Arc<dyn File>, most: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; file.length()?.min(most) as usize];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes.into())
}

pub(super) fn unreadable(disk: &dyn Disk, what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Disk, format!("{what} in {} could not be read", disk.path())).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Memory;

    const FILE_BYTES: u64 = 512;

    fn place(disk: &Memory) -> Place {
        Place { disk: Arc::new(disk.clone()), file_bytes: FILE_BYTES, key: 5 }
    }

    const START: End = End { position: 0, previous: 0 };

    fn append(journal: &mut Journal, payload: &[u8]) -> u64 {
        let mut entry = vec![0; HEADER_BYTES];
        entry.extend_from_slice(payload);
        let end = journal.append(9, &mut entry).unwrap();
        journal.on_synced(end);
        end
    }

    fn read(disk: &Memory) -> Result<(Journal, Vec<Vec<u8>>)> {
        let mut payloads = Vec::new();
        let journal = replay(place(disk), START, |kind, payload, _| {
            assert_eq!(kind, 9);
            payloads.push(payload.to_vec());
            Ok(())
        })?;
        Ok((journal, payloads))
    }

    #[test]
    fn entries_come_back_from_all_files_in_order() {
        let disk = Memory::new();
        let (mut journal, nothing) = read(&disk).unwrap();
        assert_eq!(nothing.len(), 0);
        let written: Vec<_> = (0..40u8).map(|number| vec![number; usize::from(number) * 3]).collect();
        for payload in &written {
            append(&mut journal, payload);
        }
        assert!(disk.list().unwrap().len() > 5);
        let (again, payloads) = read(&disk).unwrap();
        assert_eq!((again.end(), payloads), (journal.end(), written));
    }

    #[test]
    fn a_tail_that_was_cut_does_not_come_back_when_the_same_is_written_again() {
        let disk = Memory::new();
        let (mut journal, _) = read(&disk).unwrap();
        append(&mut journal, b"one");
        let mut unsynced = |payload: &[u8]| {
            let mut entry = [&[0; HEADER_BYTES], payload].concat();
            journal.append(9, &mut entry).unwrap()
        };
        let torn = unsynced(b"two") - ALIGNMENT;
        unsynced(b"three");
        disk.damage("journal-000000", torn..torn + 1).unwrap();
        let (mut journal, payloads) = read(&disk).unwrap();
        assert_eq!(payloads, [b"one"]);
        append(&mut journal, b"opened again");
        let (_, payloads) = read(&disk).unwrap();
        assert_eq!(payloads, [&b"one"[..], b"opened again"]);
    }

    #[test]
    fn files_that_are_used_again_bring_nothing_of_their_earlier_use() {
        let disk = Memory::new();
        let (mut journal, _) = read(&disk).unwrap();
        for round in 0..30u8 {
            let end = append(&mut journal, &[round; 300]);
            assert!(journal.free_before(end).is_empty());
        }
        assert!(disk.list().unwrap().len() <= 2);
        let start = journal.end();
        append(&mut journal, b"last");
        let mut payloads = Vec::new();
        replay(place(&disk), start, |_, payload, _| {
            payloads.push(payload);
            Ok(())
        })
        .unwrap();
        assert_eq!(payloads, [&b"last"[..]]);
    }

    #[test]
    fn a_file_of_the_middle_that_is_gone_is_damage() {
        let disk = Memory::new();
        let (mut journal, _) = read(&disk).unwrap();
        for number in 0..20u8 {
            append(&mut journal, &[number; 200]);
        }
        disk.remove("journal-000002").unwrap();
        assert_eq!(read(&disk).map(drop).unwrap_err().kind(), ErrorKind::Damaged);
    }
}
