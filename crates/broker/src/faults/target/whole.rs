//! Requests that are told one error, or the same of all they ask for.

use vltava_core::session::greeting;
use vltava_wire::{
    ErrorCode,
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, Coordinator, DeletableGroupResult,
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        DescribedGroup, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
        InitProducerIdRequest, InitProducerIdResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse, SyncGroupRequest,
        SyncGroupResponse, next_group,
    },
};

use super::{At, Judge, Part, Refused, Target};
use crate::dispatch::SERVED;

/// Implements [`Target`] for a table of requests, by what is answered to them in a version with an error.
macro_rules! whole {
    ($($request:ident => $response:ident, $answer:expr $(, in $version:expr)?;)*) => {$(
        impl Target for $request {
            fn refuse(&mut self, at: At<'_>, judge: Judge<'_>) -> Option<Refused<$response>> {
                let code = judge(Part::whole())?;
                Some(Refused { response: ($answer)(self, at.version, code), is_all: true })
            }

            fn tell(response: &mut $response, refused: $response) {
                *response = refused;
            }

            fn throttle_time_ms(response: &mut $response) -> &mut i32 {
                &mut response.throttle_time_ms
            }

            $(fn version_of(response: &$response, version: i16) -> i16 {
                ($version)(response, version)
            })?
        }
    )*};
    (@plain $response:ident) => {
        |_: &Self, _, code: ErrorCode| $response { error_code: code.code(), ..Default::default() }
    };
}

whole! {
    JoinGroupRequest => JoinGroupResponse, whole!(@plain JoinGroupResponse);
    SyncGroupRequest => SyncGroupResponse, whole!(@plain SyncGroupResponse);
    HeartbeatRequest => HeartbeatResponse, whole!(@plain HeartbeatResponse);
    LeaveGroupRequest => LeaveGroupResponse, whole!(@plain LeaveGroupResponse);
    ListGroupsRequest => ListGroupsResponse, whole!(@plain ListGroupsResponse);
    InitProducerIdRequest => InitProducerIdResponse, |_: &Self, _, code: ErrorCode| InitProducerIdResponse {
        error_code: code.code(),
        producer_epoch: -1,
        ..Default::default()
    };
    FindCoordinatorRequest => FindCoordinatorResponse, no_coordinator;
    DescribeGroupsRequest => DescribeGroupsResponse, not_described;
    DeleteGroupsRequest => DeleteGroupsResponse, not_deleted;
    ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse,
        whole!(@plain ConsumerGroupHeartbeatResponse);
    ConsumerGroupDescribeRequest => ConsumerGroupDescribeResponse, not_described_next;
    ApiVersionsRequest => ApiVersionsResponse, not_greeted, in greeting_version;
}

/// From this version on a request names many groups.
const MANY_SINCE: i16 = 4;

fn no_coordinator(asked: &FindCoordinatorRequest, version: i16, code: ErrorCode) -> FindCoordinatorResponse {
    let error_code = code.code();
    if version < MANY_SINCE {
        return FindCoordinatorResponse { error_code, node_id: -1, port: -1, ..Default::default() };
    }
    let coordinator = |key: &String| Coordinator {
        key: key.clone(),
        node_id: -1,
        port: -1,
        error_code,
        ..Default::default()
    };
    let coordinators = asked.coordinator_keys.iter().map(coordinator).collect();
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

fn not_described(asked: &DescribeGroupsRequest, _: i16, code: ErrorCode) -> DescribeGroupsResponse {
    let group = |group_id: &String| DescribedGroup {
        error_code: code.code(),
        group_id: group_id.clone(),
        ..Default::default()
    };
    DescribeGroupsResponse { groups: asked.groups.iter().map(group).collect(), ..Default::default() }
}

fn not_described_next(
    asked: &ConsumerGroupDescribeRequest,
    _: i16,
    code: ErrorCode,
) -> ConsumerGroupDescribeResponse {
    let group = |group_id: &String| next_group::DescribedGroup {
        error_code: code.code(),
        group_id: group_id.clone(),
        ..Default::default()
    };
    ConsumerGroupDescribeResponse {
        groups: asked.group_ids.iter().map(group).collect(),
        ..Default::default()
    }
}

fn not_deleted(asked: &DeleteGroupsRequest, _: i16, code: ErrorCode) -> DeleteGroupsResponse {
    let result =
        |group_id: &String| DeletableGroupResult { group_id: group_id.clone(), error_code: code.code() };
    DeleteGroupsResponse { results: asked.groups_names.iter().map(result).collect(), ..Default::default() }
}

fn not_greeted(_: &ApiVersionsRequest, _: i16, code: ErrorCode) -> ApiVersionsResponse {
    match code {
        ErrorCode::UnsupportedVersion => greeting::from_the_future(SERVED),
        code => ApiVersionsResponse { error_code: code.code(), ..Default::default() },
    }
}

/// Who is told that a version is not known could not read the response in that version.
fn greeting_version(response: &ApiVersionsResponse, version: i16) -> i16 {
    if response.error_code == ErrorCode::UnsupportedVersion.code() { 0 } else { version }
}
