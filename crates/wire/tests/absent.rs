//! What a version lacks: a value that would be lost in silence is refused where that would change the meaning,
//! wherever in the message it is, and dropped where it would not.

use vltava_wire::{
    Api, EncodeError, EncodeErrorKind, Encoder, Uuid, Version, Wire,
    messages::{FetchRequest, LeaveGroupRequest, MemberIdentity, ProduceResponse, fetch, produce},
};

vltava_wire::messages! {
    /// Flexible from version 3 on.
    pub struct Outer {
        #[required] count: i32 = -1 => 1..;
        #[required] until: i32 => 0..=1;
        hint: i32 => 1..;
        #[required] name: Option<String> => 2..;
        #[required] old: Option<Vec<i32>> = Some(Default::default()) => 0..=1, nullable 1..;
        text: Option<String> = Some(Default::default()) => 0.., nullable 1..;
        many: Vec<Inner> => 0..;
        one: Inner => 1..;
        maybe: Option<Inner> => 1..;
        #[required] late: Vec<Late> => 2..;
    } tagged {
        0 => #[required] id: Uuid => 4..;
        1 => advice: i32 => 4..;
        2 => #[required] tagged: Inner => 3..;
    }

    pub struct Inner {
        #[required] epoch: i32 = -1 => 2..;
        key: Option<String> = Some(Default::default()) => 0.., nullable 2..;
    } tagged {
        0 => #[required] leader: i32 = -1 => 4..;
    }

    /// There is none before version 2.
    pub struct Late {
        value: i32 => 2..;
    }
}

fn version(number: i16) -> Version {
    Version { number, flexible: number >= 3 }
}

fn encode(message: &impl Wire, number: i16) -> Result<(), EncodeError> {
    message.encode(&mut Encoder::default(), version(number))
}

/// The message can be written in the versions of `fits`, and in the others up to 5 fails for `field`.
#[track_caller]
fn check(message: &impl Wire, field: &'static str, kind: EncodeErrorKind, fits: impl Fn(i16) -> bool) {
    for number in 0..=5 {
        let expected = if fits(number) { Ok(()) } else { Err(EncodeError { field, version: number, kind }) };
        assert_eq!(encode(message, number), expected, "version {number}");
    }
}

/// An inner struct that only some versions can carry, and in which ones.
fn inner_cases() -> [(Inner, &'static str, EncodeErrorKind, i16); 3] {
    [
        (Inner { epoch: 0, ..Inner::default() }, "epoch", EncodeErrorKind::NotInVersion, 2),
        (Inner { key: None, ..Inner::default() }, "key", EncodeErrorKind::NullNotInVersion, 2),
        (Inner { leader: 0, ..Inner::default() }, "leader", EncodeErrorKind::NotInVersion, 4),
    ]
}

#[test]
fn a_default_is_in_every_version() {
    check(&Outer::default(), "", EncodeErrorKind::NotInVersion, |_| true);
}

#[test]
fn a_required_field_is_refused_before_and_after_its_versions() {
    let of = EncodeErrorKind::NotInVersion;
    check(&Outer { count: 0, ..Outer::default() }, "count", of, |it| it >= 1);
    check(&Outer { until: 1, ..Outer::default() }, "until", of, |it| it <= 1);
    check(&Outer { name: Some(String::new()), ..Outer::default() }, "name", of, |it| it >= 2);
}

#[test]
fn other_fields_are_dropped() {
    check(&Outer { hint: 1, advice: 1, ..Outer::default() }, "", EncodeErrorKind::NotInVersion, |_| true);
}

#[test]
fn a_required_tagged_field_is_refused_in_versions_that_are_not_flexible_and_before_its_own() {
    let outer = Outer { id: Uuid(1), ..Outer::default() };
    check(&outer, "id", EncodeErrorKind::NotInVersion, |it| it >= 4);
}

#[test]
fn null_is_refused_where_a_version_has_none() {
    let outer = Outer { text: None, ..Outer::default() };
    check(&outer, "text", EncodeErrorKind::NullNotInVersion, |it| it >= 1);
}

#[test]
fn null_is_a_value_like_others_where_the_field_is_missing() {
    let outer = Outer { old: None, ..Outer::default() };
    assert_eq!(encode(&outer, 0).map_err(|error| error.kind), Err(EncodeErrorKind::NullNotInVersion));
    assert_eq!(encode(&outer, 1), Ok(()));
    assert_eq!(encode(&outer, 2).map_err(|error| error.kind), Err(EncodeErrorKind::NotInVersion));
}

#[test]
fn what_is_inside_an_array_is_looked_at_as_well() {
    for (inner, field, kind, since) in inner_cases() {
        let outer = Outer { many: vec![Inner::default(), inner], ..Outer::default() };
        check(&outer, field, kind, |it| it >= since);
    }
}

#[test]
fn what_is_inside_a_struct_is_looked_at_where_the_struct_is_written() {
    for (inner, field, kind, since) in inner_cases() {
        // Version 0 has neither `one` nor `maybe`, and nobody minds.
        check(&Outer { one: inner.clone(), ..Outer::default() }, field, kind, |it| it >= since || it == 0);
        check(&Outer { maybe: Some(inner), ..Outer::default() }, field, kind, |it| it >= since || it == 0);
    }
}

#[test]
fn what_is_inside_a_tagged_struct_is_looked_at_as_well() {
    let tagged = Inner { leader: 0, ..Inner::default() };
    let outer = Outer { tagged, ..Outer::default() };
    for (number, field) in [(0, "tagged"), (2, "tagged"), (3, "leader")] {
        let refused = encode(&outer, number).expect_err("the version lacks it");
        assert_eq!((refused.field, refused.kind), (field, EncodeErrorKind::NotInVersion), "version {number}");
    }
    assert_eq!(encode(&outer, 4), Ok(()));
}

#[test]
fn a_struct_that_came_later_is_refused_by_the_field_that_holds_it() {
    let outer = Outer { late: vec![Late::default()], ..Outer::default() };
    check(&outer, "late", EncodeErrorKind::NotInVersion, |it| it >= 2);
}

#[test]
fn it_is_so_in_kafkas_messages() {
    let member = MemberIdentity::default();
    let leave = LeaveGroupRequest { members: vec![member], ..Default::default() };
    assert_eq!(lacking(&leave, Api::LeaveGroup.version(2)), Some("members"));
    assert_eq!(lacking(&leave, Api::LeaveGroup.version(3)), None);

    let partition = fetch::FetchPartition { last_fetched_epoch: 3, ..Default::default() };
    let topic = fetch::FetchTopic { partitions: vec![partition], ..Default::default() };
    let fetch = FetchRequest { topics: vec![topic], ..Default::default() };
    assert_eq!(lacking(&fetch, Api::Fetch.version(11)), Some("last_fetched_epoch"));
    assert_eq!(lacking(&fetch, Api::Fetch.version(12)), None);

    let current_leader = produce::LeaderIdAndEpoch { leader_id: 1, leader_epoch: 1 };
    let partition = produce::PartitionProduceResponse { current_leader, ..Default::default() };
    let topic = produce::TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
    let produced = ProduceResponse { responses: vec![topic], ..Default::default() };
    // 8 is not flexible, 9 is, and has no leader yet.
    for (number, lacks) in [(8, Some("current_leader")), (9, Some("current_leader")), (10, None)] {
        assert_eq!(lacking(&produced, Api::Produce.version(number)), lacks, "version {number}");
    }
}

/// What a version lacks that the message says.
fn lacking(message: &impl Wire, version: Version) -> Option<&'static str> {
    let error = message.encode(&mut Encoder::default(), version).err()?;
    assert_eq!(error.kind, EncodeErrorKind::NotInVersion);
    Some(error.field)
}
