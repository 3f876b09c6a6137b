//! Whether a client and the node it asks agree on who leads a partition, and since when (KIP-320).

use vltava_core::cluster::{Leader, NodeId};
use vltava_wire::ErrorCode;

/// The epoch of a client that knows none.
const NONE: i32 = -1;

/// Whether the node that was asked leads, and the client knows in which epoch. As in Kafka the epoch comes first.
pub(crate) fn check(asked: NodeId, epoch: i32, leader: Leader) -> Result<(), ErrorCode> {
    check_epoch(epoch, leader)?;
    if asked == leader.node { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
}

/// Compares the leader epoch a client last heard of with the partition's own.
pub(crate) fn check_epoch(asked: i32, leader: Leader) -> Result<(), ErrorCode> {
    match asked {
        NONE => Ok(()),
        _ if asked < leader.epoch => Err(ErrorCode::FencedLeaderEpoch),
        _ if asked > leader.epoch => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_behind_or_ahead_is_told_which_and_one_that_asks_another_node_that() {
        let leader = Leader { node: NodeId(2), epoch: 3 };
        for (asked, epoch, told) in [
            (2, -1, Ok(())),
            (2, 3, Ok(())),
            (2, 2, Err(ErrorCode::FencedLeaderEpoch)),
            (2, 4, Err(ErrorCode::UnknownLeaderEpoch)),
            (1, -1, Err(ErrorCode::NotLeaderOrFollower)),
            (1, 3, Err(ErrorCode::NotLeaderOrFollower)),
            (1, 2, Err(ErrorCode::FencedLeaderEpoch)),
        ] {
            assert_eq!(check(NodeId(asked), epoch, leader), told, "node {asked}, epoch {epoch}");
        }
    }
}
