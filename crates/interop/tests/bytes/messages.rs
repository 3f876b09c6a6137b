//! Every message in every version that both codecs know, with random content.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages as theirs,
    protocol::{Decodable, Encodable, Message},
};
use vltava_wire::{
    Decoder, Encoder, Request, Version, Wire, messages as ours,
    sample::{Dice, Sample},
};

/// Random contents for each message and version.
const SEEDS: u64 = 100;

const BUDGET: usize = 1 << 20;

/// What is encoded by us is decoded and encoded again by them to the same bytes, which we decode to the same.
fn same<Ours, Theirs>(name: &str, version: Version)
where
    Ours: Wire + Sample + PartialEq + std::fmt::Debug,
    Theirs: Encodable + Decodable,
{
    for seed in 0..SEEDS {
        let message = Ours::sample(&mut Dice::new(seed), version);
        let mut out = Encoder::default();
        message.encode(&mut out, version).expect("a sample fits its version");
        let bytes = out.into_bytes();
        let again = through::<Theirs>(bytes.clone(), version.number)
            .unwrap_or_else(|error| panic!("{name} {version:?}, seed {seed}: {error}"));
        assert_eq!(bytes, again, "{name} {version:?}, seed {seed}");
        let mut input = Decoder::new(again, version, BUDGET);
        assert_eq!(Ours::decode(&mut input), Ok(message), "{name} {version:?}, seed {seed}");
        assert_eq!(input.finish(), Ok(()), "{name} {version:?}, seed {seed}");
    }
}

/// Judges the versions of an API's message that both sides know, and returns the last one.
fn same_to<R, Ours, Theirs>(name: &str) -> i16
where
    R: Request,
    Ours: Wire + Sample + PartialEq + std::fmt::Debug,
    Theirs: Message + Encodable + Decodable,
{
    let known = R::API.versions();
    let last = *known.end().min(&Theirs::VERSIONS.max);
    (*known.start()..=last).for_each(|number| same::<Ours, Theirs>(name, R::API.version(number)));
    last
}

fn through<Theirs: Encodable + Decodable>(mut bytes: Bytes, version: i16) -> Result<Bytes, String> {
    let message =
        Theirs::decode(&mut bytes, version).map_err(|error| format!("they cannot read it: {error}"))?;
    if !bytes.is_empty() {
        return Err(format!("they leave {} bytes", bytes.len()));
    }
    let mut again = BytesMut::new();
    message.encode(&mut again, version).map_err(|error| format!("they cannot write it: {error}"))?;
    Ok(again.freeze())
}

/// A test for each API, and one that none is missing.
macro_rules! apis {
    ($($test:ident: $request:ident $response:ident, judged to $asked:literal $answered:literal;)*) => {
        $(#[test]
        fn $test() {
            let asked = same_to::<ours::$request, ours::$request, theirs::$request>(stringify!($request));
            let answered = same_to::<ours::$request, ours::$response, theirs::$response>(stringify!($response));
            assert_eq!((asked, answered), ($asked, $answered));
        })*

        #[test]
        fn no_api_is_missing() {
            let judged = [$(<ours::$request as Request>::API,)*];
            assert_eq!(judged, vltava_wire::Api::ALL);
        }
    };
}

apis! {
    produce: ProduceRequest ProduceResponse, judged to 13 13;
    fetch: FetchRequest FetchResponse, judged to 18 18;
    list_offsets: ListOffsetsRequest ListOffsetsResponse, judged to 10 10;
    metadata: MetadataRequest MetadataResponse, judged to 13 13;
    offset_commit: OffsetCommitRequest OffsetCommitResponse, judged to 9 10;
    offset_fetch: OffsetFetchRequest OffsetFetchResponse, judged to 9 10;
    find_coordinator: FindCoordinatorRequest FindCoordinatorResponse, judged to 6 6;
    join_group: JoinGroupRequest JoinGroupResponse, judged to 9 9;
    heartbeat: HeartbeatRequest HeartbeatResponse, judged to 4 4;
    leave_group: LeaveGroupRequest LeaveGroupResponse, judged to 5 5;
    sync_group: SyncGroupRequest SyncGroupResponse, judged to 5 5;
    describe_groups: DescribeGroupsRequest DescribeGroupsResponse, judged to 6 6;
    list_groups: ListGroupsRequest ListGroupsResponse, judged to 5 5;
    api_versions: ApiVersionsRequest ApiVersionsResponse, judged to 4 4;
    create_topics: CreateTopicsRequest CreateTopicsResponse, judged to 7 7;
    delete_topics: DeleteTopicsRequest DeleteTopicsResponse, judged to 6 6;
    init_producer_id: InitProducerIdRequest InitProducerIdResponse, judged to 5 6;
}

#[test]
fn what_members_tell_each_other() {
    for number in 0..=3 {
        let version = Version { number, flexible: false };
        same::<ours::ConsumerProtocolSubscription, theirs::ConsumerProtocolSubscription>(
            "subscription",
            version,
        );
        same::<ours::ConsumerProtocolAssignment, theirs::ConsumerProtocolAssignment>("assignment", version);
    }
}
