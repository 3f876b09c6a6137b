//! The broker's end of fetch sessions: it keeps none.
//!
//! A broker may answer any request for a session with the id 0, and the client then says everything every time
//! (KIP-227). That costs some bytes in a request of a hundred partitions, and no memory here that a client could fill.

use vltava_wire::{ErrorCode, messages::FetchRequest};

/// The epoch of a request outside of any session; it also closes one.
const FINAL: i32 = -1;

/// The epoch of a request that asks for a session.
const INITIAL: i32 = 0;

/// Whether a request says everything. One that goes on with a session is refused: there are none.
pub fn check(request: &FetchRequest) -> Result<(), ErrorCode> {
    match request.session_epoch {
        FINAL | INITIAL => Ok(()),
        _ => Err(ErrorCode::FetchSessionIdNotFound),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vltava_wire::messages::FetchResponse;

    use super::*;
    use crate::{
        cluster::TopicPartition,
        fetch::{Session, Wanted},
    };

    #[test]
    fn both_ends_go_on_without_a_session() {
        let mut session = Session::default();
        let wanted = Wanted { topic_id: Default::default(), offset: 0, leader_epoch: -1, bytes_max: 1 };
        for _ in 0..3 {
            let request = session.request(BTreeMap::from([(TopicPartition::new("orders", 0), wanted)]));
            assert_eq!(check(&request), Ok(()));
            assert_eq!(request.topics.len(), 1);
            assert_eq!(session.on_answer(&FetchResponse::default()), Ok(()));
        }
    }

    #[test]
    fn a_session_of_an_earlier_broker_is_not_known() {
        let request = FetchRequest { session_id: 7, session_epoch: 3, ..Default::default() };
        assert_eq!(check(&request), Err(ErrorCode::FetchSessionIdNotFound));
        let closing = FetchRequest { session_id: 7, session_epoch: FINAL, ..Default::default() };
        assert_eq!(check(&closing), Ok(()));
    }
}
