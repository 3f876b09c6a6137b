//! The only way to storage: a folder of files, real or in memory.
//!
//! Everything but a sync is done at once, on the caller's thread. What was written, created, renamed or removed
//! survives a loss of power only once the file, or the folder, was synced.

mod faulty;
mod file;
mod losses;
mod memory;
mod world;

use std::{io, pin::Pin, sync::Arc};

pub use faulty::DiskFaults;
pub(crate) use faulty::Faulty;
pub use file::Folder;
pub use losses::Thoroughness;
pub use memory::Memory;

/// A sync under way. What was done before the call is on the disk once it completes; it goes on if it is dropped.
pub type Syncing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// One folder of files, without folders in it. Names are plain file names.
pub trait Disk: Send + Sync + 'static {
    /// Where the folder is, for messages.
    fn path(&self) -> String;

    /// Opens a file that exists, to read and to write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Makes a file, or empties the one there is.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, and replaces the file that had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Those who have it open go on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files and their lengths, in order of name.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// Keeps all others out, other processes included, until the lock is dropped; fails at once with
    /// [`io::ErrorKind::WouldBlock`] if someone has it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Lock>>;

    /// Makes the folder's own contents last: which files there are, by which names.
    fn sync(&self) -> Syncing;
}

/// A file that was opened.
pub trait File: Send + Sync {
    /// Writes all of `bytes`, beyond the end too.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads until `buffer` is full or the file ends; says how much.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Cuts the file, or fills it with zeros, to this length.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// How long the file is.
    fn length(&self) -> io::Result<u64>;

    /// Makes the file's contents last.
    fn sync(&self) -> Syncing;

    /// Fills the file with written zeros from its end to this length and syncs it, so that a later sync of what is
    /// written there need not store a new length or new blocks.
    fn fill(&self, length: u64) -> Syncing;
}

/// Held as long as it lives.
pub trait Lock: Send + Sync {}
