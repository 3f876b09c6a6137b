//! Where fetches wait for batches.

use std::sync::Arc;

use tokio::sync::Notify;
use vltava_core::Moment;

use crate::{log::PartitionId, node::Node};

/// Reads, and if that was not enough, once more when there is enough or the deadline has come. Whether there is
/// enough is asked whenever one of the partitions has more, or less than it had, and reads nothing.
pub(crate) async fn until<T, Mark>(
    node: &Node,
    deadline: Moment,
    partitions: Vec<PartitionId>,
    read: impl Fn() -> Read<T, Mark>,
    is_enough: impl Fn(&Mark) -> bool,
) -> T {
    let Read { found: first, is_enough: enough, mark } = read();
    if enough || node.clock.now() >= deadline {
        return first;
    }
    drop(first);
    loop {
        // A new one each time: those that were not told forget the one that is gone.
        let more = Arc::new(Notify::new());
        // What comes before this line is seen below, what comes after it wakes.
        node.log.notify_of(partitions.iter().copied(), &more);
        if is_enough(&mark) || node.clock.now() >= deadline {
            return read().found;
        }
        tokio::select! {
            biased;
            () = more.notified() => (),
            () = node.clock.sleep_until(deadline) => (),
        }
    }
}

/// What a read brought.
pub(crate) struct Read<T, Mark> {
    pub(crate) found: T,
    /// Whether it is worth a response.
    pub(crate) is_enough: bool,
    /// How far things were, by which it is told what has come since.
    pub(crate) mark: Mark,
}
