//! A disk in memory, for tests and for brokers that need not outlive their process.
//!
//! An unreliable one knows what a loss of power leaves: writes that were not synced are lost, kept or torn as chance
//! will have it, and so is what was done to names since the folder was synced. Its syncs fail and its space ends on
//! demand, and it can keep a trace, from which the disk after any operation is had.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use vltava_core::{Clock, Rng};

use super::{
    Disk, File, Lock, Syncing, Thoroughness,
    losses::losses,
    world::{Change, FileId, Naming, Operation, World},
};

/// A disk in memory. A clone is the same disk.
#[derive(Clone, Default)]
pub struct Memory {
    world: Arc<Mutex<World>>,
    locked: Arc<AtomicBool>,
    latency: Option<(Arc<dyn Clock>, Duration)>,
}

impl Memory {
    /// An empty disk that never loses power and syncs in no time.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that may lose power.
    pub fn unreliable() -> Self {
        Self::of(World::unreliable())
    }

    /// An empty disk that may lose power and keeps a trace of all that is done, for as long as it lives.
    pub fn traced() -> Self {
        Self::of(World::traced())
    }

    /// Each sync takes this long by that clock.
    #[must_use]
    pub fn with_latency(mut self, clock: Arc<dyn Clock>, latency: Duration) -> Self {
        self.latency = Some((clock, latency));
        self
    }

    /// How many operations are in the trace; a sync counts when it completes.
    pub fn operations(&self) -> usize {
        self.world().operations().len()
    }

    /// The disk that finds itself without power after so many operations of the trace, and is switched on again.
    /// Its own trace starts with what was left.
    #[must_use]
    pub fn cut_after(&self, operations: usize, chance: &mut Rng) -> Memory {
        Memory { latency: self.latency.clone(), ..Self::of(self.past(operations).after_power_loss(chance)) }
    }

    /// The disks, one by one, of which each may be found after a loss of power after so many operations of the trace.
    pub fn cuts_after(
        &self,
        operations: usize,
        how: Thoroughness,
        chance: &mut Rng,
    ) -> impl Iterator<Item = Memory> + use<> {
        let past = self.past(operations);
        let latency = self.latency.clone();
        let losses = losses(&past.unsynced(), how, chance);
        losses
            .into_iter()
            .map(move |fates| Memory { latency: latency.clone(), ..Self::of(past.after(&fates)) })
    }

    /// The same for disks with the same files, by name and contents; for others almost certainly another.
    pub fn digest(&self) -> u64 {
        let world = self.world();
        let mut hasher = DefaultHasher::new();
        for (name, _) in world.list() {
            let id = world.find(&name).expect("it is in the list");
            (name, world.contents(id)).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The world as it was after so many operations of the trace.
    fn past(&self, operations: usize) -> World {
        let mut past = World::traced();
        for operation in &self.world().operations()[..operations] {
            past.apply(operation.clone());
        }
        past
    }

    /// The disk that loses its power now and is switched on again. Who has this one open goes on with this one.
    ///
    /// # Panics
    /// If the disk is not an unreliable one.
    #[must_use]
    pub fn after_power_loss(&self, chance: &mut Rng) -> Memory {
        Memory { latency: self.latency.clone(), ..Self::of(self.world().after_power_loss(chance)) }
    }

    /// The next syncs fail, and what they were to sync stays unsynced.
    pub fn fail_syncs(&self, count: usize) {
        self.world().syncs_to_fail = count;
    }

    /// The next writes fail, and change nothing.
    pub fn fail_writes(&self, count: usize) {
        self.world().writes_to_fail = count;
    }

    /// All files together may take this much; none is as much as there is memory.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.world().space_bytes = bytes;
    }

    /// Changes bytes behind everyone's back, synced ones too, as a failing medium does.
    pub fn damage(&self, name: &str, at: Range<u64>) -> io::Result<()> {
        let mut world = self.world();
        let id = world.find(name)?;
        world.damage(id, at);
        Ok(())
    }

    fn of(world: World) -> Self {
        Self { world: Arc::new(Mutex::new(world)), ..Self::default() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nothing panics with this lock")
    }

    fn handle(&self, id: FileId) -> Arc<dyn File> {
        Arc::new(MemoryFile { disk: self.clone(), id })
    }

    /// What was done before this call is synced once the time of a sync has passed.
    fn sync_later(&self, operation: Operation) -> Syncing {
        let disk = self.clone();
        Box::pin(async move {
            if let Some((clock, latency)) = &disk.latency {
                clock.sleep_until(clock.now() + *latency).await;
            }
            disk.world().sync(operation)
        })
    }
}

impl Disk for Memory {
    fn path(&self) -> String {
        "memory".into()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let id = self.world().find(name)?;
        Ok(self.handle(id))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        let id = match world.find(name) {
            Ok(id) => {
                world.apply(Operation::Change(id, Change::Truncate(0)));
                id
            }
            Err(_) => {
                let id = world.next_file();
                world.apply(Operation::Name(Naming::Create(name.to_owned())));
                id
            }
        };
        drop(world);
        Ok(self.handle(id))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.find(from)?;
        world.apply(Operation::Name(Naming::Rename(from.to_owned(), to.to_owned())));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.find(name)?;
        world.apply(Operation::Name(Naming::Remove(name.to_owned())));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        Ok(self.world().list())
    }

    fn lock(&self, _name: &str) -> io::Result<Box<dyn Lock>> {
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock(self.locked.clone())))
    }

    fn sync(&self) -> Syncing {
        let until = self.world().namings_so_far();
        self.sync_later(Operation::SyncFolder(until))
    }
}

struct MemoryFile {
    disk: Memory,
    id: FileId,
}

impl File for MemoryFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        world.admit_write(self.id, offset + bytes.len() as u64)?;
        world.apply(Operation::Change(self.id, Change::Write(offset, Bytes::copy_from_slice(bytes))));
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let world = self.disk.world();
        let contents = world.contents(self.id);
        let rest = contents.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.make_room(self.id, length)?;
        world.apply(Operation::Change(self.id, Change::Truncate(length)));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.world().contents(self.id).len() as u64)
    }

    fn sync(&self) -> Syncing {
        let until = self.disk.world().changes_so_far(self.id);
        self.disk.sync_later(Operation::SyncFile(self.id, until))
    }

    fn fill(&self, length: u64) -> Syncing {
        // Zeros would only take memory where nothing is ever lost.
        let loses_power = self.disk.world().loses_power();
        let filled = match self.length() {
            Ok(now) if now < length && loses_power => self.truncate(length),
            other => other.map(drop),
        };
        match filled {
            Ok(()) => self.sync(),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

struct MemoryLock(Arc<AtomicBool>);

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn write(file: &Arc<dyn File>, offset: u64, bytes: &[u8], synced: bool) {
        file.write_at(offset, bytes).unwrap();
        if synced {
            file.sync().await.unwrap();
        }
    }

    fn contents(disk: &Memory, name: &str) -> Option<Vec<u8>> {
        let file = disk.open(name).ok()?;
        let mut bytes = vec![0; file.length().unwrap() as usize];
        assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
        Some(bytes)
    }

    #[tokio::test]
    async fn what_was_synced_survives_and_of_the_rest_any_part_may() {
        let disk = Memory::unreliable();
        let file = disk.create("a").unwrap();
        disk.sync().await.unwrap();
        write(&file, 0, &[1; 2000], true).await;
        write(&file, 1000, &[2; 2000], false).await;
        let mut lengths = std::collections::BTreeSet::new();
        let (mut lost, mut kept, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let after = contents(&disk.after_power_loss(&mut Rng::new(seed)), "a").unwrap();
            assert_eq!(after[..1000], [1; 1000], "seed {seed}");
            match after[1000..].iter().filter(|byte| **byte == 2).count() {
                0 => lost += 1,
                2000 => kept += 1,
                _ => torn += 1,
            }
            lengths.insert(after.len());
        }
        assert!(
            lost > 10 && kept > 10 && torn > 10 && lengths.len() > 10,
            "{lost} {kept} {torn} {lengths:?}"
        );
    }

    #[tokio::test]
    async fn a_name_lasts_once_the_folder_is_synced() {
        let disk = Memory::unreliable();
        let file = disk.create("a").unwrap();
        write(&file, 0, b"one", true).await;
        let found: Vec<_> = (0..50)
            .map(|seed| contents(&disk.after_power_loss(&mut Rng::new(seed)), "a").is_some())
            .collect();
        assert!(found.contains(&true) && found.contains(&false));
        disk.sync().await.unwrap();
        disk.rename("a", "b").unwrap();
        for seed in 0..50 {
            let after = disk.after_power_loss(&mut Rng::new(seed));
            let names: Vec<_> = after.list().unwrap().into_iter().map(|(name, _)| name).collect();
            assert!(names == ["a"] || names == ["b"], "{names:?}");
        }
    }

    #[tokio::test]
    async fn a_trace_holds_the_disk_after_each_operation() {
        let disk = Memory::traced();
        let file = disk.create("a").unwrap();
        disk.sync().await.unwrap();
        write(&file, 0, b"one", true).await;
        write(&file, 3, b"two", true).await;
        assert_eq!(disk.operations(), 6);
        let after = |operations| contents(&disk.cut_after(operations, &mut Rng::new(1)), "a");
        assert_eq!(after(0), None);
        assert_eq!(after(2).as_deref(), Some(&b""[..]));
        assert_eq!(after(4).as_deref(), Some(&b"one"[..]));
        assert_eq!(after(6).as_deref(), Some(&b"onetwo"[..]));
    }

    #[tokio::test]
    async fn two_writes_that_were_not_synced_leave_these_disks_and_no_others() {
        let disk = Memory::traced();
        let file = disk.create("a").unwrap();
        disk.sync().await.unwrap();
        write(&file, 0, b"old", true).await;
        write(&file, 0, b"new", false).await;
        write(&file, 3, b"tail", false).await;
        let how = Thoroughness { pieces_combined_max: 2, alone_max: 0, by_chance: 0 };
        let disks: Vec<_> = disk.cuts_after(disk.operations(), how, &mut Rng::new(1)).collect();
        let mut found: Vec<_> = disks.iter().map(|it| contents(it, "a").unwrap()).collect();
        found.sort();
        let of_new = [&b"new"[..], b"new\0\0\0\0", b"newta", b"newtail"];
        let of_old = [&b"old"[..], b"old\0\0\0\0", b"oldta", b"oldtail"];
        let expected = [of_new, of_old].concat();
        assert_eq!(found, expected);
        let digests: std::collections::BTreeSet<_> = disks.iter().map(Memory::digest).collect();
        assert_eq!(digests.len(), expected.len(), "each is another one");
    }

    #[tokio::test]
    async fn a_write_is_cut_where_sectors_end_and_names_apart_from_contents() {
        let disk = Memory::traced();
        let file = disk.create("a").unwrap();
        write(&file, 500, &[1; 600], false).await;
        let how = Thoroughness { pieces_combined_max: 4, alone_max: 0, by_chance: 0 };
        let cuts = |operations| disk.cuts_after(operations, how, &mut Rng::new(1));
        let found: std::collections::BTreeSet<_> = cuts(2).map(|it| contents(&it, "a")).collect();
        let starts =
            found.iter().flatten().map(|it| it.iter().position(|byte| *byte == 1)).collect::<Vec<_>>();
        assert!(found.contains(&None) && starts.contains(&Some(500)) && starts.contains(&Some(512)));
        let lengths: std::collections::BTreeSet<_> = found.iter().flatten().map(Vec::len).collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 512, 1024, 1062, 1100]);
        assert_eq!(cuts(1).map(|it| contents(&it, "a")).collect::<Vec<_>>(), [None, Some(vec![])]);
    }

    #[tokio::test]
    async fn a_sync_covers_what_was_written_before_it_began() {
        let disk = Memory::unreliable();
        let file = disk.create("a").unwrap();
        disk.sync().await.unwrap();
        file.write_at(0, b"before").unwrap();
        let sync = file.sync();
        file.write_at(6, b"after").unwrap();
        sync.await.unwrap();
        let lost = |seed| contents(&disk.after_power_loss(&mut Rng::new(seed)), "a").unwrap() == b"before";
        assert!((0..50).any(lost));
    }

    #[tokio::test]
    async fn syncs_fail_and_space_ends_on_demand() {
        let disk = Memory::unreliable();
        let file = disk.create("a").unwrap();
        disk.fail_syncs(1);
        assert!(file.sync().await.is_err());
        file.sync().await.unwrap();
        disk.fail_writes(1);
        assert!(file.write_at(0, b"1").is_err());
        disk.limit_space(Some(4));
        assert_eq!(file.write_at(0, b"12345").unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_at(0, b"1234").unwrap();
        file.write_at(1, b"567").unwrap();
    }

    #[test]
    fn a_lock_is_free_when_it_is_dropped() {
        let disk = Memory::new();
        let lock = disk.lock("lock").unwrap();
        assert_eq!(disk.clone().lock("lock").err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(lock);
        disk.lock("lock").unwrap();
    }
}
