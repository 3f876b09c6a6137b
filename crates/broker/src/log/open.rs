//! Opening a folder: a new one is begun, one that was used is recovered.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use vltava_core::{
    Rng,
    planted::{Plant, planted},
    produce::Windows,
};

use crate::{
    Error, ErrorKind, Result,
    disk::{Disk, Lock},
    ledger::{Entry, cluster::Opened},
};

use super::{
    Options, Refused,
    checkpoint::remove,
    contents::{Contents, not_moved},
    files::Files,
    image::{self, Anchor, Image},
    journal::{End, FILE_PREFIX, FILLING_PREFIX, Place},
    recover::{replay, unreadable},
    segment::{is_compacted, is_of_a_segment},
    state::State,
};

const LOCK_NAME: &str = "lock";

/// Keeps other processes out of the folder.
pub(super) fn lock(disk: &dyn Disk) -> Result<Box<dyn Lock>> {
    disk.lock(LOCK_NAME).map_err(|error| {
        let place = disk.path();
        if error.kind() == io::ErrorKind::WouldBlock {
            let why = format!("{place} is in use by another broker; stop that one, or choose another folder");
            return Error::new(ErrorKind::Locked, why);
        }
        Error::new(ErrorKind::Disk, format!("the file {LOCK_NAME} in {place} could not be locked"))
            .because(error)
    })
}

/// Recovers what the folder holds. When it is done, all that was found is on the disk, and so is the entry that says
/// that the broker was opened again: what an earlier life wrote after its last synced entry can never come back.
pub(super) async fn open(disk: Arc<dyn Disk>, mut chance: Rng, options: &Options) -> Result<State> {
    // A process that was killed may have left a file or a new image whose name is not on the disk yet.
    disk.sync().await.map_err(|error| {
        Error::new(ErrorKind::Disk, format!("the folder {} could not be synced", disk.path())).because(error)
    })?;
    let image = match image::load(&*disk)? {
        Some(image) => image,
        None => begin(&*disk, &mut chance, options).await?,
    };
    let mut contents = Contents::new(Files::new(disk.clone()), options.segment_bytes);
    image.entries.iter().for_each(|entry| contents.apply(entry));
    let named = cut_segments(&*disk, &mut contents)?;
    let Anchor { end, file_bytes, key } = image.anchor;
    let place = Place { disk: disk.clone(), file_bytes, key };
    let journal = replay(place, end, |kind, payload, position| {
        contents.replay(kind, payload, position)?;
        if contents.unmoved_bytes >= options.move_bytes {
            contents.move_batches(position).map_err(|error| not_moved(&*disk, error))?;
        }
        Ok(())
    })?;
    remove_uncommitted(&*disk, &mut contents, &named)?;
    let opened = contents.ledger.cluster.open();
    // The ids that are drawn differ from those of earlier lives, also where each life is given the same seed.
    let chance = Rng::new(chance.bits() ^ opened.times as u64);
    let mut state = State::new(journal, contents, chance, end.position);
    state.record(&Entry::Opened(opened)).map_err(Refused::into_error)?;
    sync_all(&mut state).await?;
    for partition in state.contents.all_partitions() {
        partition.on_settled(partition.end, 0);
        if planted(Plant::WindowsForgotten) {
            partition.windows = Windows::default();
        }
    }
    Ok(state)
}

/// A folder without an image is new, unless there is something that an image should speak of.
async fn begin(disk: &dyn Disk, chance: &mut Rng, options: &Options) -> Result<Image> {
    let place = disk.path();
    let names = disk.list().map_err(|error| unreadable(disk, "the folder", error))?;
    if let Some((name, _)) =
        names.iter().find(|(name, _)| name.starts_with(FILE_PREFIX) || is_of_a_segment(name))
    {
        let why = format!(
            "{place} has the file {name}, but the file {} is gone; restore it from a copy",
            image::NAME
        );
        return Err(Error::new(ErrorKind::Damaged, why));
    }
    let end = End { position: 0, previous: 0 };
    let anchor = Anchor { end, file_bytes: options.journal_file_bytes, key: chance.bits() };
    let entries = vec![Entry::Opened(Opened { cluster_id: chance.uuid(), times: 0 })];
    let bytes = image::encode(anchor, entries.iter().cloned());
    image::store(disk, &bytes).await.map_err(|failure| {
        let kind = ErrorKind::of_writing(&failure.error);
        Error::new(kind, format!("{} in {place} could not be stored", failure.what)).because(failure.error)
    })?;
    Ok(Image { anchor, entries })
}

/// Cuts segments to what the image says of them, and removes files that it does not name: what else they held is in
/// the journal. Of compacted ones only the journal tells. Says which files the image names.
fn cut_segments(disk: &dyn Disk, contents: &mut Contents) -> Result<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    let names = disk.list().map_err(|error| unreadable(disk, "the folder", error))?;
    let mut found: BTreeMap<String, u64> = names.into_iter().collect();
    for partition in contents.all_partitions() {
        for segment in &partition.segments {
            let name = segment.name();
            let length = found.remove(&name).unwrap_or_default();
            if length < segment.length {
                let (place, wanted) = (disk.path(), segment.length);
                let why = format!(
                    "{name} in {place} has {length} bytes where {wanted} were synced; restore it from a copy"
                );
                return Err(Error::new(ErrorKind::Damaged, why));
            }
            if length > segment.length {
                let cut = disk.open(&name).and_then(|file| file.truncate(segment.length));
                cut.map_err(|error| unreadable(disk, &name, error))?;
            }
            found.remove(&segment.index_name());
            named.insert(name);
        }
    }
    let is_left_over = |name: &&String| {
        let of_a_segment = is_of_a_segment(name) && !is_compacted(name);
        of_a_segment || *name == image::NEW_NAME || name.starts_with(FILLING_PREFIX)
    };
    found.keys().filter(is_left_over).for_each(|name| remove(disk, name));
    Ok(named)
}

/// Removes the files of compactions that never took effect, and checks that those of the others are there. What the
/// image names stays: another start would need it.
fn remove_uncommitted(disk: &dyn Disk, contents: &mut Contents, named: &BTreeSet<String>) -> Result<()> {
    let names = disk.list().map_err(|error| unreadable(disk, "the folder", error))?;
    let mut found: BTreeMap<String, u64> = names.into_iter().filter(|(name, _)| is_compacted(name)).collect();
    for segment in contents.all_partitions().flat_map(|it| &it.segments).filter(|it| it.generation > 0) {
        let (name, wanted) = (segment.name(), segment.length);
        let length = found.remove(&name).unwrap_or_default();
        if length < wanted {
            let place = disk.path();
            let why = format!(
                "{name} in {place} has {length} bytes where {wanted} were synced; restore it from a copy"
            );
            return Err(Error::new(ErrorKind::Damaged, why));
        }
    }
    let kept = |name: &&String| named.contains(*name) || contents.unneeded_files.contains(*name);
    found.keys().filter(|name| !kept(name)).for_each(|name| remove(disk, name));
    Ok(())
}

/// Syncs the journal to its end, and settles that.
pub(super) async fn sync_all(state: &mut State) -> Result<()> {
    let (position, syncs) = state.journal.sync();
    for sync in syncs {
        if let Err(error) = sync.await {
            let place = state.contents.files.disk.path();
            return Err(state.fail(format!("the journal in {place} could not be synced: {error}")));
        }
    }
    state.journal.on_synced(position);
    state.settle(position);
    Ok(())
}
