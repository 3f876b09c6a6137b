//! The one node: what every connection shares.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

use tracing::{debug, warn};
use vltava_core::{Clock, Rng};

/// The number of the only node there is.
pub(crate) const NODE_ID: i32 = 1;

/// A refused connection is worth a warning no more often than this; each is in the debug log.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// What every connection shares.
pub(crate) struct Node {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cluster_id: String,
    rng: Mutex<Rng>,
    /// From when on a refused connection is warned about again, in microseconds.
    warn_from: AtomicU64,
}

impl Node {
    pub(crate) fn new(clock: Arc<dyn Clock>, mut rng: Rng) -> Self {
        let cluster_id = rng.uuid().to_string();
        Self { clock, cluster_id, rng: Mutex::new(rng), warn_from: AtomicU64::new(0) }
    }

    /// The node's source of chance.
    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().expect("nothing panics while it rolls dice")
    }

    /// Says why a peer is not served any longer.
    pub(crate) fn refused(&self, peer: &str, reason: &dyn std::fmt::Display) {
        debug!(%peer, %reason, "connection closed");
        let now = self.clock.now();
        let next = (now + WARNING_INTERVAL).0;
        let due = |from| (from <= now.0).then_some(next);
        if self.warn_from.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            warn!(%peer, %reason, "connection closed; more like it are logged at level debug for a minute");
        }
    }
}
