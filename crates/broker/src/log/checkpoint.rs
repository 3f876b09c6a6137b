//! A checkpoint: all that is so at a position is put where it lasts, so that the journal before it is free.

use std::collections::BTreeSet;

use vltava_core::Timestamp;

use crate::{Result, disk::Disk};

use super::{
    image::{self, Anchor, Failure},
    journal::Place,
    state::State,
};

pub(super) struct Checkpoint {
    pub(super) position: u64,
    image: Vec<u8>,
    /// The segments that are to be synced.
    segments: BTreeSet<String>,
    indexes: Vec<(String, Vec<u8>)>,
    unneeded: Vec<String>,
}

/// Which segments get their index stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indexes {
    /// Those that do not grow any more.
    Closed,
    All,
}

impl Checkpoint {
    /// What is so now, at the journal's end. All batches are moved into segments, settled or not: what the image
    /// names is synced before the image is.
    pub(super) fn capture(state: &mut State, indexes: Indexes, now: Timestamp) -> Result<Self, Failure> {
        let end = state.journal.end();
        let contents = &mut state.contents;
        contents.move_batches(end.position).map_err(Failure::writing("a segment"))?;
        let segments = std::mem::take(&mut contents.unsynced_segments);
        let indexes = contents.all_partitions().flat_map(|it| it.indexes_to_store(indexes)).collect();
        let unneeded = std::mem::take(&mut contents.unneeded_files);
        let &Place { file_bytes, key, .. } = state.journal.place();
        let image = image::encode(Anchor { end, file_bytes, key }, contents.image(now));
        Ok(Self { position: end.position, image, segments, indexes, unneeded })
    }

    /// Puts it on the disk, and removes what nobody needs any more.
    pub(super) async fn store(&self, disk: &dyn Disk) -> Result<(), Failure> {
        for name in &self.segments {
            let file = disk.open(name).map_err(Failure::writing(name))?;
            file.sync().await.map_err(Failure::syncing(name))?;
        }
        disk.sync().await.map_err(Failure::syncing("the folder"))?;
        image::store(disk, &self.image).await?;
        for name in &self.unneeded {
            remove(disk, name);
        }
        for (name, bytes) in &self.indexes {
            let stored = disk.create(name).and_then(|file| file.write_at(0, bytes));
            if stored.is_err() {
                remove(disk, name);
            }
        }
        Ok(())
    }

    /// Gives back what the next one has to do, if this one was not stored.
    pub(super) fn undo(self, state: &mut State) {
        state.contents.unsynced_segments.extend(self.segments);
        state.contents.unneeded_files.extend(self.unneeded);
    }
}

/// What cannot be removed is left for the next start, which removes what the image does not name.
pub(super) fn remove(disk: &dyn Disk, name: &str) {
    if let Err(error) = disk.remove(name) {
        tracing::debug!(%name, %error, "a file that is not needed any more could not be removed");
    }
}
