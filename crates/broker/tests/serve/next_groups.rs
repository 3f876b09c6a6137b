//! Groups of KIP-848: members that are told what they may have, and go on after a restart.

use std::sync::Arc;

use vltava_broker::{Broker, Builder, disk::Memory};
use vltava_core::Rng;
use vltava_wire::{
    ErrorCode,
    messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        CreatableTopic, CreateTopicsRequest, DeleteTopicsRequest, DescribeGroupsRequest, ListGroupsRequest,
        OffsetCommitRequest, OffsetFetchRequest, OffsetFetchRequestGroup,
        next_group::{DescribedGroup, TopicPartitions},
    },
};

use crate::{
    caller::{Caller, text},
    commits::commit,
};

fn on(disk: &Memory) -> Builder {
    Broker::in_memory().disk(Arc::new(disk.clone())).topic("orders", 3)
}

/// A member as it speaks for itself.
struct Member {
    id: String,
    epoch: i32,
    has: Vec<TopicPartitions>,
}

impl Member {
    fn new(id: &str) -> Self {
        Self { id: text(id), epoch: 0, has: Vec::new() }
    }

    /// A heartbeat that says everything, as the first one and those after an error do.
    fn beat(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: text("audit"),
            member_id: self.id.clone(),
            member_epoch: self.epoch,
            rebalance_timeout_ms: 30_000,
            subscribed_topic_names: Some(vec![text("orders"), text("refunds")]),
            topic_partitions: Some(self.has.clone()),
            ..Default::default()
        }
    }

    /// Beats until nothing new is told, and has what it was told to have.
    async fn settle(&mut self, caller: &mut Caller) {
        loop {
            let told = caller.call(1, self.beat()).await;
            assert_eq!(told.error_code, 0, "{:?}", told.error_message);
            let before = (self.epoch, self.has.clone());
            self.take(told);
            if before == (self.epoch, self.has.clone()) {
                return;
            }
        }
    }

    fn take(&mut self, told: ConsumerGroupHeartbeatResponse) {
        self.epoch = told.member_epoch;
        if let Some(assignment) = told.assignment {
            self.has = assignment.topic_partitions;
        }
    }

    fn count(&self) -> usize {
        self.has.iter().map(|it| it.partitions.len()).sum()
    }
}

async fn described(caller: &mut Caller) -> DescribedGroup {
    let request = ConsumerGroupDescribeRequest { group_ids: vec![text("audit")], ..Default::default() };
    caller.call(1, request).await.groups.remove(0)
}

#[tokio::test(start_paused = true)]
async fn members_share_all_partitions_and_onlookers_see_who_has_what() {
    let broker = on(&Memory::new()).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let (mut one, mut two) = (Member::new("one"), Member::new("two"));
    one.settle(&mut caller).await;
    assert_eq!(one.count(), 3);
    for _ in 0..3 {
        two.settle(&mut caller).await;
        one.settle(&mut caller).await;
    }
    assert_eq!((one.count().min(two.count()), one.count() + two.count()), (1, 3));
    let group = described(&mut caller).await;
    assert_eq!((group.error_code, &*group.group_state, group.members.len()), (0, "Stable", 2));
    assert!(group.members.iter().all(|it| it.member_epoch == group.group_epoch), "{group:?}");
    assert_eq!(group.members[0].assignment.topic_partitions[0].topic_name, "orders");

    let asked = |kind: &str| ListGroupsRequest { types_filter: vec![text(kind)], ..Default::default() };
    assert_eq!(caller.call(5, asked("consumer")).await.groups.len(), 1);
    assert_eq!(caller.call(5, asked("classic")).await.groups.len(), 0);
    let request = DescribeGroupsRequest { groups: vec![text("audit")], ..Default::default() };
    let classic = caller.call(6, request).await;
    assert_eq!(ErrorCode::from(classic.groups[0].error_code), ErrorCode::GroupIdNotFound);
}

#[tokio::test(start_paused = true)]
async fn what_a_member_may_have_follows_the_topics_that_there_are() {
    let broker = on(&Memory::new()).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let mut member = Member::new("one");
    member.settle(&mut caller).await;
    let topic = CreatableTopic {
        name: text("refunds"),
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    let created = caller.call(7, CreateTopicsRequest { topics: vec![topic], ..Default::default() }).await;
    assert_eq!(created.topics[0].error_code, 0);
    member.settle(&mut caller).await;
    assert_eq!(member.count(), 5);
    let gone = DeleteTopicsRequest { topic_names: vec![text("orders")], ..Default::default() };
    caller.call(5, gone).await;
    member.settle(&mut caller).await;
    assert_eq!(member.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn members_go_on_in_their_epoch_after_a_restart_and_a_loss_of_power() {
    for loses_power in [false, true] {
        let disk = Memory::unreliable();
        let broker = on(&disk).start().await.unwrap();
        let mut caller = Caller::of(&broker);
        let mut member = Member::new("one");
        member.settle(&mut caller).await;
        let before = described(&mut caller).await;
        let disk = match loses_power {
            true => disk.after_power_loss(&mut Rng::new(3)),
            false => {
                broker.shutdown().await.unwrap();
                disk
            }
        };
        let broker = on(&disk).start().await.unwrap();
        let mut caller = Caller::of(&broker);
        let epoch = member.epoch;
        member.settle(&mut caller).await;
        assert_eq!((member.epoch, member.count()), (epoch, 3), "power lost: {loses_power}");
        assert_eq!(described(&mut caller).await, before, "power lost: {loses_power}");
    }
}

#[tokio::test(start_paused = true)]
async fn commits_and_fetches_of_a_member_go_by_its_epoch() {
    let broker = on(&Memory::new()).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let mut member = Member::new("one");
    member.settle(&mut caller).await;
    for (version, epoch, code) in [
        (9, member.epoch, ErrorCode::None),
        (9, member.epoch - 1, ErrorCode::StaleMemberEpoch),
        (8, member.epoch - 1, ErrorCode::UnsupportedVersion),
        (9, -1, ErrorCode::UnknownMemberId),
    ] {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: epoch,
            member_id: text(if epoch < 0 { "" } else { "one" }),
            ..commit(0, 2, "")
        };
        let told = caller.call(version, request).await;
        let told = ErrorCode::from(told.topics[0].partitions[0].error_code);
        assert_eq!(told, code, "epoch {epoch} in version {version}");
    }
    for (member_id, epoch, code) in [
        (Some("one"), member.epoch, ErrorCode::None),
        (Some("one"), member.epoch - 1, ErrorCode::StaleMemberEpoch),
        (Some("two"), member.epoch, ErrorCode::UnknownMemberId),
        (None, -1, ErrorCode::None),
    ] {
        let group = OffsetFetchRequestGroup {
            group_id: text("audit"),
            member_id: member_id.map(text),
            member_epoch: epoch,
            topics: None,
        };
        let told = caller.call(9, OffsetFetchRequest { groups: vec![group], ..Default::default() }).await;
        assert_eq!(ErrorCode::from(told.groups[0].error_code), code, "{member_id:?} in epoch {epoch}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_of_another_node_is_sent_on() {
    let broker = Broker::in_memory().nodes(2).topic("orders", 3).start().await.unwrap();
    let mut codes = Vec::new();
    for node in broker.nodes() {
        let mut caller = Caller::over(node.connector().connect().expect("it runs"));
        codes.push(ErrorCode::from(caller.call(1, Member::new("one").beat()).await.error_code));
    }
    codes.sort();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::NotCoordinator]);
}
