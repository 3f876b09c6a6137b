//! Static members, leaders that come back, members whose owner is stuck or whose coordinator is silent.

use super::*;

fn fixed() -> Config {
    let instance_id = Some("i".to_owned());
    Config { instance_id, assignors: vec![Arc::new(Range)], ..Config::default() }
}

/// C20.
#[test]
fn a_static_member_that_another_replaced_stops_whatever_it_was_asking() {
    for asks in ["join", "sync", "beat", "commit"] {
        let mut desk = Desk::with(fixed());
        desk.find();
        let (call, _) = desk.ask_to_join();
        let code = ErrorCode::FencedInstanceId;
        if asks == "join" {
            desk.answer(call, refused(code));
        } else {
            desk.answer(call, join("other"));
            let (call, ask) = desk.ask();
            let Ask::Sync(request) = ask else { panic!("{ask:?}") };
            assert_eq!(request.group_instance_id.as_deref(), Some("i"));
            if asks == "sync" {
                let error_code = code.code();
                desk.answer(call, Answer::Sync(SyncGroupResponse { error_code, ..Default::default() }));
            } else {
                desk.answer(call, share(&[0]));
                desk.steps();
            }
        }
        match asks {
            "beat" => desk.beat(code),
            "commit" => {
                desk.commit(1, 5);
                let (call, _) = desk.ask_to_commit();
                desk.answer(call, committed(code));
            }
            _ => (),
        }
        let steps = desk.steps();
        let failed = |it: &Step| matches!(it, Step::Failed(Failure::Refused { code: it, .. }) if *it == code);
        assert!(steps.iter().any(failed), "{asks}: {steps:?}");
        desk.pass(Duration::from_secs(60));
        assert_eq!((desk.steps(), desk.member.deadline()), (Vec::new(), None), "{asks}: it is gone");
    }
}

#[test]
fn a_static_member_goes_without_a_word_unless_it_goes_for_good() {
    for (parting, says) in [(Parting::Usual, false), (Parting::Leave, true), (Parting::Remain, false)] {
        let mut desk = Desk::with(fixed());
        let call = desk.joined("other");
        desk.answer(call, share(&[0]));
        desk.steps();
        desk.member.leave(desk.now + Duration::from_secs(9), parting);
        let steps = desk.steps();
        match &steps[..] {
            [Step::Left] if !says => (),
            [Step::Call { ask: Ask::Leave(member), .. }] if says => {
                assert_eq!(member.group_instance_id.as_deref(), Some("i"));
            }
            other => panic!("{parting:?}: {other:?}"),
        }
    }
}

#[test]
fn any_other_member_leaves_unless_it_is_to_remain() {
    for (parting, says) in [(Parting::Usual, true), (Parting::Leave, true), (Parting::Remain, false)] {
        let mut desk = Desk::assigned(&[0]);
        desk.member.leave(desk.now + Duration::from_secs(9), parting);
        let steps = desk.steps();
        let asks = matches!(&steps[..], [Step::Call { ask: Ask::Leave(_), .. }]);
        assert_eq!((asks, steps == [Step::Left]), (says, !says), "{parting:?}: {steps:?}");
    }
}

#[test]
fn a_leader_that_comes_back_to_a_group_at_rest_watches_its_topics_and_shares_nothing_out() {
    let mut desk = Desk::with(fixed());
    desk.find();
    let (call, _) = desk.ask_to_join();
    let Answer::Join(joined) = join("me") else { unreachable!("it is a join") };
    desk.answer(call, Answer::Join(JoinGroupResponse { skip_assignment: true, ..joined }));
    let steps = desk.steps();
    let [Step::Count(_), Step::Call { call, ask: Ask::Sync(request), .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert!(request.assignments.is_empty());
    desk.answer(*call, share(&[0]));
    desk.steps();
    desk.member.on_topics(&Topics::from_iter([("t", 2)]));
    assert_eq!(desk.steps(), []);
    desk.member.on_topics(&Topics::from_iter([("t", 3)]));
    assert!(matches!(&desk.steps()[..], [Step::Revoked { .. }]));
}

#[test]
fn a_leader_has_the_group_share_out_anew_when_topics_come_or_go() {
    for (before, after) in [(0, 2), (2, 0)] {
        let mut desk = Desk::new();
        desk.find();
        let (call, _) = desk.ask_to_join();
        desk.answer(call, join("me"));
        desk.steps();
        desk.member.on_topics(&Topics::from_iter([("t", before)]));
        let (call, _) = desk.ask();
        desk.answer(call, share(&[]));
        desk.steps();
        desk.member.on_topics(&Topics::from_iter([("t", after)].into_iter().filter(|it| it.1 > 0)));
        let steps = desk.steps();
        let [Step::Call { ask: Ask::Join(request), .. }] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(request.reason.as_deref(), Some("topics or partitions have changed"));
    }
}

/// C3: the session is over for the coordinator, and so it is for the member.
#[test]
fn who_hears_nothing_for_a_session_has_lost_everything() {
    let mut desk = Desk::assigned(&[0, 1]);
    let (began, session) = (desk.now, Config::default().session_timeout);
    loop {
        desk.now = desk.member.deadline().expect("it tries on").max(desk.now);
        let steps = desk.steps();
        if let Some(Step::Lost(lost)) = steps.iter().find(|it| matches!(it, Step::Lost(_))) {
            assert_eq!((lost.len(), desk.now), (2, began + session));
            break;
        }
        for step in steps {
            match step {
                Step::Call { call, ask: Ask::FindCoordinator, .. } => {
                    let found = Coordinator::default();
                    desk.answer(call, Answer::Coordinator { found, next: None });
                }
                Step::Call { call, ask: Ask::Heartbeat(_), .. } => desk.member.on_broken(desk.now, call),
                other => panic!("{other:?}"),
            }
        }
    }
    desk.commit(1, 5);
    let retired = Err(Refusal::Retired(TopicPartition::new("t", 0)));
    assert!(desk.steps().contains(&Step::Committed(CommitId(1), retired)));
}

/// C15.
#[test]
fn a_member_whose_owner_is_stuck_loses_everything_once_and_joins_when_it_gets_on() {
    let mut desk = Desk::assigned(&[0]);
    desk.member.on_away(desk.now);
    desk.member.on_away(desk.now);
    let steps = desk.steps();
    let [Step::Lost(lost), Step::Call { ask: Ask::Leave(member), .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!((lost.len(), &*member.member_id), (1, "me"));
    desk.pass(Duration::from_secs(600));
    assert_eq!((desk.steps(), desk.member.deadline()), (Vec::new(), None), "it keeps away");
    desk.member.on_back();
    let (_, id) = desk.ask_to_join();
    assert_eq!(id, "", "as somebody new");
}

#[test]
fn a_member_may_leave_while_its_owner_is_stuck() {
    let mut desk = Desk::assigned(&[0]);
    desk.member.on_away(desk.now);
    desk.steps();
    desk.member.leave(desk.now + Duration::from_secs(9), Parting::Usual);
    assert_eq!(desk.steps(), [Step::Left]);
}

#[test]
fn a_commit_that_may_go_back_does_and_any_other_does_not() {
    let mut desk = Desk::assigned(&[0]);
    for (id, offset, backwards, expected) in
        [(1, 9, false, Some(9)), (2, 4, false, None), (3, 4, true, Some(4))]
    {
        let it = Commit { backwards, ..commit(0, AssignmentId(1), offset) };
        desk.member.commit(CommitId(id), vec![it]);
        let mut steps = desk.steps();
        if let Some(Step::Call { call, ask: Ask::Commit(request), .. }) = steps.first() {
            assert_eq!(Some(request.topics[0].partitions[0].committed_offset), expected, "{id}");
            desk.answer(*call, committed(ErrorCode::None));
            steps = desk.steps();
        } else {
            assert_eq!(expected, None, "{id}");
        }
        assert_eq!(steps, [Step::Committed(CommitId(id), Ok(()))]);
    }
}
