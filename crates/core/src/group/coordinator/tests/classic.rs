//! Members of the classic protocol.

use std::time::Duration;

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::group::{
        HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, MemberIdentity,
    },
};

use super::{
    super::{Answer, Limits},
    Desk, REBALANCE, SESSION, static_member, subscribe, supporting,
};

#[test]
fn from_version_4_on_a_member_is_told_its_id_before_it_joins() {
    let mut desk = Desk::new();
    let token = desk.join(4, subscribe(""));
    let told = desk.join_answer(token);
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::MemberIdRequired);
    assert!(told.member_id.starts_with("app-"), "{}", told.member_id);

    let token = desk.join(4, subscribe(&told.member_id));
    let joined = desk.join_answer(token);
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!((&joined.member_id, &joined.leader), (&told.member_id, &told.member_id));
}

#[test]
fn an_id_that_was_never_used_is_forgotten_with_its_session() {
    let mut desk = Desk::new();
    let token = desk.join(4, subscribe(""));
    let told = desk.join_answer(token);
    desk.pass(SESSION as u64);
    assert!(desk.answers().is_empty());
    let token = desk.join(4, subscribe(&told.member_id));
    assert_eq!(ErrorCode::from(desk.join_answer(token).error_code), ErrorCode::UnknownMemberId);
    assert_eq!(desk.groups.deadline(), None);
}

#[test]
fn a_rebalance_waits_for_an_id_that_was_just_given_out() {
    let mut desk = Desk::new();
    let (first, _) = desk.member();
    let token = desk.join(4, subscribe(""));
    let told = desk.join_answer(token);
    desk.join(4, subscribe(&first));
    assert!(desk.answers().is_empty(), "the first must wait for the second");
    desk.join(4, subscribe(&told.member_id));
    assert_eq!(desk.answers().len(), 2);
}

#[test]
fn only_the_leader_sees_the_members() {
    let mut desk = Desk::new();
    let (first, _) = desk.member();
    desk.join(3, subscribe(""));
    desk.join(3, subscribe(&first));
    for (_, answer) in desk.answers() {
        let Answer::Join(joined) = answer else { panic!("{answer:?}") };
        let seen = if joined.member_id == first { 2 } else { 0 };
        assert_eq!((joined.leader, joined.members.len()), (first.clone(), seen));
        assert_eq!((joined.generation_id, joined.protocol_name), (2, Some("range".to_owned())));
    }
}

#[test]
fn a_sync_waits_until_the_leader_has_assigned() {
    let mut desk = Desk::new();
    let (leader, other, generation) = desk.two_joined();
    let waiting = desk.sync(generation, &other, &[]);
    assert!(desk.answers().is_empty());
    let leads = desk.sync(generation, &leader, &[(&other, "theirs")]);
    let answers = desk.answers();
    assert_eq!(answers.len(), 2);
    for (token, answer) in answers {
        let Answer::Sync(synced) = answer else { panic!("{answer:?}") };
        assert_eq!(synced.assignment, if token == waiting { "theirs" } else { "" }, "{leads:?}");
    }
    assert_eq!(desk.state(), "Stable");
}

#[test]
fn a_newcomer_makes_the_others_rejoin() {
    let mut desk = Desk::new();
    let (first, generation) = desk.member();
    assert_eq!(desk.heartbeat(generation, &first), ErrorCode::None);
    desk.join(3, subscribe(""));
    assert_eq!(desk.heartbeat(generation, &first), ErrorCode::RebalanceInProgress);
    assert_eq!(desk.state(), "PreparingRebalance");
    assert_eq!(desk.commit(generation, &first), Ok(()), "the old generation may commit until it rejoins");
}

#[test]
fn who_does_not_rejoin_in_time_is_left_behind() {
    let mut desk = Desk::new();
    let (first, generation) = desk.member();
    let token = desk.join(3, subscribe(""));
    for _ in 0..REBALANCE / 5_000 - 1 {
        desk.pass(5_000);
        assert_eq!(desk.heartbeat(generation, &first), ErrorCode::RebalanceInProgress);
        assert!(desk.answers().is_empty());
    }
    desk.pass(5_000);
    let joined = desk.join_answer(token);
    assert_eq!((joined.members.len(), &joined.leader), (1, &joined.member_id));
    assert_eq!(desk.heartbeat(generation, &first), ErrorCode::UnknownMemberId);
    assert_eq!(desk.commit(generation, &first), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_silent_member_is_out_when_its_session_ends() {
    let mut desk = Desk::new();
    let (leader, other, generation) = desk.two_joined();
    desk.sync(generation, &leader, &[]);
    desk.sync(generation, &other, &[]);
    desk.answers();
    desk.pass(SESSION as u64 - 1);
    assert_eq!(desk.heartbeat(generation, &leader), ErrorCode::None);
    desk.pass(1);
    assert!(desk.answers().is_empty());
    assert_eq!(desk.heartbeat(generation, &leader), ErrorCode::RebalanceInProgress);
    assert_eq!(desk.heartbeat(generation, &other), ErrorCode::UnknownMemberId);
}

#[test]
fn who_does_not_sync_in_time_is_out() {
    let mut desk = Desk::new();
    let (leader, other, generation) = desk.two_joined();
    let waiting = desk.sync(generation, &other, &[]);
    for _ in 0..REBALANCE / 5_000 {
        desk.pass(5_000);
        desk.heartbeat(generation, &leader);
    }
    let refused = desk.sync_answer(waiting);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(desk.heartbeat(generation, &leader), ErrorCode::UnknownMemberId);
    assert_eq!(desk.heartbeat(generation, &other), ErrorCode::RebalanceInProgress);
}

#[test]
fn a_join_whose_answer_was_lost_is_answered_again() {
    let mut desk = Desk::new();
    let (leader, other, generation) = desk.two_joined();
    let token = desk.join(3, subscribe(&leader));
    let again = desk.join_answer(token);
    assert_eq!((again.generation_id, again.members.len()), (generation, 2));
    let token = desk.join(3, subscribe(&other));
    let again = desk.join_answer(token);
    assert_eq!((again.generation_id, again.members.len()), (generation, 0));
}

#[test]
fn the_protocol_is_what_most_prefer_among_what_all_support() {
    let mut desk = Desk::new();
    let token = desk.join(3, supporting("", &["sticky", "range", "own"]));
    let first = desk.join_answer(token).member_id;
    desk.join(3, supporting("", &["range", "sticky"]));
    desk.join(3, supporting("", &["range", "sticky"]));
    desk.join(3, supporting(&first, &["own", "sticky", "range"]));
    let answers = desk.answers();
    assert_eq!(answers.len(), 3);
    for (_, answer) in answers {
        let Answer::Join(joined) = answer else { panic!("{answer:?}") };
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    }
    let token = desk.join(3, supporting("", &["own"]));
    let refused = desk.join_answer(token);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn a_first_join_whose_connection_is_gone_leaves_no_ghost() {
    let mut desk = Desk::new();
    let (first, _) = desk.member();
    let gone = desk.join(3, subscribe(""));
    desk.groups.on_gone(desk.now, gone);
    desk.answers();
    let token = desk.join(3, subscribe(&first));
    assert_eq!(desk.join_answer(token).members.len(), 1);
}

#[test]
fn a_member_whose_connection_is_gone_may_come_back_within_its_session() {
    let mut desk = Desk::new();
    let (first, _) = desk.member();
    let other = desk.join(3, subscribe(""));
    let gone = desk.join(4, subscribe(""));
    let Some((_, Answer::Join(told))) = desk.answers().pop() else { panic!("no answer to {gone:?}") };
    let gone = desk.join(4, subscribe(&told.member_id));
    desk.groups.on_gone(desk.now, gone);
    desk.join(3, subscribe(&first));
    assert!(desk.answers().is_empty(), "the one that is gone is waited for");
    desk.pass(SESSION as u64);
    let answers = desk.answers();
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers.iter().any(|(token, _)| *token == other));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_its_old_self_is_fenced() {
    let mut desk = Desk::new();
    let token = desk.join(9, static_member("one"));
    let old = desk.join_answer(token);
    let token = desk.sync(old.generation_id, &old.member_id, &[(&old.member_id, "all")]);
    desk.sync_answer(token);

    let token = desk.join(9, static_member("one"));
    let back = desk.join_answer(token);
    assert_eq!((back.generation_id, back.skip_assignment, back.members.len()), (old.generation_id, true, 1));
    assert_ne!(back.member_id, old.member_id);
    let token = desk.sync(back.generation_id, &back.member_id, &[]);
    assert_eq!(desk.sync_answer(token).assignment, "all");

    let heartbeat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: old.generation_id,
        member_id: old.member_id,
        group_instance_id: Some("one".to_owned()),
    };
    let refused = desk.groups.on_heartbeat(desk.now, &heartbeat);
    assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::FencedInstanceId);
}

#[test]
fn static_members_that_are_all_away_are_waited_for_without_spinning() {
    let mut desk = Desk::new();
    let request = JoinGroupRequest { rebalance_timeout_ms: 0, ..static_member("one") };
    let gone = desk.join(9, request);
    let joined = desk.join_answer(gone);
    let gone = desk.join(9, JoinGroupRequest { member_id: joined.member_id, ..static_member("one") });
    desk.groups.on_gone(desk.now, gone);
    let mut looks = 0;
    while let Some(at) = desk.groups.deadline() {
        assert!(at >= desk.now);
        desk.now = at;
        desk.answers();
        looks += 1;
    }
    assert!(looks <= 2 + SESSION / 1000, "{looks} looks");
    assert_eq!(desk.state(), "Empty");
}

#[test]
fn the_initial_delay_gathers_members_into_one_generation() {
    let delay = Duration::from_secs(3);
    let mut desk = Desk::with(Limits { initial_rebalance_delay: delay, ..Limits::default() });
    desk.join(3, subscribe(""));
    desk.pass(2_000);
    desk.join(3, subscribe(""));
    assert!(desk.answers().is_empty());
    desk.pass(1_000);
    assert!(desk.answers().is_empty(), "somebody joined while the first was waited for");
    desk.pass(3_000);
    assert_eq!(desk.answers().len(), 2);
}

#[test]
fn leaving_in_a_batch_answers_for_each() {
    let mut desk = Desk::new();
    let (leader, other, _) = desk.two_joined();
    let identity = |id: &str| MemberIdentity { member_id: id.to_owned(), ..MemberIdentity::default() };
    let members = vec![identity(&leader), identity("nobody"), identity(&other)];
    let request = LeaveGroupRequest { group_id: "g".to_owned(), members, ..LeaveGroupRequest::default() };
    let response = desk.groups.on_leave(desk.now, 3, request);
    let codes: Vec<_> = response.members.iter().map(|member| ErrorCode::from(member.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::None]);
    assert_eq!(desk.state(), "Empty");
    assert_eq!(desk.groups.deadline(), None);
}

#[test]
fn who_leaves_alone_gets_its_error_at_the_top() {
    let mut desk = Desk::new();
    let (member, _) = desk.member();
    for (member_id, code) in [("nobody", ErrorCode::UnknownMemberId), (&*member, ErrorCode::None)] {
        let (group_id, member_id) = ("g".to_owned(), member_id.to_owned());
        let request = LeaveGroupRequest { group_id, member_id, ..LeaveGroupRequest::default() };
        assert_eq!(ErrorCode::from(desk.groups.on_leave(desk.now, 2, request).error_code), code);
    }
}

#[test]
fn a_commit_needs_the_member_the_generation_and_a_group_at_rest() {
    let mut desk = Desk::new();
    assert_eq!(desk.commit(-1, ""), Ok(()), "a group without members");
    assert_eq!(desk.commit(1, "gone"), Err(ErrorCode::IllegalGeneration));
    let (leader, other, generation) = desk.two_joined();
    assert_eq!(desk.commit(generation, &leader), Err(ErrorCode::RebalanceInProgress));
    desk.sync(generation, &leader, &[]);
    assert_eq!(desk.commit(generation, &other), Ok(()));
    assert_eq!(desk.commit(generation - 1, &other), Err(ErrorCode::IllegalGeneration));
    assert_eq!(desk.commit(generation, "stranger"), Err(ErrorCode::UnknownMemberId));
    assert_eq!(desk.commit(-1, ""), Err(ErrorCode::UnknownMemberId), "not past its members");
}

#[test]
fn groups_are_listed_and_described_with_those_that_have_only_offsets() {
    let mut desk = Desk::new();
    let (member, _) = desk.member();
    let listed = desk.groups.list(&ListGroupsRequest::default(), ["g", "old"].into_iter());
    let shown: Vec<_> =
        listed.iter().map(|it| (&*it.group_id, &*it.protocol_type, &*it.group_state)).collect();
    assert_eq!(shown, [("g", "consumer", "Stable"), ("old", "", "Empty")]);

    let described = desk.groups.describe(6, "g", true);
    assert_eq!((&*described.protocol_data, described.members.len()), ("range", 1));
    let it = &described.members[0];
    assert_eq!(
        (&it.member_id, &*it.client_host, &it.member_assignment[..]),
        (&member, "10.0.0.7", &b"all"[..])
    );
    assert_eq!(desk.groups.describe(6, "old", true).group_state, "Empty");
    let unknown = desk.groups.describe(6, "nobody", false);
    assert_eq!(ErrorCode::from(unknown.error_code), ErrorCode::GroupIdNotFound);
}

#[test]
fn what_goes_beyond_the_limits_is_refused() {
    let mut desk =
        Desk::with(Limits { members_max: 1, groups_max: 1, bytes_max: 10_000, ..Limits::default() });
    let check = |desk: &mut Desk, request: JoinGroupRequest, expected: ErrorCode| {
        let token = desk.join(3, request);
        assert_eq!(ErrorCode::from(desk.join_answer(token).error_code), expected);
    };
    check(
        &mut desk,
        JoinGroupRequest { session_timeout_ms: 5_999, ..subscribe("") },
        ErrorCode::InvalidSessionTimeout,
    );
    check(
        &mut desk,
        JoinGroupRequest { session_timeout_ms: -1, ..subscribe("") },
        ErrorCode::InvalidSessionTimeout,
    );
    check(
        &mut desk,
        JoinGroupRequest { group_id: String::new(), ..subscribe("") },
        ErrorCode::InvalidGroupId,
    );
    check(&mut desk, subscribe("stranger"), ErrorCode::UnknownMemberId);
    let many = supporting("", &["range"; 33]);
    check(&mut desk, many, ErrorCode::InconsistentGroupProtocol);
    let mut fat = subscribe("");
    fat.protocols[0].metadata = Bytes::from(vec![0; 20_000]);
    check(&mut desk, fat, ErrorCode::None);
    check(&mut desk, subscribe(""), ErrorCode::GroupMaxSizeReached);
    check(
        &mut desk,
        JoinGroupRequest { group_id: "h".to_owned(), ..subscribe("") },
        ErrorCode::GroupMaxSizeReached,
    );
}
