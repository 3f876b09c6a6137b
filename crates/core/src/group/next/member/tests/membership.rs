//! How a member comes, goes, is thrown out, and which protocol it speaks.

use super::*;
use crate::group::{
    assign::Range,
    member::{Parting, Protocol, Ticket},
};

#[test]
fn a_static_member_waits_for_the_one_before_it_to_be_taken_for_dead_but_not_for_one_that_lives() {
    let config = Config { instance_id: Some("i".to_owned()), ..Config::default() };
    let mut desk = Desk::with(config);
    let began = desk.now;
    let failed = loop {
        match desk.steps().pop() {
            Some(Step::Call { call, ask: Ask::NextHeartbeat(joins), .. }) => {
                assert_eq!((joins.instance_id.as_deref(), joins.member_epoch), (Some("i"), 0));
                desk.answer(call, refused(ErrorCode::UnreleasedInstanceId));
            }
            Some(Step::Failed(Failure::Refused { code, .. })) => break code,
            Some(other) => panic!("{other:?}"),
            None => desk.now = desk.member.deadline().expect("it tries on"),
        }
    };
    assert_eq!(failed, ErrorCode::UnreleasedInstanceId);
    assert!(desk.now.since(began) > Config::default().session_timeout, "{:?}", desk.now.since(began));
}

#[test]
fn who_leaves_says_whether_it_will_be_back() {
    let fixed = || Config { instance_id: Some("i".to_owned()), ..Config::default() };
    for (config, parting, epoch) in [
        (Config::default(), Parting::Usual, Some(-1)),
        (Config::default(), Parting::Remain, None),
        (fixed(), Parting::Usual, Some(-2)),
        (fixed(), Parting::Leave, Some(-1)),
    ] {
        let mut desk = Desk::assigned_with(config, &[0]);
        desk.commit(1, 0, 4);
        desk.member.leave(desk.now + Duration::from_secs(9), parting);
        let steps = desk.steps();
        let [Step::Call { call, ask: Ask::Commit(_), .. }] = &steps[..] else { panic!("{steps:?}") };
        desk.answer(*call, committed(ErrorCode::None));
        let steps = desk.steps();
        assert_eq!(steps[0], Step::Committed(CommitId(1), Ok(())));
        match (&steps[1..], epoch) {
            ([Step::Call { call, ask: Ask::NextHeartbeat(request), .. }], Some(epoch)) => {
                assert_eq!(request.member_epoch, epoch, "{parting:?}");
                desk.answer(*call, rest(epoch));
                assert_eq!(desk.steps(), [Step::Left]);
            }
            ([Step::Left], None) => (),
            (other, _) => panic!("{parting:?}: {other:?}"),
        }
        assert_eq!(desk.member.deadline(), None);
    }
}

#[test]
fn every_code_of_a_heartbeat_means_one_thing() {
    let rests = |steps: &[Step]| steps.is_empty();
    let lost =
        |steps: &[Step]| matches!(steps, [Step::Lost(_), Step::Call { ask: Ask::NextHeartbeat(_), .. }]);
    let fails = |steps: &[Step]| matches!(steps, [Step::Lost(_), Step::Failed(Failure::Refused { .. })]);
    type Says<'a> = &'a dyn Fn(&[Step]) -> bool;
    let cases: [(ErrorCode, Says<'_>); 14] = [
        (ErrorCode::None, &rests),
        (ErrorCode::CoordinatorLoadInProgress, &rests),
        (ErrorCode::NotCoordinator, &rests),
        (ErrorCode::CoordinatorNotAvailable, &rests),
        (ErrorCode::UnknownMemberId, &lost),
        (ErrorCode::FencedMemberEpoch, &lost),
        (ErrorCode::GroupIdNotFound, &lost),
        (ErrorCode::FencedInstanceId, &fails),
        (ErrorCode::UnsupportedAssignor, &fails),
        (ErrorCode::GroupMaxSizeReached, &fails),
        (ErrorCode::InvalidRegularExpression, &fails),
        (ErrorCode::InvalidRequest, &fails),
        (ErrorCode::GroupAuthorizationFailed, &fails),
        (ErrorCode::TopicAuthorizationFailed, &fails),
    ];
    for (code, says) in cases {
        let mut desk = Desk::assigned(&[0]);
        let answer = if code == ErrorCode::None { rest(1) } else { refused(code) };
        let steps = desk.beat(answer);
        assert!(says(&steps), "{code:?}: {steps:?}");
    }
}

/// C3.
#[test]
fn who_hears_nothing_for_a_session_has_lost_everything() {
    let mut desk = Desk::assigned(&[0]);
    let heard = desk.now;
    loop {
        desk.now = desk.member.deadline().expect("it tries on").max(desk.now);
        for step in desk.steps() {
            match step {
                Step::Call { call, .. } => desk.member.on_broken(desk.now, call),
                Step::Lost(_) => {
                    assert_eq!(desk.now, heard + Config::default().session_timeout);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// C15.
#[test]
fn a_member_whose_owner_is_stuck_leaves_and_joins_when_it_gets_on() {
    let mut desk = Desk::assigned(&[0]);
    desk.member.on_away(desk.now);
    let steps = desk.steps();
    let [Step::Lost(_), Step::Call { ask: Ask::NextHeartbeat(leaves), .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(leaves.member_epoch, -1);
    desk.now += Duration::from_secs(600);
    assert_eq!(desk.steps(), []);
    desk.member.on_back();
    let (_, joins) = desk.ask_to_beat();
    assert_eq!((joins.member_epoch, owned(&joins)), (0, Some(vec![])));
}

#[test]
fn other_topics_are_asked_for_at_once_and_nothing_else_is_said() {
    let mut desk = Desk::assigned(&[0]);
    desk.member.subscribe(BTreeSet::from(["t".to_owned(), "u".to_owned()]));
    let (_, request) = desk.ask_to_beat();
    assert_eq!(request.subscribed_topic_names, Some(vec!["t".to_owned(), "u".to_owned()]));
    assert_eq!((owned(&request), request.rebalance_timeout_ms), (None, -1));
}

#[test]
fn a_share_of_nothing_is_told_once() {
    let mut desk = Desk::with(Config::default());
    let (call, _) = desk.ask_to_beat();
    desk.answer(call, share(1, &[]));
    assert_eq!(desk.steps(), [Step::Assigned(AssignmentId(1), BTreeSet::new())]);
    assert_eq!(desk.beat(share(2, &[])), []);
}

#[test]
fn the_protocol_is_the_coordinators_unless_something_else_was_asked_for() {
    let own = || Config { assignors: vec![Arc::new(Range)], ..Config::default() };
    let only = |protocol| Config { protocol, ..Config::default() };
    for (config, next, expected) in [
        (Config::default(), Some(1), Some(true)),
        (Config::default(), Some(0), Some(false)),
        (Config::default(), None, Some(false)),
        (own(), Some(1), Some(false)),
        (only(Protocol::Classic), Some(1), Some(false)),
        (only(Protocol::Consumer), Some(1), Some(true)),
        (only(Protocol::Consumer), None, None),
    ] {
        let mut member = Member::new(config, Rng::new(1));
        let Some(Step::Call { call, .. }) = member.poll(Moment(1)) else { panic!("it looks") };
        member.on_answer(Moment(1), call, Answer::Coordinator { found: Coordinator::default(), next });
        assert_eq!(member.is_next(), expected);
        if expected.is_none() {
            assert!(matches!(member.poll(Moment(1)), Some(Step::Failed(Failure::Refused { .. }))));
        }
    }
}

#[test]
fn a_group_that_stays_classic_is_joined_as_one_and_so_is_one_whose_coordinator_cannot_do_better() {
    for code in [ErrorCode::GroupIdNotFound, ErrorCode::UnsupportedVersion] {
        let mut desk = Desk::with(Config::default());
        let (call, _) = desk.ask_to_beat();
        desk.answer(call, refused(code));
        assert!(matches!(&desk.steps()[..], [Step::Call { ask: Ask::Join(_), .. }]), "{code:?}");
        let mut desk = Desk::with(Config { protocol: Protocol::Consumer, ..Config::default() });
        let (call, _) = desk.ask_to_beat();
        desk.answer(call, refused(code));
        assert!(matches!(&desk.steps()[..], [Step::Failed(_)]), "{code:?}");
    }
    let mut desk = Desk::assigned(&[0]);
    assert_eq!(desk.beat(refused(ErrorCode::NotCoordinator)), []);
    desk.now = desk.member.deadline().expect("the pause ends");
    desk.find(None);
    let steps = desk.steps();
    assert!(matches!(&steps[..], [Step::Lost(_), Step::Call { ask: Ask::Join(_), .. }]), "{steps:?}");
}

#[test]
fn a_ticket_of_before_changes_nothing() {
    let mut desk = Desk::assigned(&[0]);
    desk.member.on_ticket(Ticket(9));
    assert_eq!(desk.steps(), []);
}
