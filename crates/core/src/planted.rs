//! Bugs planted on purpose, to see whether whoever looks for bugs would find them.
//!
//! Only a build with `--cfg planted` has any, and there a thread has one at a time, chosen when it runs. In every
//! other build [`planted`] is a constant, and what asks for it is gone.

#[cfg(planted)]
use std::cell::Cell;

/// A bug as somebody might write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plant {
    /// The producer gives the number of a batch that it gave up to the next one.
    SequenceReused,
    /// The producer's numbers start again in the same epoch.
    EpochNotBumped,
    /// The producer sends a batch again under a new number.
    RetryRenumbered,
    /// The producer does not send a batch again once the connection broke.
    RetryForgotten,
    /// The producer sends the parts of a batch in reverse.
    PartsReversed,
    /// The producer takes a batch for delivered of which nobody knows.
    DeliveredInDoubt,
    /// The producer says that a batch failed for certain of which nobody knows.
    FailedInDoubt,
    /// The producer's flush returns at once.
    FlushedEarly,
    /// The producer lets a batch that is in flight live on after its deadline.
    DeadlineIgnored,
    /// The consumer resets its position when a fetch fails.
    ResetOnTemporaryError,
    /// The consumer drops what comes while it is paused, and its position goes on.
    FetchedDropped,
    /// The consumer's position goes on by one when a fetch fails.
    ErrorSkipped,
    /// The consumer begins where its start says, whatever the group has committed.
    CommittedIgnored,
    /// The consumer keeps what was fetched before a seek.
    SeekKeepsFetched,
    /// The consumer hands out what is below its position, as it came in one batch with what is not.
    BelowPositionHanded,
    /// The client does not let go of a connection that is of no use any more.
    ConnectionKept,
    /// The broker acknowledges before the sync.
    AcknowledgedUnsynced,
    /// The broker lets readers have what is not synced.
    UnsyncedServed,
    /// The broker syncs its files and not the folder they are in.
    FolderNotSynced,
    /// The broker forgets who wrote what when it recovers.
    WindowsForgotten,
    /// The broker says that a copy of a batch is where the log ends.
    DuplicateMisplaced,
    /// The broker tells what a group has committed before that is synced.
    CommitToldUnsynced,
}

impl Plant {
    /// All there are.
    pub const ALL: &[Self] = &[
        Self::SequenceReused,
        Self::EpochNotBumped,
        Self::RetryRenumbered,
        Self::RetryForgotten,
        Self::PartsReversed,
        Self::DeliveredInDoubt,
        Self::FailedInDoubt,
        Self::FlushedEarly,
        Self::DeadlineIgnored,
        Self::ResetOnTemporaryError,
        Self::FetchedDropped,
        Self::ErrorSkipped,
        Self::CommittedIgnored,
        Self::SeekKeepsFetched,
        Self::BelowPositionHanded,
        Self::ConnectionKept,
        Self::AcknowledgedUnsynced,
        Self::UnsyncedServed,
        Self::FolderNotSynced,
        Self::WindowsForgotten,
        Self::DuplicateMisplaced,
        Self::CommitToldUnsynced,
    ];
}

/// Whether this bug is planted.
#[cfg(not(planted))]
#[inline(always)]
pub const fn planted(_: Plant) -> bool {
    false
}

#[cfg(planted)]
thread_local! {
    static CHOSEN: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// Whether this bug is planted.
#[cfg(planted)]
pub fn planted(plant: Plant) -> bool {
    CHOSEN.get() == Some(plant)
}

/// Plants a bug in this thread, in place of the one that was there.
#[cfg(planted)]
pub fn plant(plant: Option<Plant>) {
    CHOSEN.set(plant);
}
