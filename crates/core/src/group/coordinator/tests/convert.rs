//! Groups that change their protocol.

use bytes::Bytes;
use vltava_wire::{
    ErrorCode,
    messages::group::{JoinGroupRequest, JoinGroupRequestProtocol, LeaveGroupRequest},
};

use super::{super::Needs, Desk, SESSION, next::Worker, subscribe};
use crate::{
    TopicPartition,
    group::{
        assign::Subscriber,
        classic::protocol::{assigned, assignment, subscription},
    },
};

/// A consumer that wants `t`, and has these partitions of it.
fn consumer(member_id: &str, owned: &[i32]) -> JoinGroupRequest {
    let metadata = subscription(&Subscriber {
        topics: ["t".to_owned()].into(),
        owned: owned.iter().map(|partition| TopicPartition::new("t", *partition)).collect(),
        ..Subscriber::default()
    });
    let protocols = vec![JoinGroupRequestProtocol { name: "range".to_owned(), metadata }];
    JoinGroupRequest { protocols, ..subscribe(member_id) }
}

fn share(partitions: &[i32]) -> Bytes {
    let partitions: Vec<_> = partitions.iter().map(|it| TopicPartition::new("t", *it)).collect();
    assignment(&partitions)
}

fn shared(assignment: Bytes) -> Vec<i32> {
    assigned(assignment).expect("it was encoded").into_iter().map(|it| it.partition).collect()
}

impl Desk {
    /// A consumer of the classic protocol alone with all four partitions.
    fn classic_consumer(&mut self) -> (String, i32) {
        let token = self.join(3, consumer("", &[]));
        let joined = self.join_answer(token);
        let token = self.sync_bytes(joined.generation_id, &joined.member_id, share(&[0, 1, 2, 3]));
        assert_eq!(shared(self.sync_answer(token).assignment), [0, 1, 2, 3]);
        (joined.member_id, joined.generation_id)
    }

    /// It joins again with what it has, and says what it may have then.
    fn rejoin(&mut self, id: &str, owned: &[i32]) -> (i32, Vec<i32>) {
        let token = self.join(9, consumer(id, owned));
        let joined = self.join_answer(token);
        assert_eq!((joined.error_code, &*joined.member_id), (0, id));
        assert_ne!(joined.leader, id, "nobody leads");
        let token = self.sync(joined.generation_id, id, &[]);
        let synced = self.sync_answer(token);
        assert_eq!(synced.error_code, 0);
        (joined.generation_id, shared(synced.assignment))
    }
}

#[test]
fn an_empty_group_of_either_protocol_becomes_the_other() {
    let mut desk = Desk::sharing(4);
    let (_, generation) = desk.member();
    desk.pass(SESSION as u64);
    desk.answers();
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    assert!(a.epoch > generation, "epochs go on from generations");
    assert_eq!(desk.state(), "Dead", "it is no classic group any more");

    desk.pass(45_000);
    desk.answers();
    let token = desk.join(3, subscribe(""));
    assert!(desk.join_answer(token).generation_id > a.epoch);
    assert_eq!(desk.groups.describe_next("g").error_code, ErrorCode::GroupIdNotFound.code());
}

#[test]
fn consumers_of_both_protocols_share_a_group() {
    let mut desk = Desk::sharing(4);
    let (old, generation) = desk.classic_consumer();
    let mut new = Worker::new("n");
    assert_eq!(desk.beat(&mut new), ErrorCode::None);
    assert_eq!(new.holds.len(), 0, "all is held by the other");
    assert_eq!(desk.heartbeat(generation, &old), ErrorCode::RebalanceInProgress);

    let (epoch, kept) = desk.rejoin(&old, &[0, 1, 2, 3]);
    assert_eq!((epoch, kept.len()), (generation, 2), "first it gives back");
    assert_eq!(desk.heartbeat(epoch, &old), ErrorCode::RebalanceInProgress, "and says so by joining again");
    let (epoch, kept) = desk.rejoin(&old, &kept);
    assert_eq!(kept.len(), 2);
    assert_eq!(desk.heartbeat(epoch, &old), ErrorCode::None);
    desk.settle(&mut [&mut new]);
    assert_eq!(new.holds.len(), 2);
    assert!(new.holds.iter().all(|(_, partition)| !kept.contains(partition)));

    assert_eq!(desk.commit(epoch, &old), Ok(()));
    assert_eq!(desk.commit(epoch - 1, &old), Err(ErrorCode::IllegalGeneration));
    let types: Vec<_> = desk.groups.describe_next("g").members.iter().map(|it| it.member_type).collect();
    assert_eq!(types.iter().map(|it| i32::from(*it)).sum::<i32>(), 1, "one of each");
}

#[test]
fn a_group_goes_back_when_the_last_member_of_the_next_protocol_leaves() {
    let mut desk = Desk::sharing(4);
    let (old, _) = desk.classic_consumer();
    let mut new = Worker::new("n");
    desk.beat(&mut new);
    let (epoch, kept) = desk.rejoin(&old, &[0, 1, 2, 3]);
    desk.restart();
    assert_eq!(desk.heartbeat(epoch, &old), ErrorCode::RebalanceInProgress, "found again as it was");
    let (epoch, _) = desk.rejoin(&old, &kept);
    desk.settle(&mut [&mut new]);

    desk.pass(SESSION as u64 - 1);
    assert_eq!(desk.heartbeat(epoch, &old), ErrorCode::None);
    for _ in 0..5 {
        desk.pass(SESSION as u64 - 1);
        desk.answers();
        desk.heartbeat(epoch, &old);
    }
    assert_eq!(desk.groups.describe_next("g").error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(desk.state(), "PreparingRebalance");
    let token = desk.join(9, consumer(&old, &kept));
    let joined = desk.join_answer(token);
    assert_eq!((&joined.leader, joined.members.len()), (&old, 1));
    assert!(joined.generation_id > epoch);
    desk.restart();
    assert_eq!(desk.state(), "Stable", "as it was recorded when it went back");
}

#[test]
fn what_a_rebalance_left_open_is_not_given_away() {
    let mut desk = Desk::sharing(4);
    let (old, generation) = desk.classic_consumer();
    let late = desk.join(3, consumer("", &[]));
    assert_eq!(desk.heartbeat(generation, &old), ErrorCode::RebalanceInProgress);
    let mut new = Worker::new("n");
    let request = new.clone();
    assert_eq!(request.epoch, 0);
    let answers = desk.beat_with_answers(&mut new);
    assert_eq!(answers, [(late, ErrorCode::RebalanceInProgress)], "who waited is sent to join again");
    assert_eq!(new.holds.len(), 0, "the first one still works on everything");
}

#[test]
fn what_a_member_still_gives_back_in_the_classic_protocol_is_not_given_away() {
    let mut desk = Desk::sharing(4);
    let (old, _) = desk.classic_consumer();
    let token = desk.join(9, consumer(&old, &[0, 1, 2, 3]));
    let joined = desk.join_answer(token);
    let token = desk.sync_bytes(joined.generation_id, &old, share(&[0, 1]));
    assert_eq!(shared(desk.sync_answer(token).assignment), [0, 1]);
    let mut new = Worker::new("n");
    desk.beats(&mut [&mut new]);
    assert_eq!(new.holds.len(), 0, "the other works on them until it has joined again");
    assert_eq!(desk.heartbeat(joined.generation_id, &old), ErrorCode::RebalanceInProgress);
    assert_eq!(desk.rejoin(&old, &[0, 1]).1, [0, 1]);
    desk.settle(&mut [&mut new]);
    assert_eq!(new.holds.len(), 2);
}

#[test]
fn members_of_the_classic_protocol_leave_a_mixed_group_and_time_out_of_it() {
    let mut desk = Desk::sharing(4);
    let (old, generation) = desk.classic_consumer();
    let mut new = Worker::new("n");
    desk.beat(&mut new);
    let request = LeaveGroupRequest {
        group_id: "g".to_owned(),
        member_id: "n".to_owned(),
        ..LeaveGroupRequest::default()
    };
    let code = desk.groups.on_leave(desk.now, 2, request).error_code;
    assert_eq!(ErrorCode::from(code), ErrorCode::UnknownMemberId, "that one speaks the other protocol");
    let request = LeaveGroupRequest {
        group_id: "g".to_owned(),
        member_id: old.clone(),
        ..LeaveGroupRequest::default()
    };
    assert_eq!(desk.groups.on_leave(desk.now, 2, request).error_code, 0);
    assert_eq!(desk.heartbeat(generation, &old), ErrorCode::UnknownMemberId);
    desk.settle(&mut [&mut new]);
    assert_eq!(new.holds.len(), 4);

    let token = desk.join(4, consumer("", &[]));
    let told = desk.join_answer(token);
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::MemberIdRequired);
    let (epoch, had) = desk.rejoin(&told.member_id, &[]);
    assert!(had.is_empty(), "the other has not given back yet");
    desk.beats(&mut [&mut new]);
    assert_eq!(
        desk.heartbeat(epoch, &told.member_id),
        ErrorCode::RebalanceInProgress,
        "there is more by now"
    );
    assert_eq!(desk.rejoin(&told.member_id, &[]).1.len(), 2);
    desk.pass(SESSION as u64);
    desk.settle(&mut [&mut new]);
    assert_eq!(new.holds.len(), 4);
}

#[test]
fn who_was_given_up_and_does_not_know_is_told_that_all_is_lost() {
    let mut desk = Desk::sharing(4);
    let (old, _) = desk.classic_consumer();
    let mut new = Worker::new("n");
    desk.beat(&mut new);
    desk.pass(SESSION as u64);
    desk.settle(&mut [&mut new]);
    assert_eq!(new.holds.len(), 4);
    let token = desk.join(9, consumer(&old, &[0, 1, 2, 3]));
    assert_eq!(ErrorCode::from(desk.join_answer(token).error_code), ErrorCode::UnknownMemberId);
    assert!(desk.rejoin(&old, &[]).1.is_empty(), "who holds nothing may come under any name");
}

#[test]
fn a_group_of_no_consumers_stays_what_it_is() {
    let mut desk = Desk::sharing(4);
    let token = desk.join(3, JoinGroupRequest { protocol_type: "connect".to_owned(), ..subscribe("") });
    let joined = desk.join_answer(token);
    assert_eq!(desk.beat(&mut Worker::new("n")), ErrorCode::GroupIdNotFound);
    assert_eq!(desk.heartbeat(joined.generation_id, &joined.member_id), ErrorCode::None);
    assert_eq!(desk.groups.needs("g"), Needs::All);
}

#[test]
fn what_nobody_can_read_is_not_converted() {
    let mut desk = Desk::sharing(4);
    let (member, generation) = desk.member();
    assert_eq!(desk.beat(&mut Worker::new("n")), ErrorCode::GroupIdNotFound, "its subscription says nothing");
    assert_eq!(desk.heartbeat(generation, &member), ErrorCode::None);
}

#[test]
fn what_members_want_is_known_in_both_protocols() {
    let mut desk = Desk::sharing(4);
    desk.classic_consumer();
    let wanted = Needs::Topics(["t".to_owned()].into());
    assert_eq!(desk.groups.needs("g"), wanted);
    desk.beat(&mut Worker::new("n"));
    assert_eq!(desk.groups.needs("g"), wanted);
    desk.beat(&mut Worker::matching("m", "u|t"));
    assert_eq!(desk.groups.needs("g"), wanted, "there is no other topic that matches");
    let mut desk = Desk::sharing(4);
    let (old, generation) = desk.classic_consumer();
    desk.join(3, consumer("", &[]));
    assert_eq!(desk.heartbeat(generation, &old), ErrorCode::RebalanceInProgress);
    assert_eq!(desk.groups.needs("g"), Needs::All, "who joins again may want anything");
}
