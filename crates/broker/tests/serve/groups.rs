//! Groups: two members that share, one that goes silent, what an onlooker sees.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use vltava_broker::Broker;
use vltava_wire::{
    Api, ErrorCode,
    messages::{
        DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol,
        JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, MemberIdentity, SyncGroupRequest,
        SyncGroupRequestAssignment,
    },
};

use crate::caller::{Caller, text};

const SESSION: i32 = 10_000;

pub(crate) fn join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: text("audit"),
        session_timeout_ms: SESSION,
        rebalance_timeout_ms: 30_000,
        member_id: text(member_id),
        protocol_type: text("consumer"),
        protocols: vec![JoinGroupRequestProtocol {
            name: text("range"),
            metadata: Bytes::from_static(b"orders"),
        }],
        ..Default::default()
    }
}

pub(crate) fn sync(joined: &JoinGroupResponse, assignments: &[(&str, &'static str)]) -> SyncGroupRequest {
    let assigned = |(member_id, assignment): &(&str, &'static str)| SyncGroupRequestAssignment {
        member_id: text(member_id),
        assignment: Bytes::from_static(assignment.as_bytes()),
    };
    SyncGroupRequest {
        group_id: text("audit"),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: assignments.iter().map(assigned).collect(),
        ..Default::default()
    }
}

pub(crate) fn beat(joined: &JoinGroupResponse) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: text("audit"),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..Default::default()
    }
}

/// Joins alone, and is leader.
pub(crate) async fn join_first(caller: &mut Caller, version: i16) -> JoinGroupResponse {
    let mut response = caller.call(version, join("")).await;
    if ErrorCode::from(response.error_code) == ErrorCode::MemberIdRequired {
        response = caller.call(version, join(&response.member_id)).await;
    }
    assert_eq!(response.error_code, 0, "version {version}");
    assert_eq!(response.leader, response.member_id);
    response
}

#[tokio::test(start_paused = true)]
async fn a_member_joins_syncs_beats_and_leaves_in_every_version() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for version in Api::JoinGroup.versions() {
        let upto = |api: Api| version.min(*api.versions().end());
        let joined = join_first(&mut caller, version).await;
        let request = sync(&joined, &[(&joined.member_id, "all of it")]);
        let synced = caller.call(upto(Api::SyncGroup), request).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all of it"[..]), "version {version}");
        assert_eq!(caller.call(upto(Api::Heartbeat), beat(&joined)).await.error_code, 0);

        let leave_version = upto(Api::LeaveGroup);
        let member = MemberIdentity { member_id: joined.member_id.clone(), ..Default::default() };
        let mut leave = LeaveGroupRequest { group_id: text("audit"), ..Default::default() };
        if leave_version < 3 {
            leave.member_id = member.member_id;
        } else {
            leave.members = vec![member];
        }
        let left = caller.call(leave_version, leave).await;
        assert_eq!(left.error_code, 0);
        assert!(left.members.iter().all(|it| it.error_code == 0));
        let gone = caller.call(upto(Api::Heartbeat), beat(&joined)).await;
        assert_eq!(ErrorCode::from(gone.error_code), ErrorCode::UnknownMemberId);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_member_makes_the_first_join_again_and_both_get_their_share() {
    let broker = Broker::in_memory().start().await.unwrap();
    let (mut one, mut two) = (Caller::of(&broker), Caller::of(&broker));
    let first = join_first(&mut one, 9).await;
    one.call(5, sync(&first, &[(&first.member_id, "both")])).await;

    let named = two.call(9, join("")).await;
    assert_eq!(ErrorCode::from(named.error_code), ErrorCode::MemberIdRequired);
    let second = two.send(9, &join(&named.member_id)).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let told = one.call(4, beat(&first)).await;
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::RebalanceInProgress);
    let first = one.call(9, join(&first.member_id)).await;
    let second = two.receive::<JoinGroupRequest>(9, second).await;
    assert_eq!(first.generation_id, second.generation_id);
    assert_eq!(first.members.len() + second.members.len(), 2, "only the leader is told who is there");

    let waiting = two.send(5, &sync(&second, &[])).await;
    let shares = [(&*first.member_id, "left"), (&*second.member_id, "right")];
    let (leader, follower) =
        (one.call(5, sync(&first, &shares)).await, two.receive::<SyncGroupRequest>(5, waiting).await);
    assert_eq!((&leader.assignment[..], &follower.assignment[..]), (&b"left"[..], &b"right"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_goes_silent_is_gone_after_its_session() {
    let broker = Broker::in_memory().start().await.unwrap();
    let (mut one, mut two) = (Caller::of(&broker), Caller::of(&broker));
    let silent = join_first(&mut one, 3).await;
    one.call(3, sync(&silent, &[(&silent.member_id, "all")])).await;
    let start = Instant::now();
    let heir = two.call(3, join("")).await;
    assert_eq!(heir.leader, heir.member_id);
    let waited = start.elapsed();
    let session = Duration::from_millis(SESSION as u64);
    assert!((session..session * 2).contains(&waited), "the heir waited {waited:?}");
    let late = one.call(3, beat(&silent)).await;
    assert_eq!(ErrorCode::from(late.error_code), ErrorCode::UnknownMemberId);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_never_told_its_id_leaves_with_its_connection() {
    let broker = Broker::in_memory().start().await.unwrap();
    let (mut one, mut two, mut three) = (Caller::of(&broker), Caller::of(&broker), Caller::of(&broker));
    let first = join_first(&mut one, 3).await;
    one.call(3, sync(&first, &[(&first.member_id, "all")])).await;
    two.send(3, &join("")).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(two);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let third = three.send(3, &join("")).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    let first = one.call(3, join(&first.member_id)).await;
    three.receive::<JoinGroupRequest>(3, third).await;
    assert_eq!(first.members.len(), 2);
    assert!(start.elapsed() < Duration::from_secs(1), "nobody waits for the one that is gone");
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_and_described_in_every_version() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let joined = join_first(&mut caller, 9).await;
    caller.call(5, sync(&joined, &[(&joined.member_id, "all of it")])).await;
    for version in Api::ListGroups.versions() {
        let groups = caller.call(version, ListGroupsRequest::default()).await.groups;
        assert_eq!(groups.iter().map(|it| &*it.group_id).collect::<Vec<_>>(), ["audit"], "version {version}");
        assert_eq!(groups[0].protocol_type, "consumer");
    }
    for (states, types, count) in [
        (vec!["stable"], vec![], 1),
        (vec!["Empty"], vec![], 0),
        (vec![], vec!["Classic"], 1),
        (vec!["Stable"], vec!["consumer"], 0),
    ] {
        let texts = |all: &[&str]| all.iter().map(|it| text(it)).collect::<Vec<_>>();
        let request = ListGroupsRequest { states_filter: texts(&states), types_filter: texts(&types) };
        assert_eq!(caller.call(5, request).await.groups.len(), count, "{states:?} {types:?}");
    }
    for version in Api::DescribeGroups.versions() {
        let request = DescribeGroupsRequest {
            groups: vec![text("audit"), text("nobody")],
            include_authorized_operations: version >= 3,
        };
        let groups = caller.call(version, request).await.groups;
        assert_eq!(
            (&*groups[0].group_state, &*groups[0].protocol_data),
            ("Stable", "range"),
            "version {version}"
        );
        assert_eq!(&groups[0].members[0].member_assignment[..], b"all of it");
        assert_eq!(groups[0].members[0].client_id, "tester");
        assert_eq!(groups[0].authorized_operations == i32::MIN, version < 3);
        assert_eq!(groups[1].group_state, "Dead");
        let code = if version >= 6 { ErrorCode::GroupIdNotFound } else { ErrorCode::None };
        assert_eq!(ErrorCode::from(groups[1].error_code), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_for_a_group_is_not_idle() {
    let broker = Broker::in_memory().start().await.unwrap();
    let (mut one, mut two) = (Caller::of(&broker), Caller::of(&broker));
    let patient = JoinGroupRequest { rebalance_timeout_ms: 15 * 60_000, ..join("") };
    let slow = one.call(3, patient).await;
    one.call(3, sync(&slow, &[(&slow.member_id, "all")])).await;
    let start = Instant::now();
    let heir = two.send(3, &join("")).await;
    // It is there, but does not join again.
    let beating = tokio::spawn(async move {
        loop {
            one.call(3, beat(&slow)).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    assert_eq!(two.receive::<JoinGroupRequest>(3, heir).await.error_code, 0);
    assert!(start.elapsed() >= Duration::from_secs(15 * 60), "waited {:?}", start.elapsed());
    beating.abort();
}
