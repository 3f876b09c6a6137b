//! Whether a client and this node speak of the same time of leading a partition (KIP-320).

use vltava_wire::ErrorCode;

/// The epoch of a client that knows none.
const NONE: i32 = -1;

/// Compares the leader epoch a client last heard of with the partition's own.
pub(crate) fn check(asked: i32, current: i32) -> Result<(), ErrorCode> {
    match asked {
        NONE => Ok(()),
        _ if asked < current => Err(ErrorCode::FencedLeaderEpoch),
        _ if asked > current => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_behind_or_ahead_is_told_which() {
        for (asked, told) in [
            (-1, Ok(())),
            (3, Ok(())),
            (2, Err(ErrorCode::FencedLeaderEpoch)),
            (4, Err(ErrorCode::UnknownLeaderEpoch)),
        ] {
            assert_eq!(check(asked, 3), told, "epoch {asked}");
        }
    }
}
