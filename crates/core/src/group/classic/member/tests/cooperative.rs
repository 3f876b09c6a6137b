//! A member that keeps what it has through a rebalance (KIP-429).

use vltava_wire::messages::group::JoinGroupRequest;

use super::*;
use crate::group::assign::CooperativeSticky;

impl Desk {
    /// In a cooperative group as a follower, with these partitions.
    fn cooperative(partitions: &[i32]) -> Self {
        let mut desk =
            Self::with(Config { assignors: vec![Arc::new(CooperativeSticky)], ..Config::default() });
        desk.find();
        let (call, _) = desk.ask_to_join_with();
        desk.answer(call, joined("cooperative-sticky", 5));
        let (call, _) = desk.ask();
        desk.answer(call, share(partitions));
        assert_eq!(desk.steps(), [Step::Assigned(AssignmentId(1), these(partitions))]);
        desk
    }

    fn ask_to_join_with(&mut self) -> (CallId, JoinGroupRequest) {
        match self.ask() {
            (call, Ask::Join(request)) => (call, request),
            other => panic!("not a join: {other:?}"),
        }
    }

    /// Joins the generation, and is assigned these.
    fn rejoin(&mut self, call: CallId, generation: i32, partitions: &[i32]) -> Vec<Step> {
        self.answer(call, joined("cooperative-sticky", generation));
        let (call, ask) = self.ask();
        assert!(matches!(ask, Ask::Sync(_)), "{ask:?}");
        self.answer(call, share(partitions));
        self.steps()
    }
}

fn joined(protocol: &str, generation_id: i32) -> Answer {
    let Answer::Join(joined) = join("other") else { unreachable!("it is a join") };
    Answer::Join(JoinGroupResponse { protocol_name: Some(protocol.to_owned()), generation_id, ..joined })
}

fn names(request: &JoinGroupRequest) -> Vec<&str> {
    request.protocols.iter().map(|it| &*it.name).collect()
}

/// What the request says is owned, and in which generation.
fn owned(request: &JoinGroupRequest) -> (Vec<i32>, i32) {
    let metadata = request.protocols[0].metadata.clone();
    let member = JoinGroupResponseMember { metadata, ..JoinGroupResponseMember::default() };
    let said = protocol::subscribed(member).expect("we wrote it");
    (said.owned.iter().map(|it| it.partition).collect(), said.generation)
}

fn these(partitions: &[i32]) -> BTreeSet<TopicPartition> {
    partitions.iter().map(|it| TopicPartition::new("t", *it)).collect()
}

/// C6.
#[test]
fn only_what_moves_is_revoked_and_the_next_join_follows_at_once() {
    let mut desk = Desk::cooperative(&[0, 1, 2]);
    desk.beat(ErrorCode::RebalanceInProgress);
    let (call, request) = desk.ask_to_join_with();
    assert_eq!(owned(&request), (vec![0, 1, 2], 5));
    let steps = desk.rejoin(call, 6, &[0, 1]);
    let [Step::Revoked { ticket, partitions, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(*partitions, these(&[2]));
    desk.commit(1, 7);
    let (call, _) = desk.ask_to_commit();
    desk.answer(call, committed(ErrorCode::None));
    assert_eq!(desk.steps(), [Step::Committed(CommitId(1), Ok(()))], "what stays is committed on");
    desk.member.on_ticket(*ticket);
    let (call, request) = desk.ask_to_join_with();
    assert_eq!(owned(&request), (vec![0, 1], 6));
    assert_eq!(request.reason.as_deref(), Some("partitions were given back"));
    assert_eq!(desk.rejoin(call, 7, &[0, 1]), [], "who keeps all hears of nothing");
}

#[test]
fn what_is_added_has_a_number_of_its_own_and_does_not_wait_for_what_is_revoked() {
    let mut desk = Desk::cooperative(&[0, 1]);
    desk.beat(ErrorCode::RebalanceInProgress);
    let (call, _) = desk.ask_to_join_with();
    let steps = desk.rejoin(call, 6, &[1, 2]);
    let [Step::Assigned(AssignmentId(2), added), Step::Revoked { partitions, .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!((added, partitions), (&these(&[2]), &these(&[0])));
    desk.member.commit(CommitId(1), vec![commit(2, AssignmentId(1), 4)]);
    let retired = Err(Refusal::Retired(TopicPartition::new("t", 2)));
    assert_eq!(desk.steps(), [Step::Committed(CommitId(1), retired)], "it was another's under that number");
}

#[test]
fn at_the_deadline_only_what_was_revoked_is_retired() {
    let mut desk = Desk::cooperative(&[0, 1]);
    desk.beat(ErrorCode::RebalanceInProgress);
    let (call, _) = desk.ask_to_join_with();
    let steps = desk.rejoin(call, 6, &[0]);
    let [Step::Revoked { deadline, .. }] = &steps[..] else { panic!("{steps:?}") };
    while desk.now < *deadline {
        desk.pass(Duration::from_secs(3));
        for step in desk.steps() {
            match step {
                Step::Call { call, ask: Ask::Heartbeat(_), .. } => desk.answer(call, beat(ErrorCode::None)),
                Step::Call { ask: Ask::Join(request), .. } => assert_eq!(owned(&request), (vec![0], 6)),
                other => panic!("{other:?}"),
            }
        }
    }
    desk.member.commit(CommitId(1), vec![commit(1, AssignmentId(1), 4)]);
    let retired = Err(Refusal::Retired(TopicPartition::new("t", 1)));
    assert!(desk.steps().contains(&Step::Committed(CommitId(1), retired)));
    desk.commit(2, 4);
    let sends = |it: &Step| matches!(it, Step::Call { ask: Ask::Commit(_), .. });
    assert!(desk.steps().iter().any(sends), "what stays is committed on, while the member joins");
}

/// The way from eager to cooperative: first everybody offers both, then one after the other drops the eager one.
#[test]
fn who_offers_an_eager_assignor_too_gives_everything_back_whichever_was_chosen() {
    let mut desk = Desk::with(Config::default());
    desk.find();
    let (call, request) = desk.ask_to_join_with();
    assert_eq!(names(&request), ["range", "cooperative-sticky"], "as Java by default");
    desk.answer(call, joined("cooperative-sticky", 5));
    let (call, _) = desk.ask();
    desk.answer(call, share(&[0, 1]));
    desk.steps();
    desk.beat(ErrorCode::RebalanceInProgress);
    let steps = desk.steps();
    let [Step::Revoked { ticket, partitions, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(*partitions, these(&[0, 1]));
    desk.member.on_ticket(*ticket);
    let (_, request) = desk.ask_to_join_with();
    assert_eq!(owned(&request), (vec![], -1));
}

#[test]
fn signs_of_life_and_commits_go_on_while_it_joins() {
    let mut desk = Desk::cooperative(&[0]);
    desk.beat(ErrorCode::RebalanceInProgress);
    desk.ask_to_join_with();
    desk.commit(1, 7);
    let (call, _) = desk.ask_to_commit();
    desk.answer(call, committed(ErrorCode::None));
    assert_eq!(desk.steps(), [Step::Committed(CommitId(1), Ok(()))]);
    for code in [ErrorCode::RebalanceInProgress, ErrorCode::IllegalGeneration] {
        desk.beat(code);
        assert_eq!(desk.steps(), [], "{code:?}: the answer to the join will tell");
    }
}

/// C1: the rebalance ended between the question and its answer.
#[test]
fn a_commit_of_a_generation_that_just_ended_is_sent_again_in_the_next() {
    let mut desk = Desk::cooperative(&[0]);
    desk.beat(ErrorCode::RebalanceInProgress);
    let (join, _) = desk.ask_to_join_with();
    desk.commit(1, 7);
    let (call, _) = desk.ask_to_commit();
    desk.answer(call, committed(ErrorCode::IllegalGeneration));
    assert_eq!(desk.steps(), [], "nothing is lost");
    assert_eq!(desk.rejoin(join, 6, &[0]), []);
    desk.pass(Duration::from_secs(1));
    let (_, Ask::Commit(request)) = desk.ask() else { panic!("it is committed") };
    assert_eq!(request.generation_id_or_member_epoch, 6);
}

/// C3.
#[test]
fn what_is_held_is_lost_when_the_coordinator_forgets_the_member_between_generations() {
    for code in [ErrorCode::UnknownMemberId, ErrorCode::IllegalGeneration] {
        let mut desk = Desk::cooperative(&[0, 1]);
        desk.beat(ErrorCode::RebalanceInProgress);
        let (call, _) = desk.ask_to_join_with();
        desk.answer(call, refused(code));
        assert_eq!(desk.steps(), [Step::Lost(these(&[0, 1]))], "{code:?}");
        desk.pass(Duration::from_secs(1));
        let (_, request) = desk.ask_to_join_with();
        assert_eq!(owned(&request), (vec![], -1));
    }
}

#[test]
fn what_is_held_is_kept_while_the_join_fails_for_now_and_lost_after_a_session() {
    let mut desk = Desk::cooperative(&[0]);
    let session = Config::default().session_timeout;
    desk.beat(ErrorCode::RebalanceInProgress);
    let heard = desk.now;
    let (call, _) = desk.ask_to_join_with();
    desk.member.on_broken(desk.now, call);
    let mut lost_at = None;
    while lost_at.is_none() {
        desk.now = desk.member.deadline().expect("it tries on").max(desk.now);
        for step in desk.steps() {
            match step {
                Step::Call { call, .. } => desk.member.on_broken(desk.now, call),
                Step::Lost(lost) => {
                    assert_eq!(lost, these(&[0]));
                    lost_at = Some(desk.now);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(lost_at, Some(heard + session));
}

#[test]
fn topics_that_are_not_wanted_any_more_are_given_back_before_the_join_that_says_so() {
    let mut desk = Desk::cooperative(&[0, 1]);
    desk.member.subscribe(BTreeSet::from(["u".to_owned()]));
    let steps = desk.steps();
    let [Step::Revoked { ticket, partitions, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(*partitions, these(&[0, 1]));
    desk.member.on_ticket(*ticket);
    let (_, request) = desk.ask_to_join_with();
    assert_eq!(request.reason.as_deref(), Some("the subscription has changed"));
    let mut desk = Desk::cooperative(&[0, 1]);
    desk.member.subscribe(BTreeSet::from(["t".to_owned(), "u".to_owned()]));
    let (_, request) = desk.ask_to_join_with();
    assert_eq!(owned(&request), (vec![0, 1], 5), "nothing has to go");
}
