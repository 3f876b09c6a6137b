//! What members of KIP-848 may not do, and how much.

use vltava_wire::{
    ErrorCode, Uuid,
    messages::{
        next_group::{ConsumerGroupHeartbeatRequest, TopicPartitions},
        offsets::OffsetFetchRequestGroup,
    },
};

use super::{
    super::{Beat, Limits},
    Desk,
    next::Worker,
};

#[test]
fn who_is_ahead_or_unknown_is_refused() {
    let mut desk = Desk::sharing(2);
    let mut a = Worker::new("a");
    let code = desk.code(ConsumerGroupHeartbeatRequest { member_epoch: 3, ..a.short() });
    assert_eq!(code, ErrorCode::GroupIdNotFound);
    desk.settle(&mut [&mut a]);
    let ahead = ConsumerGroupHeartbeatRequest { member_epoch: a.epoch + 1, ..a.short() };
    assert_eq!(desk.code(ahead), ErrorCode::FencedMemberEpoch);
    let huge = ConsumerGroupHeartbeatRequest { member_epoch: i32::MAX, ..a.short() };
    assert_eq!(desk.code(huge), ErrorCode::FencedMemberEpoch);
    let stranger = ConsumerGroupHeartbeatRequest { member_epoch: 1, ..Worker::new("stranger").short() };
    assert_eq!(desk.code(stranger), ErrorCode::UnknownMemberId);
    assert_eq!(desk.epoch(), 1, "none of them changed anything");
}

#[test]
fn what_makes_no_sense_is_an_invalid_request() {
    let mut desk = Desk::sharing(1);
    let join = Worker::new("a").whole();
    let none = String::new;
    let check = |desk: &mut Desk, request: ConsumerGroupHeartbeatRequest, why: &str| {
        assert_eq!(desk.code(request), ErrorCode::InvalidRequest, "{why}");
    };
    check(&mut desk, ConsumerGroupHeartbeatRequest { group_id: none(), ..join.clone() }, "no group");
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { member_id: none(), ..join.clone() },
        "no id in version 1",
    );
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { instance_id: Some(none()), ..join.clone() },
        "blank instance",
    );
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { rack_id: Some(" ".to_owned()), ..join.clone() },
        "blank rack",
    );
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..join.clone() },
        "no timeout",
    );
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { topic_partitions: None, ..join.clone() },
        "holds unknown",
    );
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..join.clone() },
        "wants nothing",
    );
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { member_epoch: -2, ..join.clone() },
        "away without a name",
    );
    check(&mut desk, ConsumerGroupHeartbeatRequest { member_epoch: -3, ..join.clone() }, "no such epoch");
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { member_epoch: i32::MIN, ..join.clone() },
        "no such epoch",
    );
    let holds = vec![TopicPartitions { topic_id: Uuid(8), partitions: vec![-1, i32::MAX] }];
    check(
        &mut desk,
        ConsumerGroupHeartbeatRequest { topic_partitions: Some(holds), ..join.clone() },
        "holds some",
    );
    let assignor = Some("own".to_owned());
    let unknown = ConsumerGroupHeartbeatRequest { server_assignor: assignor, ..join };
    assert_eq!(desk.code(unknown), ErrorCode::UnsupportedAssignor);
    assert_eq!(desk.groups.describe_next("g").error_code, ErrorCode::GroupIdNotFound.code());
}

#[test]
fn in_version_0_the_coordinator_names_the_member() {
    let mut desk = Desk::sharing(1);
    let request = Worker::new("").whole();
    let (client_id, client_host) = (String::new(), String::new());
    let beat = Beat { version: 0, client_id, client_host, request };
    let response = desk.groups.on_next_heartbeat(desk.now, beat);
    assert_eq!(response.member_id.map(|id| id.len()), Some(22));
}

#[test]
fn what_is_held_that_is_not_there_changes_nothing() {
    let mut desk = Desk::sharing(1);
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    a.holds.extend([(77, -5), (1, 99)]);
    assert_eq!(desk.beat(&mut a), ErrorCode::None);
    assert_eq!(desk.groups.describe_next("g").members[0].assignment.topic_partitions[0].partitions, [0]);
}

#[test]
fn a_group_takes_no_more_members_than_it_may() {
    let limits = Limits { members_max: 1, groups_max: 1, ..Limits::default() };
    let mut desk = Desk::with(limits);
    desk.topic("t", 1, 1);
    let mut a = Worker::named("a", "one");
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.code(Worker::new("b").whole()), ErrorCode::GroupMaxSizeReached);
    let other = ConsumerGroupHeartbeatRequest { group_id: "h".to_owned(), ..Worker::new("b").whole() };
    assert_eq!(desk.code(other), ErrorCode::GroupMaxSizeReached);
    desk.send(ConsumerGroupHeartbeatRequest { member_epoch: -2, ..a.short() });
    assert_eq!(desk.code(Worker::named("a2", "one").whole()), ErrorCode::None, "its place is its own");
}

#[test]
fn members_may_leave_no_more_than_so_many_bytes() {
    let mut desk = Desk::with(Limits { bytes_max: 20_000, ..Limits::default() });
    let fat: Vec<String> = (0..500).map(|at| format!("a-topic-of-some-length-{at}")).collect();
    let mut joined = 0;
    for at in 0..10 {
        let mut worker = Worker::new(&format!("w{at}"));
        worker.topics = fat.clone();
        joined += usize::from(desk.code(worker.whole()) == ErrorCode::None);
    }
    assert_eq!(joined, 1);
    let id = ConsumerGroupHeartbeatRequest { member_epoch: -1, ..Worker::new("w0").short() };
    assert_eq!(desk.code(id), ErrorCode::None);
    assert_eq!(desk.code(Worker::new("b").whole()), ErrorCode::None, "there is room again");
}

#[test]
fn a_commit_needs_the_epoch_of_its_member() {
    let mut desk = Desk::sharing(1);
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    assert_eq!(desk.commit(a.epoch, "a"), Ok(()));
    assert_eq!(desk.commit(a.epoch - 1, "a"), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(desk.commit(a.epoch, "b"), Err(ErrorCode::UnknownMemberId));
    assert_eq!(desk.commit(-1, ""), Err(ErrorCode::UnknownMemberId), "not past its members");

    let fetch = |desk: &Desk, member_id: Option<&str>, member_epoch: i32| {
        let member_id = member_id.map(str::to_owned);
        let group_id = "g".to_owned();
        let request = OffsetFetchRequestGroup { group_id, member_id, member_epoch, topics: None };
        desk.groups.on_offset_fetch(&request)
    };
    assert_eq!(fetch(&desk, None, -1), Ok(()));
    assert_eq!(fetch(&desk, Some("a"), a.epoch), Ok(()));
    assert_eq!(fetch(&desk, Some("a"), a.epoch + 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(fetch(&desk, Some("b"), 1), Err(ErrorCode::UnknownMemberId));

    desk.send(ConsumerGroupHeartbeatRequest { member_epoch: -1, ..a.short() });
    assert_eq!(desk.commit(-1, ""), Ok(()), "an empty group's offsets may be set by anybody");
    assert_eq!(desk.commit(a.epoch, "a"), Err(ErrorCode::UnknownMemberId));
}
