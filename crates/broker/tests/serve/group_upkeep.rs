//! Groups that outlive a restart, that are deleted, and whose offsets go.

use std::{sync::Arc, time::Duration};

use vltava_broker::{Broker, Builder, GroupOptions, LogOptions, TestClock, disk::Memory};
use vltava_core::Rng;
use vltava_wire::{
    Encoder, ErrorCode, Version, Wire,
    messages::{
        ConsumerProtocolSubscription, DeleteGroupsRequest, DescribeGroupsRequest, JoinGroupRequest,
        JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, MemberIdentity, OffsetCommitRequest,
        OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, OffsetFetchRequest,
    },
};

use crate::{
    caller::{Caller, text},
    commits::commit,
    groups::{beat, join, join_first, sync},
};

fn on(disk: &Memory) -> Builder {
    Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 3).topic("refunds", 1)
}

async fn state(caller: &mut Caller) -> String {
    let request = DescribeGroupsRequest { groups: vec![text("audit")], ..Default::default() };
    caller.call(5, request).await.groups.remove(0).group_state
}

/// How many partitions the group has committed.
async fn committed(caller: &mut Caller) -> usize {
    let request = OffsetFetchRequest { group_id: text("audit"), topics: None, ..Default::default() };
    let told = caller.call(7, request).await;
    told.topics.iter().map(|topic| topic.partitions.len()).sum()
}

async fn delete(caller: &mut Caller) -> ErrorCode {
    let request = DeleteGroupsRequest { groups_names: vec![text("audit")] };
    caller.call(2, request).await.results[0].error_code.into()
}

async fn leave(caller: &mut Caller, member: &JoinGroupResponse) {
    let member = MemberIdentity { member_id: member.member_id.clone(), ..Default::default() };
    let request = LeaveGroupRequest { group_id: text("audit"), members: vec![member], ..Default::default() };
    assert_eq!(caller.call(5, request).await.members[0].error_code, 0);
}

async fn commit_one(caller: &mut Caller, partition: i32) {
    let told = caller.call(8, commit(partition, 2, "")).await;
    assert_eq!(told.topics[0].partitions[0].error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn members_that_were_told_their_share_go_on_after_a_restart_and_a_loss_of_power() {
    for loses_power in [false, true] {
        let disk = Memory::unreliable();
        let broker = on(&disk).start().await.unwrap();
        let mut caller = Caller::of(&broker);
        let member = join_first(&mut caller, 9).await;
        caller.call(5, sync(&member, &[(&member.member_id, "all of it")])).await;
        let disk = match loses_power {
            true => disk.after_power_loss(&mut Rng::new(3)),
            false => {
                broker.shutdown().await.unwrap();
                disk
            }
        };
        let broker = on(&disk).start().await.unwrap();
        let mut caller = Caller::of(&broker);
        assert_eq!(state(&mut caller).await, "Stable");
        assert_eq!(caller.call(4, beat(&member)).await.error_code, 0, "power lost: {loses_power}");
        let synced = caller.call(5, sync(&member, &[])).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all of it"[..]));
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: member.generation_id,
            member_id: member.member_id.clone(),
            ..commit(0, 5, "")
        };
        assert_eq!(caller.call(8, request).await.topics[0].partitions[0].error_code, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_too_large_for_the_journal_works_until_a_restart_and_then_joins_anew() {
    let disk = Memory::new();
    let options = LogOptions { journal_file_bytes: 4096, ..LogOptions::default() };
    let on = |disk: &Memory| on(disk).log(options.clone());
    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let mut large = join("");
    large.protocols[0].metadata = vec![b'x'; 5_000].into();
    let member = caller.call(3, large).await;
    let synced = caller.call(5, sync(&member, &[(&member.member_id, "all")])).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all"[..]));
    assert_eq!(caller.call(4, beat(&member)).await.error_code, 0);
    broker.shutdown().await.unwrap();
    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let told = caller.call(4, beat(&member)).await;
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::UnknownMemberId);
    assert!(join_first(&mut caller, 9).await.generation_id > member.generation_id);
}

#[tokio::test(start_paused = true)]
async fn a_group_begins_no_generation_twice_though_all_left_before_a_restart() {
    let disk = Memory::new();
    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let member = join_first(&mut caller, 9).await;
    caller.call(5, sync(&member, &[(&member.member_id, "all")])).await;
    leave(&mut caller, &member).await;
    broker.shutdown().await.unwrap();
    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    assert_eq!(state(&mut caller).await, "Empty");
    let again = join_first(&mut caller, 9).await;
    assert!(again.generation_id > member.generation_id, "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn groups_are_deleted_with_their_offsets_unless_somebody_is_in() {
    let disk = Memory::new();
    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    assert_eq!(delete(&mut caller).await, ErrorCode::GroupIdNotFound);
    commit_one(&mut caller, 0).await;
    let member = join_first(&mut caller, 9).await;
    caller.call(5, sync(&member, &[])).await;
    assert_eq!(delete(&mut caller).await, ErrorCode::NonEmptyGroup);
    assert_eq!(committed(&mut caller).await, 1);
    leave(&mut caller, &member).await;
    assert_eq!(delete(&mut caller).await, ErrorCode::None);
    assert_eq!(committed(&mut caller).await, 0);
    assert_eq!(delete(&mut caller).await, ErrorCode::GroupIdNotFound);
    broker.shutdown().await.unwrap();

    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    assert_eq!((committed(&mut caller).await, &*state(&mut caller).await), (0, "Dead"));
    assert_eq!(caller.call(5, ListGroupsRequest::default()).await.groups, []);
}

/// Has the group forget the first partition of each of these topics.
async fn forget(caller: &mut Caller, topics: &[&str]) -> Result<Vec<ErrorCode>, ErrorCode> {
    let topic = |name: &&str| OffsetDeleteRequestTopic {
        name: text(name),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
    };
    let topics = topics.iter().map(topic).collect();
    let told = caller.call(0, OffsetDeleteRequest { group_id: text("audit"), topics }).await;
    match ErrorCode::from(told.error_code) {
        ErrorCode::None => Ok(told.topics.iter().map(|it| it.partitions[0].error_code.into()).collect()),
        code => Err(code),
    }
}

/// A member that reads `orders`.
fn subscribed(member_id: &str) -> JoinGroupRequest {
    let version = Version { number: 0, flexible: false };
    let mut out = Encoder::default();
    out.put(&[0, 0]);
    let subscription = ConsumerProtocolSubscription { topics: vec![text("orders")], ..Default::default() };
    subscription.encode(&mut out, version).expect("it encodes");
    let mut request = join(member_id);
    request.protocols[0].metadata = out.into_bytes();
    request
}

#[tokio::test(start_paused = true)]
async fn offsets_are_deleted_unless_a_member_reads_the_topic() {
    let disk = Memory::new();
    let broker = on(&disk).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    assert_eq!(forget(&mut caller, &["orders"]).await, Err(ErrorCode::GroupIdNotFound));
    commit_one(&mut caller, 0).await;
    commit_one(&mut caller, 1).await;
    let member = caller.call(3, subscribed("")).await;
    caller.call(5, sync(&member, &[])).await;
    let expected = vec![ErrorCode::GroupSubscribedToTopic, ErrorCode::None];
    assert_eq!(forget(&mut caller, &["orders", "refunds"]).await, Ok(expected));
    assert_eq!(committed(&mut caller).await, 2);
    leave(&mut caller, &member).await;
    let expected = vec![ErrorCode::None, ErrorCode::UnknownTopicOrPartition];
    assert_eq!(forget(&mut caller, &["orders", "nowhere"]).await, Ok(expected));
    assert_eq!(committed(&mut caller).await, 1);
    broker.shutdown().await.unwrap();

    let broker = on(&disk).start().await.unwrap();
    assert_eq!(committed(&mut Caller::of(&broker)).await, 1, "it is gone for good");
}

#[tokio::test(start_paused = true)]
async fn what_members_do_not_say_they_read_is_not_deleted() {
    let broker = on(&Memory::new()).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    commit_one(&mut caller, 0).await;
    let member = join_first(&mut caller, 3).await;
    caller.call(5, sync(&member, &[])).await;
    assert_eq!(forget(&mut caller, &["refunds"]).await, Err(ErrorCode::NonEmptyGroup));
}

#[tokio::test(start_paused = true)]
async fn offsets_expire_a_retention_after_the_last_member_left() {
    let hour = Duration::from_secs(60 * 60);
    let options = GroupOptions { offsets_retention: 24 * hour, ..GroupOptions::default() };
    let clock = Arc::new(TestClock::new());
    let broker = on(&Memory::new()).groups(options).clock(clock.clone()).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    commit_one(&mut caller, 0).await;
    let member = join_first(&mut caller, 9).await;
    caller.call(5, sync(&member, &[])).await;
    let check = Duration::from_secs(10 * 60 + 1);
    let pass = async |time: Duration, caller: &mut Caller| {
        clock.advance_wall(time);
        // The session of the member is longer than what is told to go by.
        for _ in 0..70 {
            tokio::time::sleep(check / 70).await;
            caller.call(4, beat(&member)).await;
        }
    };
    pass(48 * hour, &mut caller).await;
    assert_eq!(committed(&mut caller).await, 1, "a member may need it");
    leave(&mut caller, &member).await;
    pass(23 * hour, &mut caller).await;
    assert_eq!(committed(&mut caller).await, 1, "nobody has needed it for less than a day");
    pass(hour, &mut caller).await;
    assert_eq!(committed(&mut caller).await, 0);
    assert_eq!(state(&mut caller).await, "Dead", "with its offsets a group goes");
}
