//! Calls in a row against a member, as a coordinator and a user make them.

mod cooperative;
mod membership;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::{
        group::{
            Coordinator, HeartbeatResponse, JoinGroupResponse, JoinGroupResponseMember, SyncGroupResponse,
        },
        offsets::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    },
};

use crate::{
    Moment, Rng, TopicPartition,
    group::{
        assign::{Range, Subscriber, Topics},
        classic::protocol,
        member::{
            Answer, Ask, AssignmentId, CallId, Commit, CommitId, Config, Failure, Member, Parting, Refusal,
            Step, Ticket,
        },
    },
};

/// A member with a clock, driven by hand.
struct Desk {
    member: Member,
    now: Moment,
}

impl Desk {
    fn new() -> Self {
        Self::with(Config { assignors: vec![Arc::new(Range)], ..Config::default() })
    }

    fn with(config: Config) -> Self {
        let topics = BTreeSet::from(["t".to_owned()]);
        let config = Config { group_id: "g".to_owned(), topics, ..config };
        Self { member: Member::new(config, Rng::new(1)), now: Moment(1) }
    }

    /// In the group as a follower, with these partitions.
    fn assigned(partitions: &[i32]) -> Self {
        let mut desk = Self::new();
        let sync = desk.joined("other");
        desk.answer(sync, share(partitions));
        assert!(matches!(&desk.steps()[..], [Step::Assigned(AssignmentId(1), _)]));
        desk
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn steps(&mut self) -> Vec<Step> {
        let now = self.now;
        let steps = std::iter::from_fn(|| self.member.poll(now));
        steps.filter(|step| !matches!(step, Step::Rebalancing(_))).collect()
    }

    /// The one thing it asks.
    fn ask(&mut self) -> (CallId, Ask) {
        let mut steps = self.steps();
        match (steps.pop(), steps.is_empty()) {
            (Some(Step::Call { call, ask, .. }), true) => (call, ask),
            (last, _) => panic!("not one call: {steps:?} {last:?}"),
        }
    }

    fn answer(&mut self, call: CallId, answer: Answer) {
        self.member.on_answer(self.now, call, answer);
    }

    fn find(&mut self) {
        let (call, ask) = self.ask();
        assert_eq!(ask, Ask::FindCoordinator);
        self.answer(call, Answer::Coordinator { found: Coordinator::default(), next: None });
    }

    fn ask_to_join(&mut self) -> (CallId, String) {
        match self.ask() {
            (call, Ask::Join(request)) => (call, request.member_id),
            other => panic!("not a join: {other:?}"),
        }
    }

    /// Finds, joins, and says which call asks for the assignment.
    fn joined(&mut self, leader: &str) -> CallId {
        self.find();
        let (call, _) = self.ask_to_join();
        self.answer(call, join(leader));
        match self.ask() {
            (call, Ask::Sync(request)) => {
                assert_eq!((&*request.member_id, request.generation_id), ("me", 5));
                call
            }
            other => panic!("not a sync: {other:?}"),
        }
    }

    fn beat(&mut self, code: ErrorCode) {
        self.pass(Config::default().heartbeat_interval);
        let (call, ask) = self.ask();
        assert!(matches!(ask, Ask::Heartbeat(_)), "{ask:?}");
        self.answer(call, beat(code));
    }

    fn commit(&mut self, id: u64, offset: i64) {
        self.member.commit(CommitId(id), vec![commit(0, AssignmentId(1), offset)]);
    }

    fn ask_to_commit(&mut self) -> (CallId, i64) {
        match self.ask() {
            (call, Ask::Commit(request)) => (call, request.topics[0].partitions[0].committed_offset),
            other => panic!("not a commit: {other:?}"),
        }
    }

    /// Revoked by a rebalance.
    fn revoked(&mut self) -> (Ticket, Moment) {
        self.beat(ErrorCode::RebalanceInProgress);
        match &self.steps()[..] {
            [Step::Revoked { ticket, deadline, .. }] => (*ticket, *deadline),
            other => panic!("not revoked: {other:?}"),
        }
    }
}

fn join(leader: &str) -> Answer {
    let topics = BTreeSet::from(["t".to_owned()]);
    let topics = protocol::subscription(&Subscriber { topics, ..Subscriber::default() });
    let member = |id: &str| JoinGroupResponseMember {
        member_id: id.to_owned(),
        metadata: topics.clone(),
        ..JoinGroupResponseMember::default()
    };
    Answer::Join(JoinGroupResponse {
        generation_id: 5,
        protocol_name: Some("range".to_owned()),
        leader: leader.to_owned(),
        member_id: "me".to_owned(),
        members: if leader == "me" { vec![member("me"), member("other")] } else { Vec::new() },
        ..JoinGroupResponse::default()
    })
}

fn refused(code: ErrorCode) -> Answer {
    Answer::Join(JoinGroupResponse { error_code: code.code(), ..JoinGroupResponse::default() })
}

fn share(partitions: &[i32]) -> Answer {
    let partitions: Vec<_> = partitions.iter().map(|it| TopicPartition::new("t", *it)).collect();
    let assignment = protocol::assignment(&partitions);
    Answer::Sync(SyncGroupResponse { assignment, ..SyncGroupResponse::default() })
}

fn beat(code: ErrorCode) -> Answer {
    Answer::Heartbeat(HeartbeatResponse { error_code: code.code(), ..HeartbeatResponse::default() })
}

fn commit(partition: i32, assignment: AssignmentId, offset: i64) -> Commit {
    let partition = TopicPartition::new("t", partition);
    Commit { partition, assignment, offset, leader_epoch: 0, metadata: String::new(), backwards: false }
}

fn committed(code: ErrorCode) -> Answer {
    let partition = OffsetCommitResponsePartition { partition_index: 0, error_code: code.code() };
    let topic = OffsetCommitResponseTopic {
        name: "t".to_owned(),
        partitions: vec![partition],
        ..OffsetCommitResponseTopic::default()
    };
    Answer::Commit(OffsetCommitResponse { topics: vec![topic], ..OffsetCommitResponse::default() })
}

#[test]
fn it_joins_with_the_id_it_is_given_and_takes_its_share() {
    let mut desk = Desk::new();
    desk.find();
    let (call, id) = desk.ask_to_join();
    assert_eq!(id, "");
    let required = JoinGroupResponse {
        error_code: ErrorCode::MemberIdRequired.code(),
        member_id: "me".to_owned(),
        ..JoinGroupResponse::default()
    };
    desk.answer(call, Answer::Join(required));
    let (call, id) = desk.ask_to_join();
    assert_eq!(id, "me");
    desk.answer(call, join("other"));
    let (call, _) = desk.ask();
    desk.answer(call, share(&[0, 2]));
    let share = BTreeSet::from([TopicPartition::new("t", 0), TopicPartition::new("t", 2)]);
    assert_eq!(desk.steps(), [Step::Assigned(AssignmentId(1), share)]);
    assert_eq!(desk.member.identity(), Some(("me", 5)));
}

#[test]
fn a_leader_counts_and_shares_out_and_does_so_again_when_there_is_more() {
    let mut desk = Desk::new();
    desk.find();
    let (call, _) = desk.ask_to_join();
    desk.answer(call, join("me"));
    assert_eq!(desk.steps(), [Step::Count(BTreeSet::from(["t".to_owned()]))]);
    let topics = |count| Topics::from_iter([("t", count), ("of others", count)]);
    desk.member.on_topics(&topics(3));
    let (call, Ask::Sync(request)) = desk.ask() else { panic!("not a sync") };
    let shares: Vec<usize> = request
        .assignments
        .iter()
        .map(|it| protocol::assigned(it.assignment.clone()).expect("we wrote it").len())
        .collect();
    assert_eq!(shares, [2, 1]);
    desk.answer(call, share(&[0, 1]));
    desk.steps();
    desk.member.on_topics(&topics(3));
    assert!(desk.steps().is_empty());
    desk.member.on_topics(&topics(4));
    assert!(matches!(&desk.steps()[..], [Step::Revoked { .. }]));
}

#[test]
fn the_next_join_waits_for_the_ticket_and_for_the_last_commits() {
    let mut desk = Desk::assigned(&[0]);
    let (ticket, _) = desk.revoked();
    desk.commit(1, 7);
    let (call, offset) = desk.ask_to_commit();
    assert_eq!(offset, 7);
    desk.member.on_ticket(ticket);
    assert!(desk.steps().is_empty(), "the commit is not answered yet");
    desk.answer(call, committed(ErrorCode::None));
    let steps = desk.steps();
    let [Step::Committed(CommitId(1), Ok(())), Step::Call { ask: Ask::Join(again), .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(again.member_id, "me");
}

#[test]
fn at_the_deadline_the_join_goes_out_and_what_was_revoked_cannot_be_committed() {
    let mut desk = Desk::assigned(&[0]);
    let (ticket, deadline) = desk.revoked();
    desk.beat(ErrorCode::RebalanceInProgress);
    assert!(desk.steps().is_empty(), "heartbeats go on and nothing else");
    desk.now = deadline;
    let steps = desk.steps();
    assert!(steps.iter().any(|step| matches!(step, Step::Call { ask: Ask::Join(_), .. })), "{steps:?}");
    desk.commit(1, 7);
    let retired = Err(Refusal::Retired(TopicPartition::new("t", 0)));
    assert_eq!(desk.steps(), [Step::Committed(CommitId(1), retired)]);
    desk.member.on_ticket(ticket);
    assert!(desk.steps().is_empty());
}

#[test]
fn commits_are_merged_one_in_flight_and_go_forward_only() {
    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 5);
    let (first, _) = desk.ask_to_commit();
    for (id, offset) in [(2, 9), (3, 4), (4, 8)] {
        desk.commit(id, offset);
    }
    assert!(desk.steps().is_empty(), "one is in flight");
    desk.answer(first, committed(ErrorCode::None));
    let steps = desk.steps();
    let [Step::Committed(CommitId(1), Ok(())), Step::Call { call, ask: Ask::Commit(request), .. }] =
        &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(request.topics[0].partitions[0].committed_offset, 9);
    desk.answer(*call, committed(ErrorCode::None));
    let done = |id| Step::Committed(CommitId(id), Ok(()));
    assert_eq!(desk.steps(), [done(2), done(3), done(4)]);
    desk.commit(5, 6);
    assert_eq!(desk.steps(), [done(5)], "nine is stored already");
}

#[test]
fn a_partition_that_starts_over_is_committed_from_further_back_and_under_its_new_number_alone() {
    let mut desk = Desk::assigned(&[0]);
    let partition = TopicPartition::new("t", 0);
    let done = |id| Step::Committed(CommitId(id), Ok(()));
    let retired = |id| Step::Committed(CommitId(id), Err(Refusal::Retired(TopicPartition::new("t", 0))));
    desk.commit(1, 9);
    let (call, _) = desk.ask_to_commit();
    desk.answer(call, committed(ErrorCode::None));
    assert_eq!(desk.steps(), [done(1)]);
    desk.commit(2, 12);
    let (in_flight, _) = desk.ask_to_commit();
    desk.commit(3, 15);
    assert_eq!(desk.member.start_over(&partition), Some((AssignmentId(2), Some(9))));
    assert_eq!(desk.steps(), [retired(3)], "it had not left yet");
    desk.member.commit(CommitId(4), vec![commit(0, AssignmentId(2), 3)]);
    desk.answer(in_flight, committed(ErrorCode::None));
    let steps = desk.steps();
    let [Step::Committed(CommitId(2), Ok(())), Step::Call { call, ask: Ask::Commit(request), .. }] =
        &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(request.topics[0].partitions[0].committed_offset, 3);
    desk.answer(*call, committed(ErrorCode::None));
    assert_eq!(desk.steps(), [done(4)]);
    desk.commit(5, 20);
    assert_eq!(desk.steps(), [retired(5)]);
    assert_eq!(desk.member.start_over(&TopicPartition::new("t", 7)), None, "it is another's");
}

#[test]
fn a_commit_whose_call_broke_is_sent_again_once_the_coordinator_is_found() {
    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 5);
    let (call, _) = desk.ask_to_commit();
    desk.member.on_broken(desk.now, call);
    assert!(desk.steps().is_empty(), "after a pause");
    desk.now = desk.member.deadline().expect("the pause ends");
    desk.find();
    let steps = desk.steps();
    let sent = steps.iter().any(|step| matches!(step, Step::Call { ask: Ask::Commit(_), .. }));
    assert!(sent, "{steps:?}");
}

#[test]
fn every_code_of_a_commit_means_one_thing() {
    let stored = |step: &Step| *step == Step::Committed(CommitId(1), Ok(()));
    let refused = |step: &Step| matches!(step, Step::Committed(_, Err(Refusal::Code(_, _))));
    let retired = |step: &Step| matches!(step, Step::Committed(_, Err(Refusal::Retired(_))));
    let again = |step: &Step| matches!(step, Step::Call { ask: Ask::Commit(_), .. });
    let moved = |step: &Step| matches!(step, Step::Call { ask: Ask::FindCoordinator, .. });
    let revoked = |step: &Step| matches!(step, Step::Revoked { .. });
    let failed = |step: &Step| matches!(step, Step::Failed(_));
    type Says<'a> = &'a dyn Fn(&Step) -> bool;
    let cases: [(ErrorCode, Says<'_>); 11] = [
        (ErrorCode::None, &stored),
        (ErrorCode::OffsetMetadataTooLarge, &refused),
        (ErrorCode::GroupAuthorizationFailed, &refused),
        (ErrorCode::CoordinatorLoadInProgress, &again),
        (ErrorCode::UnknownTopicOrPartition, &again),
        (ErrorCode::NotCoordinator, &moved),
        (ErrorCode::CoordinatorNotAvailable, &moved),
        (ErrorCode::RebalanceInProgress, &revoked),
        (ErrorCode::IllegalGeneration, &retired),
        (ErrorCode::UnknownMemberId, &retired),
        (ErrorCode::FencedInstanceId, &failed),
    ];
    for (code, says) in cases {
        let mut desk = Desk::assigned(&[0]);
        desk.commit(1, 5);
        let (call, _) = desk.ask_to_commit();
        desk.answer(call, committed(code));
        let mut steps = desk.steps();
        desk.pass(Duration::from_secs(1));
        steps.extend(desk.steps());
        assert!(steps.iter().any(says), "{code:?}: {steps:?}");
    }
}

#[test]
fn a_topic_that_stays_away_is_refused_in_the_end() {
    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 5);
    let mut asked = 0;
    loop {
        desk.pass(Duration::from_secs(1));
        match desk.steps().pop() {
            Some(Step::Call { call, ask: Ask::Commit(_), .. }) => {
                asked += 1;
                desk.answer(call, committed(ErrorCode::UnknownTopicId));
            }
            Some(Step::Committed(CommitId(1), Err(Refusal::Code(_, ErrorCode::UnknownTopicId)))) => break,
            Some(Step::Call { call, ask: Ask::Heartbeat(_), .. }) => desk.answer(call, beat(ErrorCode::None)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked, 11);
}

#[test]
fn every_code_of_a_heartbeat_means_one_thing() {
    let nothing = |steps: &[Step]| steps.is_empty();
    let revoked = |steps: &[Step]| matches!(steps, [Step::Revoked { .. }]);
    let lost = |id: &'static str| move |steps: &[Step]| matches!(steps, [Step::Lost(_), Step::Call { ask: Ask::Join(join), .. }] if join.member_id == id);
    let failed = |steps: &[Step]| matches!(steps, [Step::Lost(_), Step::Failed(Failure::Refused { .. })]);
    let (forgotten, fenced_off) = (lost(""), lost("me"));
    type Says<'a> = &'a dyn Fn(&[Step]) -> bool;
    let cases: [(ErrorCode, Says<'_>); 7] = [
        (ErrorCode::None, &nothing),
        (ErrorCode::CoordinatorLoadInProgress, &nothing),
        (ErrorCode::NotCoordinator, &nothing),
        (ErrorCode::RebalanceInProgress, &revoked),
        (ErrorCode::UnknownMemberId, &forgotten),
        (ErrorCode::IllegalGeneration, &fenced_off),
        (ErrorCode::FencedInstanceId, &failed),
    ];
    for (code, says) in cases {
        let mut desk = Desk::assigned(&[0]);
        desk.beat(code);
        let steps = desk.steps();
        assert!(says(&steps), "{code:?}: {steps:?}");
    }
}

#[test]
fn every_code_of_a_join_means_one_thing() {
    for (code, expected) in [
        (ErrorCode::UnknownMemberId, "join"),
        (ErrorCode::RebalanceInProgress, "join"),
        (ErrorCode::CoordinatorLoadInProgress, "join"),
        (ErrorCode::NotCoordinator, "find"),
        (ErrorCode::CoordinatorNotAvailable, "find"),
        (ErrorCode::GroupMaxSizeReached, "fail"),
        (ErrorCode::InconsistentGroupProtocol, "fail"),
        (ErrorCode::InvalidSessionTimeout, "fail"),
        (ErrorCode::GroupAuthorizationFailed, "fail"),
        (ErrorCode::FencedInstanceId, "fail"),
    ] {
        let mut desk = Desk::new();
        desk.find();
        let (call, _) = desk.ask_to_join();
        desk.answer(call, refused(code));
        let mut steps = desk.steps();
        desk.pass(Duration::from_secs(1));
        steps.extend(desk.steps());
        let said = match &steps[..] {
            [Step::Call { ask: Ask::Join(_), .. }] => "join",
            [Step::Call { ask: Ask::FindCoordinator, .. }] => "find",
            [Step::Failed(_)] => "fail",
            other => panic!("{code:?}: {other:?}"),
        };
        assert_eq!(said, expected, "{code:?}");
    }
}

#[test]
fn an_assignment_that_is_cut_off_is_not_taken() {
    let mut desk = Desk::new();
    let call = desk.joined("other");
    let Answer::Sync(whole) = share(&[0, 1]) else { unreachable!("it is a sync") };
    let assignment: Bytes = whole.assignment.slice(..whole.assignment.len() - 6);
    desk.answer(call, Answer::Sync(SyncGroupResponse { assignment, ..whole }));
    assert!(matches!(&desk.steps()[..], [Step::Call { ask: Ask::Join(_), .. }]));
}

#[test]
fn a_protocol_that_was_not_offered_is_fatal() {
    let mut desk = Desk::new();
    desk.find();
    let (call, _) = desk.ask_to_join();
    let Answer::Join(joined) = join("other") else { unreachable!("it is a join") };
    let protocol_name = Some("sticky".to_owned());
    desk.answer(call, Answer::Join(JoinGroupResponse { protocol_name, ..joined }));
    assert_eq!(desk.steps(), [Step::Failed(Failure::Protocol("sticky".to_owned()))]);
}

#[test]
fn it_leaves_after_its_last_commits_or_at_the_deadline() {
    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 5);
    desk.member.leave(desk.now + Duration::from_secs(9), Parting::Usual);
    let (call, _) = desk.ask_to_commit();
    desk.answer(call, committed(ErrorCode::None));
    let steps = desk.steps();
    let [Step::Committed(_, Ok(())), Step::Call { call, ask: Ask::Leave(id), .. }] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(id.member_id, "me");
    desk.answer(*call, Answer::Leave);
    assert_eq!(desk.steps(), [Step::Left]);
    assert_eq!(desk.member.deadline(), None);

    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 5);
    desk.member.leave(desk.now + Duration::from_secs(9), Parting::Usual);
    desk.ask_to_commit();
    desk.pass(Duration::from_secs(9));
    let unanswered = Err(Refusal::Unanswered(TopicPartition::new("t", 0)));
    let last: Vec<_> = desk.steps().into_iter().filter(|it| !matches!(it, Step::Call { .. })).collect();
    assert_eq!(last, [Step::Committed(CommitId(1), unanswered), Step::Left]);
}
