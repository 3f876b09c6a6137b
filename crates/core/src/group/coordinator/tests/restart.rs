//! What is found again after a restart.

use vltava_wire::ErrorCode;

use super::{
    super::{Groups, KeptGroup, Limits, Topic},
    Desk, REBALANCE, SESSION, WALL,
    next::Worker,
    static_member, subscribe,
};
use crate::Rng;

impl Desk {
    /// The broker is killed and started again.
    pub(super) fn restart(&mut self) {
        self.answers();
        self.groups = Groups::new(Limits::default(), Rng::new(11));
        self.groups.on_topic("t", Some(Topic { id: vltava_wire::Uuid(1), partitions: 4 }));
        self.groups.restore(self.now, &self.kept);
    }
}

#[test]
fn members_of_a_group_at_rest_go_on_as_if_nothing_had_been() {
    let mut desk = Desk::new();
    let (leader, other, generation) = desk.two_joined();
    desk.sync(generation, &leader, &[(&other, "theirs"), (&leader, "ours")]);
    desk.sync(generation, &other, &[]);
    let before = desk.groups.describe(5, "g", true);
    desk.restart();
    assert_eq!(desk.groups.describe(5, "g", true), before);
    for id in [&leader, &other] {
        assert_eq!(desk.heartbeat(generation, id), ErrorCode::None);
        assert_eq!(desk.commit(generation, id), Ok(()));
    }
    let synced = desk.sync(generation, &other, &[]);
    assert_eq!(desk.sync_answer(synced).assignment, "theirs");
    desk.pass(SESSION as u64);
    desk.answers();
    assert_eq!(desk.heartbeat(generation, &leader), ErrorCode::UnknownMemberId, "sessions began anew");
}

#[test]
fn a_rebalance_that_was_going_on_is_begun_again_by_its_members() {
    let mut desk = Desk::new();
    let (leader, other, generation) = desk.two_joined();
    desk.restart();
    assert_eq!(desk.heartbeat(generation, &leader), ErrorCode::IllegalGeneration);
    assert_eq!(desk.heartbeat(generation, &other), ErrorCode::UnknownMemberId);
    let token = desk.join(3, subscribe(&leader));
    assert_eq!(desk.join_answer(token).generation_id, generation);
}

#[test]
fn a_static_member_that_came_back_is_known_by_its_new_id() {
    let mut desk = Desk::new();
    let token = desk.join(9, static_member("one"));
    let old = desk.join_answer(token);
    let token = desk.sync(old.generation_id, &old.member_id, &[(&old.member_id, "all")]);
    desk.sync_answer(token);
    let token = desk.join(9, static_member("one"));
    let back = desk.join_answer(token);
    desk.restart();
    assert_eq!(desk.heartbeat(old.generation_id, &old.member_id), ErrorCode::UnknownMemberId);
    assert_eq!(desk.heartbeat(back.generation_id, &back.member_id), ErrorCode::None);
    let token = desk.join(9, static_member("one"));
    assert_eq!(desk.join_answer(token).generation_id, back.generation_id, "without a rebalance");
}

#[test]
fn a_group_that_lost_its_members_is_kept_with_the_time_since_when() {
    let mut desk = Desk::new();
    let (_, generation) = desk.member();
    desk.pass(SESSION as u64);
    desk.restart();
    let Some((_, KeptGroup::Classic(kept))) = desk.kept.groups().next() else { panic!("it is kept") };
    assert_eq!((kept.empty_since, kept.members.len()), (WALL, 0));
    assert_eq!(desk.state(), "Empty");
    let token = desk.join(3, subscribe(""));
    assert_eq!(desk.join_answer(token).generation_id, generation + 2, "being empty was a generation too");
}

#[test]
fn a_group_that_is_deleted_stays_deleted() {
    let mut desk = Desk::new();
    let (member, generation) = desk.member();
    assert_eq!(desk.groups.on_delete("g", true), Err(ErrorCode::NonEmptyGroup));
    assert_eq!(desk.groups.on_delete("h", false), Err(ErrorCode::GroupIdNotFound));
    desk.pass(SESSION as u64);
    desk.answers();
    assert_eq!(desk.groups.on_delete("g", true), Ok(()));
    desk.restart();
    assert_eq!(desk.kept.image().count(), 0);
    assert_eq!(desk.state(), "Dead");
    assert_eq!(desk.commit(generation, &member), Err(ErrorCode::IllegalGeneration));
}

#[test]
fn members_of_the_next_protocol_go_on_wherever_they_were() {
    let mut desk = Desk::sharing(4);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a]);
    desk.beat(&mut b);
    desk.beat(&mut a);
    let before = desk.groups.describe_next("g");
    desk.restart();
    assert_eq!(desk.groups.describe_next("g"), before, "one is giving back, one waits");
    desk.settle(&mut [&mut a, &mut b]);
    assert_eq!((a.holds.len(), b.holds.len()), (2, 2));
    let before = desk.groups.describe_next("g");
    desk.restart();
    assert_eq!(desk.beat(&mut a), ErrorCode::None);
    assert_eq!(desk.groups.describe_next("g"), before);
    assert_eq!(desk.commit(a.epoch, "a"), Ok(()));
}

#[test]
fn who_was_to_give_back_has_no_longer_after_a_restart_than_before() {
    let mut desk = Desk::sharing(4);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a]);
    desk.beat(&mut b);
    desk.beat(&mut a);
    desk.restart();
    desk.pass(REBALANCE as u64);
    desk.answers();
    assert_eq!(desk.groups.describe_next("g").members.len(), 0);
}

#[test]
fn targets_without_their_epoch_are_made_anew() {
    let mut desk = Desk::sharing(4);
    let (mut a, mut b) = (Worker::new("a"), Worker::new("b"));
    desk.settle(&mut [&mut a]);
    let before = desk.kept.clone();
    desk.beat(&mut b);
    let after: Vec<_> = desk.kept.image().collect();
    // All but the last record of the change: the epochs of group and assignment.
    let mut torn = before.clone();
    let behind = before.groups().next().map(|(_, kept)| kept.clone());
    let Some(KeptGroup::Next(behind)) = behind else { panic!("it is kept") };
    for record in &after {
        torn.apply(record);
    }
    let mut group = behind.group;
    group.epoch += 1;
    torn.apply(&super::super::Record::Next(group));
    desk.kept = torn;
    desk.restart();
    desk.settle(&mut [&mut a, &mut b]);
    assert_eq!((a.holds.len(), b.holds.len()), (2, 2));
}
