//! The real disk: a folder of the file system. Syncs run on threads of its own, the only ones of this crate.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use tokio::sync::oneshot;

use super::{Disk, File, Lock, Syncing};

/// The journal's sync, a checkpoint's and the filling of the next file may run at the same time; no more do.
const THREADS_MAX: usize = 3;
/// Zeros are written in pieces of this size.
const FILL_BYTES: usize = 256 * 1024;

/// A folder of the file system.
pub struct Folder {
    path: PathBuf,
    threads: Arc<Threads>,
}

impl Folder {
    /// The folder at `path`, which is made if it is not there.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        make(&path)?;
        Ok(Self { path, threads: Arc::default() })
    }

    fn file(&self, file: fs::File) -> Arc<dyn File> {
        Arc::new(RealFile { file: Arc::new(file), threads: self.threads.clone() })
    }
}

/// Makes a folder and those it is in. A new one must survive as what is stored in it does, so its parent is synced.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    make(parent)?;
    fs::create_dir(path)?;
    fs::File::open(parent)?.sync_all()
}

impl Disk for Folder {
    fn path(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(self.file(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(self.path.join(name))?;
        Ok(self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                names.push((name, metadata.len()));
            }
        }
        names.sort();
        Ok(names)
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(self.path.join(name))?;
        file.try_lock()?;
        Ok(Box::new(RealLock(file)))
    }

    fn sync(&self) -> Syncing {
        let path = self.path.clone();
        self.threads.run(move || fs::File::open(path)?.sync_all())
    }
}

struct RealFile {
    file: Arc<fs::File>,
    threads: Arc<Threads>,
}

impl File for RealFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Data and what is needed to find it, the length among it.
    fn sync(&self) -> Syncing {
        let file = self.file.clone();
        self.threads.run(move || file.sync_data())
    }

    fn fill(&self, length: u64) -> Syncing {
        let file = self.file.clone();
        self.threads.run(move || {
            let zeros = [0; FILL_BYTES];
            let mut at = file.metadata()?.len();
            while at < length {
                let count = (length - at).min(FILL_BYTES as u64);
                file.write_all_at(&zeros[..count as usize], at)?;
                at += count;
            }
            file.sync_all()
        })
    }
}

/// The kernel frees it when the file is closed, so a killed process leaves none behind.
struct RealLock(#[expect(dead_code, reason = "kept open for the lock on it")] fs::File);

impl Lock for RealLock {}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that start when there is work for them and end when the folder and its files are dropped.
struct Threads {
    jobs: mpsc::Sender<Job>,
    queue: Arc<Mutex<mpsc::Receiver<Job>>>,
    /// Jobs that wait or run, and threads that were started.
    load: Arc<Mutex<Load>>,
}

#[derive(Default)]
struct Load {
    jobs: usize,
    threads: usize,
}

impl Default for Threads {
    fn default() -> Self {
        let (jobs, queue) = mpsc::channel();
        Self { jobs, queue: Arc::new(Mutex::new(queue)), load: Arc::default() }
    }
}

impl Threads {
    fn run(&self, work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Syncing {
        let (done, answer) = oneshot::channel();
        let started = self.start_if_all_are_busy();
        let job = Box::new(move || drop(done.send(work())));
        let queued = self.jobs.send(job).map_err(|_| io::Error::other("the disk's threads are gone"));
        Box::pin(async move {
            started?;
            queued?;
            answer.await.map_err(|_| io::Error::other("the disk's thread panicked"))?
        })
    }

    fn start_if_all_are_busy(&self) -> io::Result<()> {
        let mut load = self.load.lock().expect("no thread panics with this lock");
        load.jobs += 1;
        if load.jobs <= load.threads || load.threads == THREADS_MAX {
            return Ok(());
        }
        let (queue, work) = (self.queue.clone(), self.load.clone());
        let started = thread::Builder::new().name("vltava-disk".into()).spawn(move || serve(&queue, &work));
        match started {
            Ok(_) => load.threads += 1,
            Err(error) if load.threads == 0 => return Err(error),
            Err(_) => (),
        }
        Ok(())
    }
}

fn serve(queue: &Mutex<mpsc::Receiver<Job>>, load: &Mutex<Load>) {
    loop {
        let Ok(job) = queue.lock().expect("no thread panics with this lock").recv() else { return };
        job();
        load.lock().expect("no thread panics with this lock").jobs -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_written_read_filled_and_synced() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Folder::open(folder.path()).unwrap();
        let file = disk.create("a").unwrap();
        file.write_at(2, b"one").unwrap();
        file.fill(FILL_BYTES as u64 + 10).await.unwrap();
        file.sync().await.unwrap();
        disk.sync().await.unwrap();
        assert_eq!(file.length().unwrap(), FILL_BYTES as u64 + 10);
        let mut bytes = [7; 8];
        assert_eq!(file.read_at(0, &mut bytes).unwrap(), 8);
        assert_eq!(&bytes, b"\0\0one\0\0\0");
        assert_eq!(file.read_at(FILL_BYTES as u64 + 8, &mut bytes).unwrap(), 2);
        disk.rename("a", "b").unwrap();
        assert_eq!(disk.list().unwrap(), [("b".to_owned(), FILL_BYTES as u64 + 10)]);
        assert_eq!(disk.open("a").err().unwrap().kind(), io::ErrorKind::NotFound);
        disk.remove("b").unwrap();
        assert!(disk.list().unwrap().is_empty());
    }

    #[tokio::test]
    async fn more_syncs_than_threads_all_complete() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Folder::open(folder.path()).unwrap();
        let file = disk.create("a").unwrap();
        let syncs: Vec<_> = (0..20).map(|_| file.sync()).collect();
        assert_eq!(disk.threads.load.lock().unwrap().threads, THREADS_MAX);
        for sync in syncs {
            sync.await.unwrap();
        }
    }
}
