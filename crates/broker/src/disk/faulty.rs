//! A disk that is slow, fails or is full on demand, around any other.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use vltava_core::Clock;

use super::{Disk, File, Lock, Syncing};

/// Faults of a broker's disk, whether that is a folder or memory. A clone is the same.
///
/// After a sync that fails the broker writes nothing more until it is started anew: what the disk has by then nobody
/// can know. A write that fails changes nothing and may be tried again.
#[derive(Clone)]
pub struct DiskFaults {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    /// Whether there is any fault: all that is looked at where there is none.
    is_armed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slow: Duration,
    syncs_to_fail: u64,
    writes_to_fail: u64,
    /// Bytes that may still be written, if not as many as there is room for.
    room: Option<u64>,
    struck: u64,
}

impl DiskFaults {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, is_armed: AtomicBool::new(false), state: Mutex::default() }) }
    }

    /// Each sync takes so much longer, by the broker's clock, until that is lifted.
    pub fn slow(&self, time: Duration) {
        self.change(|state| state.slow = time);
    }

    /// The next sync, or one more than were to fail already, fails; what it was to sync is not synced.
    pub fn fail_next_sync(&self) {
        self.change(|state| state.syncs_to_fail += 1);
    }

    /// The next write, or one more than were to fail already, fails and changes nothing.
    pub fn fail_next_write(&self) {
        self.change(|state| state.writes_to_fail += 1);
    }

    /// There is no room for any write, until that is lifted.
    pub fn full(&self) {
        self.full_after(0);
    }

    /// There is no room after so many bytes more, whatever is removed meanwhile, until that is lifted.
    pub fn full_after(&self, bytes: u64) {
        self.change(|state| state.room = Some(bytes));
    }

    /// From here on the disk is as well as it ever was. What has failed stays failed.
    pub fn lift(&self) {
        self.change(|state| *state = State { struck: state.struck, ..State::default() });
    }

    /// How many syncs and writes have failed, for want of room too.
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let is_well = (state.slow, state.syncs_to_fail, state.writes_to_fail, state.room)
            == (Duration::ZERO, 0, 0, None);
        self.shared.is_armed.store(!is_well, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("nothing panics with this lock")
    }

    /// Lets so many bytes be written, or fails.
    fn admit_write(&self, bytes: u64) -> io::Result<()> {
        let mut admitted = Ok(());
        if self.shared.is_armed.load(Ordering::Relaxed) {
            self.change(|state| admitted = state.write(bytes));
        }
        admitted
    }

    /// Lets a sync be done, or not; it takes as long as it is to.
    fn sync(&self, sync: impl FnOnce() -> Syncing) -> Syncing {
        if !self.shared.is_armed.load(Ordering::Relaxed) {
            return sync();
        }
        let (mut admitted, mut slow) = (Ok(()), Duration::ZERO);
        self.change(|state| (admitted, slow) = (state.sync(), state.slow));
        let synced = match admitted {
            Ok(()) => sync(),
            Err(error) => Box::pin(async { Err(error) }),
        };
        let clock = self.shared.clock.clone();
        Box::pin(async move {
            let synced = synced.await;
            clock.sleep_until(clock.now() + slow).await;
            synced
        })
    }
}

impl State {
    fn write(&mut self, bytes: u64) -> io::Result<()> {
        let failed = if self.writes_to_fail > 0 {
            self.writes_to_fail -= 1;
            io::Error::other("a fault had a write fail")
        } else {
            match self.room {
                Some(room) if room < bytes => io::ErrorKind::StorageFull.into(),
                Some(ref mut room) => {
                    *room -= bytes;
                    return Ok(());
                }
                None => return Ok(()),
            }
        };
        self.struck += 1;
        Err(failed)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.syncs_to_fail == 0 {
            return Ok(());
        }
        self.syncs_to_fail -= 1;
        self.struck += 1;
        Err(io::Error::other("a fault had a sync fail"))
    }
}

impl fmt::Debug for DiskFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskFaults").field("struck", &self.struck()).finish_non_exhaustive()
    }
}

/// A disk with faults.
pub(crate) struct Faulty {
    disk: Arc<dyn Disk>,
    faults: DiskFaults,
}

impl Faulty {
    pub(crate) fn new(disk: Arc<dyn Disk>, faults: DiskFaults) -> Self {
        Self { disk, faults }
    }

    fn file(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(FaultyFile { file, faults: self.faults.clone() })
    }
}

impl Disk for Faulty {
    fn path(&self) -> String {
        self.disk.path()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.disk.open(name).map(|file| self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.disk.create(name).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.disk.list()
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(name)
    }

    fn sync(&self) -> Syncing {
        self.faults.sync(|| self.disk.sync())
    }
}

struct FaultyFile {
    file: Arc<dyn File>,
    faults: DiskFaults,
}

impl File for FaultyFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.faults.admit_write(bytes.len() as u64)?;
        self.file.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn sync(&self) -> Syncing {
        self.faults.sync(|| self.file.sync())
    }

    /// It is no write or sync that anybody waits for, so the faults of these are not spent on it.
    fn fill(&self, length: u64) -> Syncing {
        self.file.fill(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SystemClock, disk};

    fn faulty() -> (Faulty, DiskFaults) {
        let faults = DiskFaults::new(Arc::new(SystemClock::new()));
        (Faulty::new(Arc::new(disk::Memory::new()), faults.clone()), faults)
    }

    #[tokio::test(start_paused = true)]
    async fn writes_and_syncs_fail_as_often_as_was_said() {
        let (disk, faults) = faulty();
        let file = disk.create("a").unwrap();
        faults.fail_next_write();
        faults.fail_next_sync();
        faults.fail_next_sync();
        assert!(file.write_at(0, b"one").is_err());
        assert_eq!(file.length().unwrap(), 0);
        file.write_at(0, b"two").unwrap();
        assert!(file.sync().await.is_err());
        assert!(disk.sync().await.is_err());
        file.sync().await.unwrap();
        assert_eq!((file.length().unwrap(), faults.struck()), (3, 3));
        assert!(!faults.shared.is_armed.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_so_much_until_more_is_made() {
        let (disk, faults) = faulty();
        let file = disk.create("a").unwrap();
        faults.full_after(4);
        file.write_at(0, b"one").unwrap();
        assert_eq!(file.write_at(3, b"two").unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.write_at(3, b"2").unwrap();
        assert_eq!(file.write_at(0, b"1").unwrap_err().kind(), io::ErrorKind::StorageFull);
        faults.lift();
        file.write_at(0, &[0; 100]).unwrap();
        faults.full();
        assert!(file.write_at(0, b"1").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_sync_takes_so_long_and_a_write_no_time() {
        let (disk, faults) = faulty();
        let file = disk.create("a").unwrap();
        let clock = SystemClock::new();
        faults.slow(Duration::from_secs(2));
        file.write_at(0, b"one").unwrap();
        assert_eq!(clock.now().0, 0);
        file.sync().await.unwrap();
        disk.sync().await.unwrap();
        assert_eq!(clock.now().0, 4_000_000);
        faults.lift();
        file.sync().await.unwrap();
        assert_eq!(clock.now().0, 4_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_sync_takes_longer_than_it_would() {
        let clock = Arc::new(SystemClock::new());
        let faults = DiskFaults::new(clock.clone());
        let disk = disk::Memory::new().with_latency(clock.clone(), Duration::from_secs(1));
        let disk = Faulty::new(Arc::new(disk), faults.clone());
        faults.slow(Duration::from_secs(2));
        disk.create("a").unwrap().sync().await.unwrap();
        assert_eq!(clock.now().0, 3_000_000);
    }
}
