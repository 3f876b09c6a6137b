//! The keeper: the one task that syncs the journal for all who wait, moves batches into segments, stores checkpoints
//! and keeps the next file of the journal at hand.

use std::{collections::BTreeMap, io, pin::Pin, sync::Arc, time::Duration};

use vltava_core::{Backoff, Moment};

use crate::{
    Result, Sync,
    disk::{Lock, Syncing},
    ledger::partitions::Compacted,
};

use super::{
    PartitionId, Shared,
    checkpoint::{Checkpoint, Indexes, remove},
    compaction::Job,
    image::Failure,
    journal::Slot,
    state::{Closed, State},
};

/// How long to leave a disk alone that does not take what is written.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long to leave a partition alone that could not be compacted: others need it too.
const COMPACTION_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(10), most: Duration::from_secs(10 * 60) };

/// To be run by whoever opened the log, as long as it is used. When it ends or is dropped, nothing more is written
/// nor settled, and the folder is free for another broker, whoever still reads this log.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    lock: Option<Box<dyn Lock>>,
    syncing: Running<(u64, io::Result<()>)>,
    storing: Running<(Checkpoint, Stored)>,
    filling: Running<(Slot, io::Result<()>)>,
    compacting: Running<Compaction>,
    /// When the journal is synced next, if it is synced by time.
    next_sync: Moment,
    /// When segments are looked for that are to go.
    next_retention: Moment,
    /// There are files to remove, which only a checkpoint may.
    is_to_reclaim: bool,
    /// When a partition is looked for that is to be compacted.
    next_compaction: Moment,
    /// Partitions that could not be compacted: how often in a row, and when that is tried again.
    put_off: BTreeMap<PartitionId, (u32, Moment)>,
    /// Not before this is written again what found no room.
    pause_until: Option<Moment>,
}

type Stored = Result<(), Failure>;

/// What was to be done, the files that were written, and what they replace.
type Compaction = (Job, Vec<String>, Result<Compacted, Failure>);

/// Something under way, of which there is one at most.
type Running<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>, lock: Box<dyn Lock>) -> Self {
        let next_sync = shared.clock.now();
        Self {
            lock: Some(lock),
            syncing: None,
            storing: None,
            filling: None,
            compacting: None,
            next_sync,
            next_compaction: next_sync + shared.options.compaction_interval,
            next_retention: next_sync + shared.options.retention_interval,
            is_to_reclaim: false,
            put_off: BTreeMap::new(),
            pause_until: None,
            shared,
        }
    }

    /// Runs until the log is stopped, which it then is cleanly, or until the disk fails.
    pub(crate) async fn run(mut self) -> Result<()> {
        while self.start_what_is_due() {
            let deadline = self.deadline();
            let clock = self.shared.clock.clone();
            tokio::select! {
                biased;
                (position, synced) = finish(&mut self.syncing) => self.on_synced(position, synced),
                (checkpoint, stored) = finish(&mut self.storing) => self.on_stored(checkpoint, stored),
                (slot, filled) = finish(&mut self.filling) => self.on_filled(slot, filled),
                (job, names, done) = finish(&mut self.compacting) => self.on_compacted(&job, &names, done),
                () = self.shared.work.notified() => (),
                () = async { clock.sleep_until(deadline.unwrap_or_default()).await }, if deadline.is_some() => (),
            }
        }
        self.close().await
    }

    /// Whether to go on.
    fn start_what_is_due(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut state = shared.state();
        if state.closed.is_some() {
            return false;
        }
        let now = shared.clock.now();
        self.pause_until = self.pause_until.filter(|until| *until > now);
        self.sync_if_due(&mut state, now);
        if self.pause_until.is_none() {
            self.move_if_due(&mut state, now);
        }
        self.retain_if_due(&mut state, now);
        if self.pause_until.is_none() {
            self.compact_if_due(&mut state, now);
            self.store_if_due(&mut state, now);
            self.fill_if_due(&mut state, now);
        }
        shared.publish(&state);
        state.closed.is_none()
    }

    fn sync_if_due(&mut self, state: &mut State, now: Moment) {
        if self.syncing.is_some() || !state.journal.is_dirty() {
            return;
        }
        match self.shared.options.sync {
            Sync::Always => (),
            Sync::Interval(interval) if now >= self.next_sync => self.next_sync = now + interval,
            Sync::Interval(_) | Sync::Os => return,
        }
        let (position, syncs) = state.journal.sync();
        self.syncing = Some(Box::pin(async move { (position, all(syncs).await) }));
    }

    fn on_synced(&mut self, position: u64, synced: io::Result<()>) {
        let mut state = self.shared.state();
        match synced {
            Ok(()) => {
                state.journal.on_synced(position);
                state.settle(position);
            }
            Err(error) => {
                let place = self.shared.disk.path();
                state.fail(format!("the journal in {place} could not be synced: {error}"));
            }
        }
        self.shared.publish(&state);
    }

    fn move_if_due(&mut self, state: &mut State, now: Moment) {
        if state.contents.unmoved_bytes >= self.shared.options.move_bytes {
            self.move_batches(state, now);
        }
    }

    fn move_batches(&mut self, state: &mut State, now: Moment) {
        let settled = state.settled;
        match state.contents.move_batches(settled) {
            Ok(()) => state.stuck = None,
            Err(error) => self.on_failure(state, now, Failure::writing("a segment")(error)),
        }
    }

    /// Also while the disk is left alone, as what goes makes room; what is in memory only stays then.
    fn retain_if_due(&mut self, state: &mut State, now: Moment) {
        if now < self.next_retention {
            return;
        }
        self.next_retention = now + self.shared.options.retention_interval;
        if self.pause_until.is_none() {
            self.move_batches(state, now);
        }
        if let Err(refused) = state.retain(self.shared.clock.wall()) {
            tracing::warn!(?refused, "old segments stay for now");
        }
        self.is_to_reclaim |= !state.contents.unneeded_files.is_empty();
    }

    fn compact_if_due(&mut self, state: &mut State, now: Moment) {
        if self.compacting.is_some() || now < self.next_compaction {
            return;
        }
        self.next_compaction = now + self.shared.options.compaction_interval;
        if !state.contents.compacts() {
            return;
        }
        self.move_batches(state, now);
        if self.pause_until.is_some() {
            return;
        }
        self.put_off.retain(|at, _| state.contents.partition(*at).is_some());
        let Shared { options, clock, disk, .. } = &*self.shared;
        let secret = state.chance.bits();
        let may = |at| self.put_off.get(&at).is_none_or(|(_, until)| *until <= now);
        match state.contents.next_to_compact(clock.wall(), options.compaction_keys, secret, may) {
            Ok(job) => self.compacting = job.map(|job| Box::pin(job.run(disk.clone())) as _),
            Err((at, error)) => self.put_off(state, now, at, &error),
        }
    }

    /// What stands in the way of one compaction need not be in the way of anything else.
    fn put_off(&mut self, state: &mut State, now: Moment, at: PartitionId, error: &io::Error) {
        let (failures, until) = self.put_off.entry(at).or_default();
        *failures += 1;
        let wait = COMPACTION_BACKOFF.after(*failures, &mut state.chance);
        *until = now + wait;
        tracing::warn!(%at, %error, ?wait, "a partition could not be compacted, and is tried again");
    }

    fn on_compacted(&mut self, job: &Job, names: &[String], done: Result<Compacted, Failure>) {
        let shared = self.shared.clone();
        let mut state = shared.state();
        let now = shared.clock.now();
        let took_effect = match done.map(|compacted| state.compact(job, compacted)) {
            Ok(Ok(took_effect)) => {
                self.put_off.remove(&job.at);
                took_effect
            }
            Ok(Err(refused)) => {
                tracing::warn!(at = %job.at, ?refused, "a compaction did not take effect");
                false
            }
            Err(failure) if failure.in_sync => {
                self.on_failure(&mut state, now, failure);
                false
            }
            Err(failure) => {
                self.put_off(&mut state, now, job.at, &failure.error);
                false
            }
        };
        match took_effect {
            // Another partition may need it as much.
            true => self.next_compaction = now,
            false => names.iter().for_each(|name| remove(&*shared.disk, name)),
        }
        shared.publish(&state);
    }

    fn store_if_due(&mut self, state: &mut State, now: Moment) {
        let since = state.journal.end().position - state.checkpoint;
        if self.storing.is_some() || (since < self.shared.options.checkpoint_bytes && !self.is_to_reclaim) {
            return;
        }
        self.is_to_reclaim = false;
        match Checkpoint::capture(state, Indexes::Closed, self.shared.clock.wall()) {
            Ok(checkpoint) => self.storing = Some(store(self.shared.clone(), checkpoint)),
            Err(failure) => self.on_failure(state, now, failure),
        }
    }

    fn on_stored(&mut self, checkpoint: Checkpoint, stored: Stored) {
        let shared = self.shared.clone();
        let mut state = shared.state();
        match stored {
            Ok(()) => {
                state.stuck = None;
                for name in on_checkpoint(&mut state, checkpoint.position) {
                    remove(&*shared.disk, &name);
                }
            }
            Err(failure) => {
                checkpoint.undo(&mut state);
                self.on_failure(&mut state, shared.clock.now(), failure);
            }
        }
        shared.publish(&state);
    }

    fn fill_if_due(&mut self, state: &mut State, now: Moment) {
        if self.filling.is_some() {
            return;
        }
        let bytes = state.journal.place().file_bytes;
        match state.journal.spare_wanted() {
            Ok(None) => (),
            Ok(Some(slot)) => {
                let filled = slot.file.fill(bytes);
                self.filling = Some(Box::pin(async move { (slot, filled.await) }));
            }
            Err(error) => {
                self.on_failure(state, now, Failure::writing("the next file of the journal")(error));
            }
        }
    }

    fn on_filled(&mut self, slot: Slot, filled: io::Result<()>) {
        let mut state = self.shared.state();
        match filled.and_then(|()| state.journal.add_spare(slot.clone())) {
            Ok(()) => (),
            Err(error) => {
                // Nothing is in it yet, so nothing is lost; the journal grows a file when it needs one.
                tracing::debug!(name = %slot.name, %error, "the next file of the journal could not be filled");
                self.pause_until = Some(self.shared.clock.now() + PAUSE_AFTER_FAILURE);
                remove(&*self.shared.disk, &slot.name);
            }
        }
        self.shared.publish(&state);
    }

    /// What could not be written can be written later; what could not be synced is the end of writing.
    fn on_failure(&mut self, state: &mut State, now: Moment, failure: Failure) {
        let Failure { what, in_sync, error } = failure;
        if in_sync {
            let place = self.shared.disk.path();
            state.fail(format!("{what} in {place} could not be synced: {error}"));
            return;
        }
        let unwritten = state.unwritten(&what, &error);
        let error = unwritten.error();
        self.pause_until = Some(now + PAUSE_AFTER_FAILURE);
        if state.stuck.replace(unwritten).is_none() {
            tracing::error!(%error, "what was acknowledged is safe; this is tried again every second");
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let by_time = matches!(self.shared.options.sync, Sync::Interval(_));
        let sync = (by_time && self.syncing.is_none() && self.shared.state().journal.is_dirty())
            .then_some(self.next_sync);
        let compacts = self.compacting.is_none() && self.pause_until.is_none();
        let compaction = compacts.then_some(self.next_compaction);
        sync.into_iter().chain(self.pause_until).chain([self.next_retention]).chain(compaction).min()
    }

    /// The last things: what is under way ends, all is synced, and a checkpoint leaves the journal empty.
    async fn close(mut self) -> Result<()> {
        if let Some(syncing) = self.syncing.take() {
            let (position, synced) = syncing.await;
            self.on_synced(position, synced);
        }
        if let Some(storing) = self.storing.take() {
            let (checkpoint, stored) = storing.await;
            self.on_stored(checkpoint, stored);
        }
        // What it has written goes at the next start.
        self.compacting = None;
        if let Some(filling) = self.filling.take() {
            let (slot, filled) = filling.await;
            self.on_filled(slot, filled);
        }
        self.sync_the_rest().await;
        let checkpoint = {
            let mut state = self.shared.state();
            if let Some(closed @ Closed::Failed(_)) = &state.closed {
                return Err(closed.error());
            }
            Checkpoint::capture(&mut state, Indexes::All, self.shared.clock.wall())
        };
        self.leave(checkpoint).await
    }

    async fn sync_the_rest(&mut self) {
        let (position, syncs) = {
            let mut state = self.shared.state();
            if matches!(state.closed, Some(Closed::Failed(_))) {
                return;
            }
            state.journal.sync()
        };
        let synced = all(syncs).await;
        self.on_synced(position, synced);
    }

    async fn leave(&mut self, checkpoint: Result<Checkpoint, Failure>) -> Result<()> {
        let disk = self.shared.disk.clone();
        let stored = match checkpoint {
            Ok(checkpoint) => checkpoint.store(&*disk).await,
            Err(failure) => Err(failure),
        };
        let mut state = self.shared.state();
        if let Err(Failure { what, error, .. }) = stored {
            return Err(state.unwritten(&what, &error).error());
        }
        for name in state.journal.take_names() {
            remove(&*disk, &name);
        }
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.state().closed.get_or_insert(Closed::Stopped);
        self.lock = None;
        self.shared.progress.update(|it| it.ended = true);
    }
}

/// Takes in that the journal before `position` is not needed. Says which of its files are too many.
fn on_checkpoint(state: &mut State, position: u64) -> Vec<String> {
    state.checkpoint = position;
    // What is in an image is on the disk, whatever became of the journal.
    state.journal.on_synced(position);
    state.journal.free_before(position)
}

fn store(
    shared: Arc<Shared>,
    checkpoint: Checkpoint,
) -> Pin<Box<dyn Future<Output = (Checkpoint, Stored)> + Send>> {
    Box::pin(async move {
        let stored = checkpoint.store(&*shared.disk).await;
        (checkpoint, stored)
    })
}

/// Waits for all, also if one fails.
async fn all(syncs: Vec<Syncing>) -> io::Result<()> {
    let mut result = Ok(());
    for sync in syncs {
        result = result.and(sync.await);
    }
    result
}

/// Completes with what is under way, and takes it; never if nothing is.
async fn finish<T>(running: &mut Running<T>) -> T {
    match running {
        Some(future) => {
            let output = future.as_mut().await;
            *running = None;
            output
        }
        None => std::future::pending().await,
    }
}
