//! What the broker is called.

use vltava_wire::{Uuid, messages};

messages! {
    /// The broker was opened.
    pub struct Opened {
        cluster_id: Uuid => 0..;
        times: i64 => 0..;
    }
}

/// The broker's name for life, and how often it was opened.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) id: Uuid,
    times_opened: i64,
}

impl Cluster {
    /// What to note when the broker is opened.
    pub(crate) fn open(&self) -> Opened {
        Opened { cluster_id: self.id, times: self.times_opened + 1 }
    }

    pub(super) fn apply(&mut self, opened: &Opened) {
        self.id = opened.cluster_id;
        self.times_opened = opened.times;
    }

    pub(super) fn image(&self) -> Opened {
        Opened { cluster_id: self.id, times: self.times_opened }
    }
}
