//! What the memory disk is made of: files and names as they are now, and as a loss of power may leave them.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    ops::Range,
};

use bytes::Bytes;
use vltava_core::Rng;

use super::losses::{Fate, Piece};

/// A write that was not synced is lost or kept sector by sector.
const SECTOR_BYTES: u64 = 512;

pub(super) type FileId = usize;

/// Something that changes the disk.
#[derive(Clone)]
pub(super) enum Operation {
    Name(Naming),
    Change(FileId, Change),
    /// All changes of the file before this one are synced.
    SyncFile(FileId, u64),
    /// All namings before this one are synced.
    SyncFolder(u64),
}

/// What is done to names.
#[derive(Clone)]
pub(super) enum Naming {
    Create(String),
    Rename(String, String),
    Remove(String),
}

/// What is done to a file.
#[derive(Clone)]
pub(super) enum Change {
    Write(u64, Bytes),
    Truncate(u64),
}

#[derive(Default)]
pub(super) struct World {
    files: Vec<Contents>,
    names: Names,
    /// What a loss of power leaves; none if the disk never loses it.
    synced: Option<Synced>,
    trace: Option<Vec<Operation>>,
    pub(super) syncs_to_fail: usize,
    pub(super) writes_to_fail: usize,
    pub(super) space_bytes: Option<u64>,
}

type Names = BTreeMap<String, FileId>;
type Contents = Vec<u8>;

#[derive(Default)]
struct Synced {
    files: Vec<SyncedFile>,
    names: Names,
    namings: Pending<(Naming, FileId)>,
}

#[derive(Default)]
struct SyncedFile {
    contents: Contents,
    changes: Pending<Change>,
}

/// What was done and not synced, in order; numbered from the start of the disk.
struct Pending<T> {
    done: VecDeque<T>,
    synced: u64,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { done: VecDeque::new(), synced: 0 }
    }
}

impl<T> Pending<T> {
    fn so_far(&self) -> u64 {
        self.synced + self.done.len() as u64
    }

    /// Takes what a sync until `until` covers and none before it did.
    fn take(&mut self, until: u64) -> impl Iterator<Item = T> {
        let count = until.saturating_sub(self.synced);
        self.synced += count;
        self.done.drain(..count as usize)
    }
}

impl World {
    pub(super) fn unreliable() -> Self {
        Self { synced: Some(Synced::default()), ..Self::default() }
    }

    pub(super) fn traced() -> Self {
        Self { trace: Some(Vec::new()), ..Self::unreliable() }
    }

    pub(super) fn loses_power(&self) -> bool {
        self.synced.is_some()
    }

    pub(super) fn operations(&self) -> &[Operation] {
        self.trace.as_deref().unwrap_or_default()
    }

    pub(super) fn find(&self, name: &str) -> io::Result<FileId> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn next_file(&self) -> FileId {
        self.files.len()
    }

    pub(super) fn contents(&self, id: FileId) -> &[u8] {
        &self.files[id]
    }

    pub(super) fn list(&self) -> Vec<(String, u64)> {
        self.names.iter().map(|(name, &id)| (name.clone(), self.files[id].len() as u64)).collect()
    }

    pub(super) fn changes_so_far(&self, id: FileId) -> u64 {
        self.synced.as_ref().map_or(0, |synced| synced.files[id].changes.so_far())
    }

    pub(super) fn namings_so_far(&self) -> u64 {
        self.synced.as_ref().map_or(0, |synced| synced.namings.so_far())
    }

    /// Refuses a write that is to fail, or that there is no room for.
    pub(super) fn admit_write(&mut self, id: FileId, end: u64) -> io::Result<()> {
        if self.writes_to_fail > 0 {
            self.writes_to_fail -= 1;
            return Err(io::Error::other("the disk was told to fail this write"));
        }
        self.make_room(id, end)
    }

    /// Refuses what would take more space than there is.
    pub(super) fn make_room(&self, id: FileId, length: u64) -> io::Result<()> {
        let Some(space) = self.space_bytes else { return Ok(()) };
        let grown = length.saturating_sub(self.files[id].len() as u64);
        let taken: u64 = self.names.values().map(|&id| self.files[id].len() as u64).sum();
        if grown > 0 && taken + grown > space { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn sync(&mut self, operation: Operation) -> io::Result<()> {
        if self.syncs_to_fail > 0 {
            self.syncs_to_fail -= 1;
            return Err(io::Error::other("the disk was told to fail this sync"));
        }
        self.apply(operation);
        Ok(())
    }

    /// Carries out what was found to be possible.
    pub(super) fn apply(&mut self, operation: Operation) {
        if let Some(trace) = &mut self.trace {
            trace.push(operation.clone());
        }
        match operation {
            Operation::Name(naming) => self.name(naming),
            Operation::Change(id, change) => {
                change.apply(&mut self.files[id]);
                if let Some(synced) = &mut self.synced {
                    synced.files[id].changes.done.push_back(change);
                }
            }
            Operation::SyncFile(id, until) => {
                let Some(synced) = &mut self.synced else { return };
                let SyncedFile { contents, changes } = &mut synced.files[id];
                changes.take(until).for_each(|change| change.apply(contents));
            }
            Operation::SyncFolder(until) => {
                let Some(synced) = &mut self.synced else { return };
                synced.namings.take(until).for_each(|(naming, id)| naming.apply(id, &mut synced.names));
            }
        }
    }

    fn name(&mut self, naming: Naming) {
        let id = self.files.len();
        if let Naming::Create(_) = naming {
            self.files.push(Contents::new());
        }
        if let Some(synced) = &mut self.synced {
            synced.files.resize_with(self.files.len(), SyncedFile::default);
            synced.namings.done.push_back((naming.clone(), id));
        }
        naming.apply(id, &mut self.names);
    }

    /// The world that is found when the power is back: of what was not synced, chance decides what is left.
    ///
    /// # Panics
    /// If the world never loses its power.
    pub(super) fn after_power_loss(&self, chance: &mut Rng) -> World {
        let synced = self.synced.as_ref().expect("only an unreliable disk loses power");
        let names = synced.names_after_power_loss(chance);
        let left = names.into_iter().map(|(name, id)| (name, synced.files[id].after_power_loss(chance)));
        self.restored(left)
    }

    /// What is kept or lost each for itself when the power is lost: names, then the files' contents. Only the last
    /// operation of the trace may have been interrupted.
    ///
    /// # Panics
    /// If the world never loses its power.
    pub(super) fn unsynced(&self) -> Vec<Piece> {
        let synced = self.synced.as_ref().expect("only an unreliable disk loses power");
        let mut pieces = vec![Piece::Whole; synced.namings.done.len()];
        for (id, file) in synced.files.iter().enumerate() {
            pieces.extend(file.pieces().map(|_| Piece::Whole));
            match (self.operations().last(), pieces.last_mut()) {
                (Some(Operation::Change(last, Change::Write(..))), Some(piece)) if *last == id => {
                    *piece = Piece::End;
                }
                _ => (),
            }
        }
        pieces
    }

    /// The world that is found when the power is back, if these are the fates of what was not synced.
    ///
    /// # Panics
    /// If the world never loses its power, or has other pieces.
    pub(super) fn after(&self, fates: &[Fate]) -> World {
        let synced = self.synced.as_ref().expect("only an unreliable disk loses power");
        let (of_names, mut of_files) = fates.split_at(synced.namings.done.len());
        let mut names = synced.names.clone();
        for ((naming, id), fate) in synced.namings.done.iter().zip(of_names) {
            if *fate == Fate::Kept {
                naming.clone().apply(*id, &mut names);
            }
        }
        let mut files = Vec::new();
        for file in &synced.files {
            let (own, others) = of_files.split_at(file.pieces().count());
            files.push(file.after(own));
            of_files = others;
        }
        assert!(of_files.is_empty(), "every piece has one fate");
        self.restored(names.into_iter().map(|(name, id)| (name, files[id].clone())))
    }

    fn restored(&self, left: impl Iterator<Item = (String, Contents)>) -> World {
        let mut next = if self.trace.is_some() { World::traced() } else { World::unreliable() };
        left.for_each(|(name, contents)| next.restore(name, contents));
        next.apply(Operation::SyncFolder(next.namings_so_far()));
        next
    }

    fn restore(&mut self, name: String, contents: Contents) {
        let id = self.next_file();
        self.apply(Operation::Name(Naming::Create(name)));
        self.apply(Operation::Change(id, Change::Write(0, contents.into())));
        self.apply(Operation::SyncFile(id, self.changes_so_far(id)));
    }

    pub(super) fn damage(&mut self, id: FileId, at: Range<u64>) {
        let synced = self.synced.as_mut().map(|synced| &mut synced.files[id].contents);
        for contents in [Some(&mut self.files[id]), synced].into_iter().flatten() {
            let end = contents.len().min(at.end as usize);
            contents[end.min(at.start as usize)..end].iter_mut().for_each(|byte| *byte ^= 0xa5);
        }
    }
}

impl Synced {
    /// Namings last up to some point, or any of them may be missing.
    fn names_after_power_loss(&self, chance: &mut Rng) -> Names {
        let mut names = self.names.clone();
        let in_order = chance.chance(50);
        let kept = chance.below(self.namings.done.len() as u64 + 1) as usize;
        for (index, (naming, id)) in self.namings.done.iter().enumerate() {
            if if in_order { index < kept } else { chance.chance(50) } {
                naming.clone().apply(*id, &mut names);
            }
        }
        names
    }
}

impl SyncedFile {
    /// Either all that was not synced is gone, or it is there up to some point, or any part of it may be missing.
    fn after_power_loss(&self, chance: &mut Rng) -> Contents {
        let mut contents = self.contents.clone();
        let until = match chance.below(3) {
            0 => return contents,
            1 => chance.below(self.changes.done.len() as u64 + 1) as usize,
            _ => {
                let kept = self.pieces().filter(|_| chance.chance(50));
                kept.for_each(|piece| piece.apply(&mut contents));
                return contents;
            }
        };
        self.changes.done.iter().take(until).for_each(|change| change.apply(&mut contents));
        if let Some(Change::Write(offset, bytes)) = self.changes.done.get(until) {
            let torn = chance.below(bytes.len() as u64 + 1) as usize;
            Change::Write(*offset, bytes.slice(..torn)).apply(&mut contents);
        }
        contents
    }

    /// The parts of all changes, in order, that are kept or lost each for itself.
    fn pieces(&self) -> impl Iterator<Item = Change> {
        self.changes.done.iter().flat_map(Change::pieces)
    }

    fn after(&self, fates: &[Fate]) -> Contents {
        let mut contents = self.contents.clone();
        for (piece, fate) in self.pieces().zip(fates) {
            match (piece, fate) {
                (_, Fate::Lost) => (),
                (Change::Write(offset, bytes), Fate::Torn) => {
                    Change::Write(offset, bytes.slice(..bytes.len() / 2)).apply(&mut contents);
                }
                (Change::Write(offset, bytes), Fate::Zeroed) => {
                    contents.resize(contents.len().max(offset as usize + bytes.len()), 0);
                }
                (piece, _) => piece.apply(&mut contents),
            }
        }
        contents
    }
}

impl Change {
    /// A write sector by sector.
    fn pieces(&self) -> Vec<Change> {
        let Self::Write(offset, bytes) = self else { return vec![self.clone()] };
        let (mut offset, mut rest) = (*offset, bytes.clone());
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let room = (SECTOR_BYTES - offset % SECTOR_BYTES) as usize;
            let piece = rest.split_to(room.min(rest.len()));
            let next = offset + piece.len() as u64;
            pieces.push(Self::Write(offset, piece));
            offset = next;
        }
        pieces
    }

    fn apply(&self, contents: &mut Contents) {
        match self {
            Self::Write(_, bytes) if bytes.is_empty() => (),
            Self::Write(offset, bytes) => {
                let end = *offset as usize + bytes.len();
                contents.resize(contents.len().max(end), 0);
                contents[*offset as usize..end].copy_from_slice(bytes);
            }
            Self::Truncate(length) => contents.resize(*length as usize, 0),
        }
    }
}

impl Naming {
    fn apply(self, created: FileId, names: &mut Names) {
        match self {
            Self::Create(name) => {
                names.insert(name, created);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}
