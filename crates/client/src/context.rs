//! What all parts of a client share: the seams to the world, the settings of connections, the counters.

use std::sync::{Arc, Mutex, PoisonError};

use vltava_core::{Clock, Moment, Rng};

use crate::{
    config,
    decompressors::Decompressors,
    metrics::Counters,
    net::{Dial, Memory},
};

/// What all parts of a client share.
pub(crate) struct Context {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) connection: config::Connection,
    pub(crate) counters: Arc<Counters>,
    pub(crate) decompressors: Decompressors,
    /// For answers.
    pub(crate) memory: Arc<Memory>,
    rng: Mutex<Rng>,
}

impl Context {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        dial: Arc<dyn Dial>,
        connection: config::Connection,
        seed: u64,
    ) -> Arc<Self> {
        let (counters, rng) = (Arc::default(), Mutex::new(Rng::new(seed)));
        let decompressors = Decompressors::default();
        let memory = Arc::new(Memory::new(connection.answer_memory_bytes));
        Arc::new(Self { clock, dial, connection, counters, decompressors, memory, rng })
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// A generator of its own for some part, so that parts do not disturb each other's chance.
    pub(crate) fn rng(&self) -> Rng {
        Rng::new(self.rng.lock().unwrap_or_else(PoisonError::into_inner).bits())
    }

    /// Completes at `at`, never without one.
    pub(crate) async fn sleep_until(&self, at: Option<Moment>) {
        match at {
            Some(at) => self.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}
