//! Which offsets may go.

use std::time::Duration;

use super::{super::Topic, Desk, SESSION, WALL, next::Worker, subscribe};
use crate::Timestamp;

const RETENTION: Duration = Duration::from_secs(60);

/// Whether what was committed for a topic a while before `WALL` has expired so long after.
fn check(desk: &Desk, topic: &str, committed: i64, after: i64, expected: bool) {
    let (committed, wall) = (Timestamp(WALL + committed), Timestamp(WALL + after));
    let expired = desk.groups.needs("g").has_expired(topic, committed, wall, RETENTION);
    assert_eq!(expired, expected, "{topic} at {after}");
}

#[test]
fn what_no_group_committed_goes_after_its_time() {
    let desk = Desk::new();
    check(&desk, "t", 0, 59_999, false);
    check(&desk, "t", 0, 60_000, true);
    check(&desk, "t", 0, -1_000_000, false);
    check(&desk, "t", i64::MIN, i64::MAX - WALL, true);
}

#[test]
fn what_a_group_committed_goes_after_its_members() {
    let mut desk = Desk::new();
    desk.member();
    check(&desk, "t", -1_000_000, 1_000_000, false);
    desk.pass(SESSION as u64);
    desk.answers();
    check(&desk, "t", -1_000_000, 59_999, false);
    check(&desk, "t", -1_000_000, 60_000, true);
    check(&desk, "t", 30_000, 60_000, false);
    desk.restart();
    check(&desk, "t", -1_000_000, 59_999, false);
    check(&desk, "t", -1_000_000, 60_000, true);
    desk.join(3, subscribe(""));
    check(&desk, "t", -1_000_000, 1_000_000, false);
}

#[test]
fn what_members_do_not_want_goes_and_what_they_want_stays() {
    let mut desk = Desk::sharing(2);
    desk.groups.on_topic("u", Some(Topic { id: vltava_wire::Uuid(2), partitions: 1 }));
    let mut a = Worker::new("a");
    desk.settle(&mut [&mut a]);
    check(&desk, "t", 0, 60_000, false);
    check(&desk, "u", 0, 60_000, true);
    desk.pass(45_000);
    desk.answers();
    check(&desk, "t", -1_000_000, 59_999, false);
    check(&desk, "t", -1_000_000, 60_000, true);
}
