//! DescribeGroups, versions 0 to 6: state, protocol, members and their assignments.
//!
//! A group that is not there is Dead, from 6 on an error. Nobody is denied anything, so whoever asks for authorized
//! operations (3) is told all that groups have.

use vltava_wire::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use crate::dispatch::{Answer, Call};

/// READ, DELETE and DESCRIBE, each a bit by its code.
const OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

pub(crate) fn answer(call: Call<'_>, request: DescribeGroupsRequest) -> Answer<DescribeGroupsResponse> {
    let groups = request.groups.iter().map(|group_id| {
        let has_offsets = !call.node.log.all_committed(group_id).is_empty();
        let mut group =
            call.node.coordinator.ask(|groups, _| groups.describe(call.version, group_id, has_offsets));
        if request.include_authorized_operations {
            group.authorized_operations = OPERATIONS;
        }
        group
    });
    let groups = groups.collect();
    Answer::Now(DescribeGroupsResponse { groups, ..Default::default() })
}
