//! Where fetches wait for batches.

use std::sync::Arc;

use tokio::sync::Notify;
use vltava_core::Moment;

use crate::{log::PartitionId, node::Node};

/// Whether what was read is worth a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Enough(pub(crate) bool);

/// Reads until there is enough or the deadline has come, again whenever one of the partitions has more.
pub(crate) async fn until<T>(
    node: &Node,
    deadline: Moment,
    partitions: Vec<PartitionId>,
    read: impl Fn() -> (T, Enough),
) -> (T, Enough) {
    let first = read();
    if first.1 == Enough(true) || node.clock.now() >= deadline {
        return first;
    }
    drop(first);
    loop {
        // A new one each time: those that were not told forget the one that is gone.
        let more = Arc::new(Notify::new());
        // What comes before this line is read below, what comes after it wakes.
        node.log.notify_of(partitions.iter().copied(), &more);
        let again = read();
        if again.1 == Enough(true) || node.clock.now() >= deadline {
            return again;
        }
        drop(again);
        tokio::select! {
            biased;
            () = more.notified() => (),
            () = node.clock.sleep_until(deadline) => (),
        }
    }
}
