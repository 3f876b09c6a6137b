//! The journal: one sequence of entries in files of a fixed size that are used again.
//!
//! It knows where an entry goes, what was synced and which files are free. What entries mean, and when to sync, is
//! for others to know.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use vltava_core::planted::{Plant, planted};

use crate::disk::{Disk, File, Syncing};

use super::entry::{ALIGNMENT, HEADER_BYTES, Header, KIND_END_OF_FILE, aligned};

/// How the journal's files are called; a number follows, which says nothing.
pub(super) const FILE_PREFIX: &str = "journal-";
/// How a file is called while it is being filled: nobody else may use it then, not even after a restart.
pub(super) const FILLING_PREFIX: &str = "filling-";
/// More files than these are removed instead of being kept to be used again.
const SPARE_FILES_MAX: usize = 8;

/// Where the journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) position: u64,
    /// The checksum of the entry before, for the chain.
    pub(super) previous: u32,
}

/// A file of the journal.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) file: Arc<dyn File>,
}

pub(super) struct Journal {
    place: Place,
    end: End,
    synced: u64,
    /// Files in use, by the number of the stretch of positions that each holds.
    files: BTreeMap<u64, Slot>,
    spares: Vec<Slot>,
    next_name: u64,
    /// What the next sync has to sync.
    dirty: BTreeSet<u64>,
    folder_is_dirty: bool,
}

/// Where a journal is, and what its files look like.
pub(super) struct Place {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) file_bytes: u64,
    /// Of the checksums.
    pub(super) key: u64,
}

impl Journal {
    /// A journal that goes on at `end`, in these files by number; the others are free. What is said to be synced is
    /// so, the rest is left to the first sync.
    pub(super) fn new(
        place: Place,
        end: End,
        synced: u64,
        files: BTreeMap<u64, Slot>,
        spares: Vec<Slot>,
    ) -> Self {
        assert!(place.file_bytes.is_multiple_of(ALIGNMENT), "a file holds whole places for entries");
        let number = |slot: &Slot| slot.name.strip_prefix(FILE_PREFIX)?.parse::<u64>().ok();
        let next_name = files.values().chain(&spares).filter_map(number).max().map_or(0, |last| last + 1);
        let dirty = files.keys().copied().collect();
        Self { place, end, synced, files, spares, next_name, dirty, folder_is_dirty: false }
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    /// The longest payload that fits a file.
    pub(super) fn payload_bytes_max(&self) -> usize {
        self.place.file_bytes as usize - HEADER_BYTES
    }

    /// Appends an entry: room for the header, then the payload, which is no longer than a file holds. Says where it
    /// ends. If this fails, the journal ends where it did.
    pub(super) fn append(&mut self, kind: u8, entry: &mut [u8]) -> io::Result<u64> {
        let room = self.place.file_bytes - self.end.position % self.place.file_bytes;
        if aligned(entry.len()) > room {
            self.write(KIND_END_OF_FILE, &mut [0; HEADER_BYTES])?;
            self.end.position = self.end.position.next_multiple_of(self.place.file_bytes);
        }
        self.write(kind, entry)?;
        Ok(self.end.position)
    }

    fn write(&mut self, kind: u8, entry: &mut [u8]) -> io::Result<()> {
        let End { position, previous } = self.end;
        let number = position / self.place.file_bytes;
        let file = self.file(number)?;
        let header = Header { checksum: 0, length: 0, position, synced: self.synced, previous, kind };
        let checksum = header.seal(entry, self.place.key);
        file.write_at(position % self.place.file_bytes, entry)?;
        self.dirty.insert(number);
        self.end = End { position: position + aligned(entry.len()), previous: checksum };
        Ok(())
    }

    fn file(&mut self, number: u64) -> io::Result<Arc<dyn File>> {
        if let Some(slot) = self.files.get(&number) {
            return Ok(slot.file.clone());
        }
        let slot = match self.spares.pop() {
            Some(slot) => slot,
            None => self.create_file(FILE_PREFIX)?,
        };
        let file = slot.file.clone();
        self.files.insert(number, slot);
        Ok(file)
    }

    fn create_file(&mut self, prefix: &str) -> io::Result<Slot> {
        let name = format!("{prefix}{:06}", self.next_name);
        let file = self.place.disk.create(&name)?;
        self.next_name += 1;
        self.folder_is_dirty = true;
        Ok(Slot { name, file })
    }

    /// A new file to fill with zeros, if the one in use is half full and no other is at hand.
    pub(super) fn spare_wanted(&mut self) -> io::Result<Option<Slot>> {
        let used = self.end.position % self.place.file_bytes;
        if !self.spares.is_empty() || used < self.place.file_bytes / 2 {
            return Ok(None);
        }
        self.create_file(FILLING_PREFIX).map(Some)
    }

    /// Takes a file that was filled.
    pub(super) fn add_spare(&mut self, mut slot: Slot) -> io::Result<()> {
        let name = slot.name.replace(FILLING_PREFIX, FILE_PREFIX);
        self.place.disk.rename(&slot.name, &name)?;
        self.folder_is_dirty = true;
        slot.name = name;
        self.spares.push(slot);
        Ok(())
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether there is something that was not synced.
    pub(super) fn is_dirty(&self) -> bool {
        self.synced < self.end.position || !self.dirty.is_empty()
    }

    /// Begins to sync all there is. Only one sync may be under way.
    pub(super) fn sync(&mut self) -> (u64, Vec<Syncing>) {
        let dirty = std::mem::take(&mut self.dirty);
        let files = dirty.iter().filter_map(|number| self.files.get(number));
        let mut syncs: Vec<_> = files.map(|slot| slot.file.sync()).collect();
        if std::mem::take(&mut self.folder_is_dirty) && !planted(Plant::FolderNotSynced) {
            syncs.push(self.place.disk.sync());
        }
        (self.end.position, syncs)
    }

    /// All before `position` is on the disk.
    pub(super) fn on_synced(&mut self, position: u64) {
        self.synced = self.synced.max(position);
    }

    /// Nobody needs what is before `position` any more. Says which files are too many, for the caller to remove.
    #[must_use]
    pub(super) fn free_before(&mut self, position: u64) -> Vec<String> {
        let kept = self.files.split_off(&(position / self.place.file_bytes));
        let freed = std::mem::replace(&mut self.files, kept);
        self.spares.extend(freed.into_values());
        let surplus = self.spares.len().saturating_sub(SPARE_FILES_MAX);
        self.spares.drain(..surplus).map(|slot| slot.name).collect()
    }

    /// Gives up all files, which an image at the journal's end makes useless. Says their names.
    pub(super) fn take_names(&mut self) -> Vec<String> {
        let files = std::mem::take(&mut self.files).into_values();
        files.chain(self.spares.drain(..)).map(|slot| slot.name).collect()
    }
}
