//! Calls in a row against a member, as a coordinator of the consumer protocol and a user make them.

mod membership;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        group::Coordinator,
        next_group::{
            Assignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
        },
        offsets::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    },
};

use crate::{
    Moment, Rng, TopicPartition,
    group::member::{
        Answer, Ask, AssignmentId, CallId, Commit, CommitId, Config, Failure, Member, Refusal, Step,
    },
};

const T: Uuid = Uuid(7);
const INTERVAL: Duration = Duration::from_secs(5);

/// A member with a clock, driven by hand.
struct Desk {
    member: Member,
    now: Moment,
}

impl Desk {
    fn with(config: Config) -> Self {
        let topics = BTreeSet::from(["t".to_owned()]);
        let config = Config { group_id: "g".to_owned(), topics, ..config };
        let mut desk = Self { member: Member::new(config, Rng::new(1)), now: Moment(1) };
        desk.find(Some(1));
        desk
    }

    /// In the group, with these partitions.
    fn assigned(partitions: &[i32]) -> Self {
        Self::assigned_with(Config::default(), partitions)
    }

    fn assigned_with(config: Config, partitions: &[i32]) -> Self {
        let mut desk = Self::with(config);
        let (call, _) = desk.ask_to_beat();
        desk.answer(call, share(1, &[(T, partitions)]));
        assert!(matches!(&desk.steps()[..], [Step::Resolve(ids)] if *ids == BTreeSet::from([T])));
        desk.name(T, "t");
        assert_eq!(desk.next_steps(), [Step::Assigned(AssignmentId(1), these(partitions))]);
        desk
    }

    fn steps(&mut self) -> Vec<Step> {
        let now = self.now;
        let steps = std::iter::from_fn(|| self.member.poll(now));
        steps.filter(|step| !matches!(step, Step::Rebalancing(_))).collect()
    }

    /// What is done besides saying what is new of what is owned, which is answered.
    fn next_steps(&mut self) -> Vec<Step> {
        let mut others = Vec::new();
        loop {
            let steps = self.steps();
            if steps.is_empty() {
                return others;
            }
            for step in steps {
                match step {
                    Step::Call { call, ask: Ask::NextHeartbeat(_), .. } => self.answer(call, rest(1)),
                    other => others.push(other),
                }
            }
        }
    }

    fn answer(&mut self, call: CallId, answer: Answer) {
        self.member.on_answer(self.now, call, answer);
    }

    fn name(&mut self, id: Uuid, name: &str) {
        self.member.on_names(&BTreeMap::from([(id, Arc::from(name))]));
    }

    fn find(&mut self, next: Option<i16>) {
        let steps = self.steps();
        let [Step::Call { call, ask: Ask::FindCoordinator, .. }] = &steps[..] else { panic!("{steps:?}") };
        self.answer(*call, Answer::Coordinator { found: Coordinator::default(), next });
    }

    /// The one thing it asks.
    fn ask_to_beat(&mut self) -> (CallId, ConsumerGroupHeartbeatRequest) {
        let mut steps = self.steps();
        match (steps.pop(), steps.is_empty()) {
            (Some(Step::Call { call, ask: Ask::NextHeartbeat(request), .. }), true) => (call, request),
            (last, _) => panic!("not one heartbeat: {steps:?} {last:?}"),
        }
    }

    /// The next sign of life, and what follows from this answer.
    fn beat(&mut self, answer: Answer) -> Vec<Step> {
        self.now += INTERVAL;
        let (call, _) = self.ask_to_beat();
        self.answer(call, answer);
        self.steps()
    }

    fn commit(&mut self, id: u64, partition: i32, offset: i64) {
        let partition = TopicPartition::new("t", partition);
        let (assignment, metadata) = (AssignmentId(1), String::new());
        let it = Commit { partition, assignment, offset, leader_epoch: 0, metadata, backwards: false };
        self.member.commit(CommitId(id), vec![it]);
    }
}

fn these(partitions: &[i32]) -> BTreeSet<TopicPartition> {
    partitions.iter().map(|it| TopicPartition::new("t", *it)).collect()
}

fn share(epoch: i32, topics: &[(Uuid, &[i32])]) -> Answer {
    let topic = |(topic_id, partitions): &(Uuid, &[i32])| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.to_vec(),
    };
    Answer::NextHeartbeat(ConsumerGroupHeartbeatResponse {
        member_epoch: epoch,
        heartbeat_interval_ms: INTERVAL.as_millis() as i32,
        assignment: Some(Assignment { topic_partitions: topics.iter().map(topic).collect() }),
        ..Default::default()
    })
}

/// Nothing new, in this epoch.
fn rest(epoch: i32) -> Answer {
    Answer::NextHeartbeat(ConsumerGroupHeartbeatResponse {
        member_epoch: epoch,
        heartbeat_interval_ms: INTERVAL.as_millis() as i32,
        ..Default::default()
    })
}

fn refused(code: ErrorCode) -> Answer {
    Answer::NextHeartbeat(ConsumerGroupHeartbeatResponse { error_code: code.code(), ..Default::default() })
}

fn committed(code: ErrorCode) -> Answer {
    let partitions = vec![OffsetCommitResponsePartition { partition_index: 0, error_code: code.code() }];
    let topics = vec![OffsetCommitResponseTopic { name: "t".to_owned(), partitions, ..Default::default() }];
    Answer::Commit(OffsetCommitResponse { topics, ..Default::default() })
}

fn owned(request: &ConsumerGroupHeartbeatRequest) -> Option<Vec<i32>> {
    let topics = request.topic_partitions.as_ref()?;
    Some(topics.iter().flat_map(|topic| topic.partitions.iter().copied()).collect())
}

#[test]
fn it_says_everything_to_join_and_then_only_what_is_new() {
    let config = Config {
        rack: Some("r".to_owned()),
        server_assignor: Some("uniform".to_owned()),
        regex: Some("o.*".to_owned()),
        ..Config::default()
    };
    let mut desk = Desk::with(config);
    let (call, joins) = desk.ask_to_beat();
    assert_eq!((joins.member_epoch, joins.rebalance_timeout_ms), (0, 60_000));
    assert_eq!(joins.subscribed_topic_names, Some(vec!["t".to_owned()]));
    let said = [&joins.subscribed_topic_regex, &joins.server_assignor, &joins.rack_id];
    assert_eq!(said.map(|it| it.as_deref()), [Some("o.*"), Some("uniform"), Some("r")]);
    assert_eq!(owned(&joins), Some(vec![]));
    assert!(!joins.member_id.is_empty(), "it names itself");
    desk.answer(call, share(1, &[(T, &[0, 2])]));
    desk.steps();
    desk.name(T, "t");
    let steps = desk.steps();
    let [
        Step::Assigned(AssignmentId(1), mine),
        Step::Call { call, ask: Ask::NextHeartbeat(acknowledges), .. },
    ] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(*mine, these(&[0, 2]));
    assert_eq!((owned(acknowledges), acknowledges.member_epoch), (Some(vec![0, 2]), 1));
    assert_eq!(acknowledges.subscribed_topic_names, None);
    desk.answer(*call, rest(1));
    desk.now += INTERVAL;
    let (call, rests) = desk.ask_to_beat();
    let nothing = ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: joins.member_id.clone(),
        member_epoch: 1,
        rebalance_timeout_ms: -1,
        ..Default::default()
    };
    assert_eq!(rests, nothing);
    desk.member.on_broken(desk.now, call);
    desk.now = desk.member.deadline().expect("the pause ends");
    desk.find(Some(1));
    let (_, again) = desk.ask_to_beat();
    assert_eq!(owned(&again), Some(vec![0, 2]), "nobody knows what of it was heard");
    assert!(again.subscribed_topic_names.is_some() && again.rack_id.is_some());
    assert_eq!(desk.member.identity(), Some((&*joins.member_id, 1)));
}

/// C6.
#[test]
fn what_is_gone_is_given_back_first_and_only_then_not_owned_any_more() {
    let mut desk = Desk::assigned(&[0, 1]);
    let steps = desk.beat(share(1, &[(T, &[0])]));
    let [Step::Revoked { ticket, partitions, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(*partitions, these(&[1]));
    desk.now += INTERVAL;
    let (call, request) = desk.ask_to_beat();
    assert_eq!(owned(&request), None, "it is still owned");
    desk.answer(call, rest(1));
    desk.commit(1, 1, 4);
    let steps = desk.steps();
    let [Step::Call { call, ask: Ask::Commit(_), .. }] = &steps[..] else { panic!("{steps:?}") };
    desk.member.on_ticket(*ticket);
    assert_eq!(desk.steps(), [], "its last commit is not answered");
    let partitions = vec![OffsetCommitResponsePartition { partition_index: 1, error_code: 0 }];
    let topics = vec![OffsetCommitResponseTopic { name: "t".to_owned(), partitions, ..Default::default() }];
    desk.answer(*call, Answer::Commit(OffsetCommitResponse { topics, ..Default::default() }));
    let steps = desk.steps();
    let [Step::Committed(_, Ok(())), Step::Call { call, ask: Ask::NextHeartbeat(request), .. }] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!(owned(request), Some(vec![0]), "at once");
    desk.answer(*call, share(2, &[(T, &[0, 2])]));
    assert_eq!(desk.next_steps(), [Step::Assigned(AssignmentId(2), these(&[2]))]);
}

#[test]
fn at_the_deadline_what_was_revoked_is_given_back_whatever_works_on_it() {
    let mut desk = Desk::assigned(&[0, 1]);
    let steps = desk.beat(share(1, &[(T, &[0])]));
    let [Step::Revoked { deadline, ticket, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert!(deadline.since(desk.now) < Config::default().rebalance_timeout);
    let just_before = Moment(deadline.0 - 1);
    while desk.now < just_before {
        desk.now = desk.member.deadline().expect("it beats").clamp(desk.now, just_before);
        assert_eq!(desk.next_steps(), []);
    }
    desk.now = *deadline;
    desk.commit(1, 1, 4);
    let (_, request) = desk.last_beat();
    assert_eq!(owned(&request), Some(vec![0]));
    desk.member.on_ticket(*ticket);
    desk.commit(2, 1, 4);
    let retired = Err(Refusal::Retired(TopicPartition::new("t", 1)));
    assert!(desk.steps().contains(&Step::Committed(CommitId(2), retired)));
}

impl Desk {
    /// The heartbeat among what it does.
    fn last_beat(&mut self) -> (CallId, ConsumerGroupHeartbeatRequest) {
        let beats = self.steps().into_iter().filter_map(|step| match step {
            Step::Call { call, ask: Ask::NextHeartbeat(request), .. } => Some((call, request)),
            _ => None,
        });
        beats.last().expect("it says something")
    }
}

#[test]
fn topics_that_metadata_does_not_know_yet_are_waited_for() {
    const U: Uuid = Uuid(9);
    let mut desk = Desk::assigned(&[0]);
    let steps = desk.beat(share(2, &[(T, &[0, 1]), (U, &[5])]));
    let [Step::Assigned(AssignmentId(2), mine), Step::Resolve(ids), Step::Call { call, .. }] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!((mine, ids), (&these(&[1]), &BTreeSet::from([U])));
    desk.answer(*call, rest(2));
    desk.name(U, "u");
    let steps = desk.steps();
    let expected = Step::Assigned(AssignmentId(3), BTreeSet::from([TopicPartition::new("u", 5)]));
    assert_eq!(steps.first(), Some(&expected));
}

#[test]
fn what_is_being_said_not_to_be_owned_is_not_taken_before_the_answer() {
    const U: Uuid = Uuid(9);
    for (answer, is_given) in [(rest(2), true), (share(2, &[(T, &[0, 1])]), false)] {
        let mut desk = Desk::assigned(&[0]);
        let steps = desk.beat(share(2, &[(T, &[0, 1]), (U, &[5])]));
        let Some(Step::Call { call, .. }) = steps.last() else { panic!("{steps:?}") };
        desk.name(U, "u");
        assert_eq!(desk.steps(), [], "it may be another's by now");
        desk.answer(*call, answer);
        let steps = desk.steps();
        let is_taken = matches!(steps.first(), Some(Step::Assigned(..)));
        assert_eq!(is_taken, is_given, "{steps:?}");
        let Some(Step::Call { ask: Ask::NextHeartbeat(request), .. }) = steps.last() else {
            panic!("{steps:?}")
        };
        let expected = if is_given { vec![0, 1, 5] } else { vec![0, 1] };
        assert_eq!(owned(request), Some(expected), "who took it back waits to hear that it is not held");
    }
}

/// C6.
#[test]
fn who_misses_an_answer_forgets_what_it_was_told_and_did_not_take() {
    const U: Uuid = Uuid(9);
    for lost in [None, Some(ErrorCode::CoordinatorLoadInProgress)] {
        let mut desk = Desk::assigned(&[0]);
        let steps = desk.beat(share(2, &[(T, &[0]), (U, &[5])]));
        let [Step::Resolve(_), Step::Call { call, .. }] = &steps[..] else { panic!("{steps:?}") };
        match lost {
            None => desk.member.on_broken(desk.now, *call),
            Some(code) => desk.answer(*call, refused(code)),
        }
        desk.steps();
        desk.name(U, "u");
        assert_eq!(desk.steps(), [], "{lost:?}: it may be another's by now");
        desk.now += Duration::from_secs(1);
        if lost.is_none() {
            desk.find(Some(1));
        }
        let (call, request) = desk.ask_to_beat();
        assert_eq!((owned(&request), request.rebalance_timeout_ms), (Some(vec![0]), 60_000), "{lost:?}");
        desk.answer(call, share(2, &[(T, &[0]), (U, &[5])]));
        let expected = Step::Assigned(AssignmentId(2), BTreeSet::from([TopicPartition::new("u", 5)]));
        assert_eq!(desk.steps().first(), Some(&expected));
    }
}

#[test]
fn a_topic_that_is_made_anew_is_given_back_and_comes_as_another() {
    const AGAIN: Uuid = Uuid(8);
    let mut desk = Desk::assigned(&[0]);
    let steps = desk.beat(share(2, &[(AGAIN, &[0])]));
    let [Step::Revoked { ticket, .. }, Step::Resolve(_)] = &steps[..] else { panic!("{steps:?}") };
    desk.name(AGAIN, "t");
    assert_eq!(desk.steps(), []);
    desk.member.on_ticket(*ticket);
    let steps = desk.steps();
    assert_eq!(steps.first(), Some(&Step::Assigned(AssignmentId(2), these(&[0]))));
}

/// C3.
#[test]
fn who_is_fenced_has_lost_everything_and_joins_anew_under_its_name() {
    for code in [ErrorCode::FencedMemberEpoch, ErrorCode::UnknownMemberId] {
        let mut desk = Desk::assigned(&[0, 1]);
        let id = desk.member.identity().expect("it is in").0.to_owned();
        let steps = desk.beat(refused(code));
        let [Step::Lost(lost), Step::Call { ask: Ask::NextHeartbeat(joins), .. }] = &steps[..] else {
            panic!("{code:?}: {steps:?}")
        };
        assert_eq!(*lost, these(&[0, 1]));
        assert_eq!((&*joins.member_id, joins.member_epoch, owned(joins)), (&*id, 0, Some(vec![])));
        desk.commit(1, 0, 4);
        assert!(matches!(&desk.steps()[..], [Step::Committed(_, Err(Refusal::Retired(_)))]));
    }
}

#[test]
fn who_is_fenced_again_and_again_takes_its_time() {
    let mut desk = Desk::assigned(&[0]);
    desk.now += INTERVAL;
    let mut joins = 0;
    let until = desk.now + Duration::from_secs(30);
    while desk.now < until {
        for step in desk.steps() {
            if let Step::Call { call, .. } = step {
                joins += 1;
                desk.answer(call, refused(ErrorCode::UnknownMemberId));
            }
        }
        desk.now = desk.member.deadline().expect("it tries on").max(desk.now);
    }
    assert!(joins < 100, "{joins} in half a minute");
}

/// C7.
#[test]
fn a_commit_in_an_epoch_that_is_over_is_sent_again_in_the_next_and_nothing_is_lost() {
    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 0, 4);
    let steps = desk.steps();
    let [Step::Call { call, ask: Ask::Commit(request), .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(request.generation_id_or_member_epoch, 1);
    desk.answer(*call, committed(ErrorCode::StaleMemberEpoch));
    let (call, _) = desk.ask_to_beat();
    desk.answer(call, rest(2));
    desk.now += Duration::from_secs(1);
    let steps = desk.steps();
    let [Step::Call { call, ask: Ask::Commit(request), .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(request.generation_id_or_member_epoch, 2);
    desk.answer(*call, committed(ErrorCode::None));
    assert_eq!(desk.steps(), [Step::Committed(CommitId(1), Ok(()))]);
}

/// C18.
#[test]
fn a_commit_beside_an_open_transaction_waits_for_its_end() {
    let mut desk = Desk::assigned(&[0]);
    desk.commit(1, 0, 4);
    for code in [ErrorCode::UnstableOffsetCommit, ErrorCode::CoordinatorLoadInProgress, ErrorCode::None] {
        let steps = desk.steps();
        let [Step::Call { call, ask: Ask::Commit(_), .. }] = &steps[..] else {
            panic!("{code:?}: {steps:?}")
        };
        desk.answer(*call, committed(code));
        desk.now += Duration::from_secs(1);
    }
    assert_eq!(desk.steps(), [Step::Committed(CommitId(1), Ok(()))]);
}
