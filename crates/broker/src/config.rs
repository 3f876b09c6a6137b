//! How a broker is set up: what its user says, and what that is resolved to.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use vltava_core::Clock;

use crate::{
    Broker, Error, ErrorKind, GroupOptions, LogOptions, Result, SystemClock,
    disk::{self, Disk},
    entropy, server,
};

/// Memory for requests, unless said: enough for a request of the longest kind, 100 MiB, and for most of another.
const REQUEST_MEMORY_BYTES: usize = 512 << 20;

/// When a write counts as done, and so what a loss of power may take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Acknowledged is synced to the disk: a loss of power takes nothing back.
    #[default]
    Always,
    /// Synced once in this time: a loss of power takes back what was acknowledged within it, and until the sync that
    /// follows is done. With 10 ms, ten cuts of the power under load took back 33 ms at most, with 100 ms 92 ms. A
    /// killed process loses nothing.
    Interval(Duration),
    /// Synced when the kernel sees fit: a loss of power may take back half a minute, and took back all there was
    /// where less was written. A killed process loses nothing.
    Os,
}

/// A broker to be. Made by [`Broker::open`] and [`Broker::in_memory`].
#[derive(Clone)]
pub struct Builder {
    pub(crate) folder: Option<PathBuf>,
    pub(crate) nodes: usize,
    pub(crate) listen: Vec<String>,
    pub(crate) advertise: Vec<String>,
    pub(crate) topics: Vec<(String, i32)>,
    pub(crate) log: LogOptions,
    pub(crate) groups: GroupOptions,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) disk: Option<Arc<dyn Disk>>,
    pub(crate) seed: Option<u64>,
    pub(crate) auto_create_topics: bool,
    pub(crate) request_memory: usize,
}

impl Builder {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            nodes: 1,
            listen: Vec::new(),
            advertise: Vec::new(),
            topics: Vec::new(),
            log: LogOptions::default(),
            groups: GroupOptions::default(),
            clock: None,
            disk: None,
            seed: None,
            auto_create_topics: true,
            request_memory: REQUEST_MEMORY_BYTES,
        }
    }

    /// How many node ids it has, from 1 on, 64 at most; 1 unless said. Each has its own addresses, leads its share of
    /// the partitions and coordinates its share of the groups; leaders [move](Broker::move_leader), and nodes
    /// [stop](crate::NodeHandle::stop). It is a stage on which to test how clients fail over, and no cluster: there is
    /// one process with one journal, nothing is replicated, and nothing is safer than on a single node.
    ///
    /// Partition 0 of a new topic is led by node 1, partition 1 by node 2, and so on around. Topics that are there
    /// keep their leaders over a restart, and which nodes are stopped is forgotten.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// Listens on `host:port`; may be said several times. Port 0 takes a free one. `localhost` is both 127.0.0.1
    /// and ::1, on the same port. Of several nodes each takes a free one of its own, or the first takes the port that
    /// is said and the others those that follow. A broker that listens nowhere is reached by [`Broker::connect`]
    /// alone.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen.push(address.into());
        self
    }

    /// The `host:port` that clients are told to use, for a broker behind a name or a forwarded port. Unless said,
    /// each client is told the address it came in by. Several nodes are told of each its own, if it is said
    /// as many times; said once it is the first one's, and the others have the ports that follow.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise.push(address.into());
        self
    }

    /// Makes sure that a topic exists before the first client is served. One that exists keeps its partitions.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, partitions: i32) -> Self {
        self.topics.push((name.into(), partitions));
        self
    }

    /// When a write counts as done; [`Sync::Always`] unless said.
    #[must_use]
    pub fn sync(mut self, sync: Sync) -> Self {
        self.log.sync = sync;
        self
    }

    /// How the log is kept, all at once; its `sync` replaces what was said of it before.
    #[must_use]
    pub fn log(mut self, options: LogOptions) -> Self {
        self.log = options;
        self
    }

    /// How groups are kept.
    #[must_use]
    pub fn groups(mut self, options: GroupOptions) -> Self {
        self.groups = options;
        self
    }

    /// The clock to live by.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps everything on this disk instead of the folder or the memory that was said first.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Takes all chance (cluster id, topic ids, member ids) from this seed instead of the system's.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether a topic that a client asks for is created on the way, with one partition. It is, unless said, if the
    /// client does not object.
    #[must_use]
    pub fn auto_create_topics(mut self, create: bool) -> Self {
        self.auto_create_topics = create;
        self
    }

    /// How much memory the requests of all connections together may take while they are read and worked on, in
    /// bytes; 512 MiB unless said, of which little is ever used at once. Half is for connections, 64 KiB each, so by
    /// default there may be 4096; three eighths are for frames, and a longer request is refused.
    #[must_use]
    pub fn request_memory(mut self, bytes: usize) -> Self {
        self.request_memory = bytes;
        self
    }

    /// Recovers what is stored, listens, and serves from then on.
    pub async fn start(self) -> Result<Broker> {
        server::start(self).await
    }

    pub(crate) fn resolved_clock(&self) -> Arc<dyn Clock> {
        self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()))
    }

    pub(crate) fn resolved_disk(&self) -> Result<Arc<dyn Disk>> {
        if let Some(disk) = &self.disk {
            return Ok(disk.clone());
        }
        let Some(folder) = &self.folder else { return Ok(Arc::new(disk::Memory::new())) };
        let opened = disk::Folder::open(folder).map_err(|error| {
            let message = format!("cannot open folder {}", folder.display());
            Error::new(ErrorKind::Disk, message).because(error)
        })?;
        Ok(Arc::new(opened))
    }

    /// The seed that was said, or one from the system.
    pub(crate) fn resolved_seed(&self) -> u64 {
        self.seed.unwrap_or_else(entropy::seed)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("folder", &self.folder)
            .field("nodes", &self.nodes)
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("topics", &self.topics)
            .field("log", &self.log)
            .field("groups", &self.groups)
            .field("seed", &self.seed)
            .field("auto_create_topics", &self.auto_create_topics)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_log_that_cannot_be_meant_is_refused() {
        for (wrong, options) in [
            ("interval", LogOptions { sync: Sync::Interval(Duration::ZERO), ..LogOptions::default() }),
            ("files", LogOptions { journal_file_bytes: 1000, ..LogOptions::default() }),
            ("files", LogOptions { journal_file_bytes: 0, ..LogOptions::default() }),
            ("keys", LogOptions { compaction_keys: 0, ..LogOptions::default() }),
        ] {
            let refused = Broker::in_memory().log(options).start().await.expect_err(wrong);
            assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
            assert!(refused.to_string().contains(wrong), "{refused}");
        }
    }
}
