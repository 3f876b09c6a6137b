//! The start of a conversation, its order, and its end after a mistake.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use vltava_broker::Broker;
use vltava_wire::{
    Api, Compression, ErrorCode, frame,
    messages::{
        ApiVersionsRequest, FindCoordinatorRequest, HeartbeatRequest, MetadataRequest, ProduceRequest,
    },
    record::Stamp,
};

use crate::caller::{Caller, batch, produce};

fn named(client_software_name: &str) -> ApiVersionsRequest {
    let client_software_version = "1.0".to_owned();
    ApiVersionsRequest { client_software_name: client_software_name.to_owned(), client_software_version }
}

#[tokio::test(start_paused = true)]
async fn every_version_of_api_versions_lists_what_is_served() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for version in 0..=4 {
        let request = if version < 3 { ApiVersionsRequest::default() } else { named("tester") };
        let response = caller.call(version, request).await;
        assert_eq!(response.error_code, 0);
        let range = |api: Api| {
            let row =
                response.api_keys.iter().find(|row| row.api_key == api.key()).expect("the API is served");
            (row.min_version, row.max_version)
        };
        assert_eq!(range(Api::ApiVersions), (0, 4));
        assert_eq!(range(Api::Produce), (0, 13), "librdkafka infers what it may do from version 0");
        assert_eq!(range(Api::Fetch), (4, 18));
        assert_eq!(range(Api::JoinGroup), (0, 9));
        assert_eq!(range(Api::InitProducerId), (0, 5), "6 is not stable in Kafka 4.3");
        let claims = |api: Api| response.api_keys.iter().any(|row| row.api_key == api.key());
        assert!(!claims(Api::DescribeQuorum), "one node has no quorum");
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_versions_request_from_the_future_is_answered_in_version_0() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let mut frame = BytesMut::new();
    frame.put_u32(24);
    frame.put_i16(Api::ApiVersions.key());
    frame.put_i16(99);
    frame.put_i32(7);
    frame.put_slice(&[0xff; 16]);
    caller.pipe.write_all(&frame).await.unwrap();
    let response = caller.receive::<ApiVersionsRequest>(0, 7).await;
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    let asked_again = caller.call(4, named("tester")).await;
    assert_eq!(asked_again.error_code, 0, "the connection goes on");
    assert_eq!(response.api_keys, asked_again.api_keys);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_calls_itself_nonsense_is_told_so() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for name in ["", "-a", "a b", "a.", "ü"] {
        let response = caller.call(3, named(name)).await;
        assert_eq!(response.error_code, ErrorCode::InvalidRequest.code(), "name {name:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_answered_in_their_order() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(caller.send(4, &named("tester")).await);
        ids.push(caller.send(2, &HeartbeatRequest::default()).await);
    }
    for pair in ids.chunks(2) {
        caller.receive::<ApiVersionsRequest>(4, pair[0]).await;
        caller.receive::<HeartbeatRequest>(2, pair[1]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_replies_is_not_read_from() {
    const REQUESTS: usize = 10_000;
    let broker = Broker::in_memory().topic("orders", 100).start().await.unwrap();
    let caller = Caller::of(&broker);
    let ask = frame::request(1, 7, None, &MetadataRequest { topics: None, ..Default::default() }).unwrap();
    let all = ask.into_bytes().repeat(REQUESTS);
    let (mut reading, mut writing) = tokio::io::split(caller.pipe);
    let mut left = &all[..];
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(1), writing.write(left)).await {
        left = &left[written.unwrap()..];
        assert!(!left.is_empty(), "the broker took every request though no reply was read");
    }
    let rest = async { writing.write_all(left).await.unwrap() };
    let replies = async {
        for _ in 0..REQUESTS {
            let length = reading.read_u32().await.unwrap();
            let mut reply = vec![0; length as usize];
            reading.read_exact(&mut reply).await.unwrap();
        }
    };
    tokio::join!(rest, replies);
}

#[tokio::test(start_paused = true)]
async fn a_mistake_closes_the_connection_and_no_other() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut bystander = Caller::of(&broker);
    let mistakes: [(&str, &[u8]); 8] = [
        ("a negative length", &[0xff, 0xff, 0xff, 0xff, 0, 18, 0, 0, 0, 0, 0, 0]),
        ("no room for a header", &[0, 0, 0, 7, 0, 18, 0, 0, 0, 0, 0, 0]),
        ("two gigabytes", &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 3, 0, 0, 0, 0]),
        ("two megabytes of Metadata", &[0, 0x20, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0]),
        ("an API nobody knows", &[0, 0, 0, 10, 0x30, 0x39, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        ("a version that is not served", &[0, 0, 0, 10, 0, 1, 0, 99, 0, 0, 0, 0, 0xff, 0xff]),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a body that is cut off", &[0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 0, 0xff, 0xff]),
    ];
    for (what, bytes) in mistakes {
        let mut caller = Caller::of(&broker);
        caller.pipe.write_all(bytes).await.unwrap();
        println!("{what}");
        caller.closed().await;
        assert_eq!(bystander.call(4, named("tester")).await.error_code, 0, "after {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_said_all_it_wants_is_still_answered() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let id = caller.send(4, &named("tester")).await;
    caller.pipe.shutdown().await.unwrap();
    assert_eq!(caller.receive::<ApiVersionsRequest>(4, id).await.error_code, 0);
    caller.closed().await;
}

#[tokio::test(start_paused = true)]
async fn what_took_effect_before_a_mistake_is_answered() {
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let id = caller.send(9, &produce(-1, batch(1_000, &["a"], Stamp::NONE, Compression::None))).await;
    let unserved = [0, 0, 0, 10, 0, 1, 0, 99, 0, 0, 0, 0, 0xff, 0xff];
    caller.pipe.write_all(&unserved).await.unwrap();
    let response = caller.receive::<ProduceRequest>(9, id).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    caller.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_done_but_takes_no_reply_is_let_go() {
    let broker = Broker::in_memory().topic("orders", 10_000).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    caller.send(1, &MetadataRequest { topics: None, ..Default::default() }).await;
    caller.pipe.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut rest = Vec::new();
    caller.pipe.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() < 10_000 * 20, "the rest of the response is not kept for ever");
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_request_is_let_go() {
    let broker = Broker::in_memory().start().await.unwrap();
    let mut caller = Caller::of(&broker);
    let good = frame::request(4, 1, None, &named("tester")).unwrap().into_bytes();
    let mut longer = BytesMut::from(&good[..]);
    longer.put_slice(&[7; 3]);
    let length = longer.len() as u32 - 4;
    longer[..4].copy_from_slice(&length.to_be_bytes());
    caller.pipe.write_all(&longer).await.unwrap();
    assert_eq!(caller.receive::<ApiVersionsRequest>(4, 1).await.error_code, 0);
    assert_eq!(caller.call(4, named("tester")).await.error_code, 0, "the next request begins behind it");
}

#[tokio::test(start_paused = true)]
async fn groups_are_coordinated_here_and_transactions_are_refused_by_name() {
    let broker = Broker::in_memory().advertise("kafka.example:19092").start().await.unwrap();
    let mut caller = Caller::of(&broker);
    for version in 0..=3 {
        let request = FindCoordinatorRequest { key: "audit".to_owned(), ..Default::default() };
        let found = caller.call(version, request).await;
        assert_eq!((found.error_code, found.node_id), (0, 1), "version {version}");
        assert_eq!((&*found.host, found.port), ("kafka.example", 19092));
    }
    let keys = vec!["audit".to_owned(), "billing".to_owned()];
    let request = FindCoordinatorRequest { coordinator_keys: keys.clone(), ..Default::default() };
    let found = caller.call(6, request).await;
    assert_eq!(found.coordinators.iter().map(|found| found.key.clone()).collect::<Vec<_>>(), keys);
    let denied = ErrorCode::TransactionalIdAuthorizationFailed;
    for (key_type, code) in [(1, denied), (2, ErrorCode::InvalidRequest), (3, ErrorCode::InvalidRequest)] {
        let request =
            FindCoordinatorRequest { coordinator_keys: keys.clone(), key_type, ..Default::default() };
        let found = caller.call(6, request).await;
        assert_eq!(ErrorCode::from(found.coordinators[1].error_code), code);
        assert!(found.coordinators[1].error_message.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_every_connection() {
    let broker = Broker::in_memory().start().await.unwrap();
    let idle = Caller::of(&broker);
    broker.shutdown().await.unwrap();
    idle.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nothing_is_done_on_is_closed() {
    const IDLE: Duration = Duration::from_secs(600);
    let broker = Broker::in_memory().topic("orders", 1).start().await.unwrap();
    let (mut idle, mut used) = (Caller::of(&broker), Caller::of(&broker));
    let started = Instant::now();
    idle.call(4, named("tester")).await;
    for _ in 0..3 {
        used.call(4, named("tester")).await;
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
    }
    let soon = Duration::from_secs(3_600);
    tokio::time::timeout(soon, idle.closed()).await.expect("it was idle");
    used.call(4, named("tester")).await;
    let before = started.elapsed();
    tokio::time::timeout(soon, used.closed()).await.expect("now it is idle");
    let waited = started.elapsed() - before;
    assert!(waited >= IDLE && waited < IDLE + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_of_a_reply_is_given_up() {
    let broker = Broker::in_memory().topic("orders", 10_000).start().await.unwrap();
    let mut caller = Caller::of(&broker);
    caller.send(1, &MetadataRequest { topics: None, ..Default::default() }).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    caller.pipe.read_exact(&mut [0; 1 << 10]).await.expect("it has time");
    tokio::time::sleep(Duration::from_secs(31)).await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(60), caller.pipe.read_to_end(&mut rest));
    end.await.expect("the connection is closed").unwrap();
    assert!(rest.len() < 100 << 10, "{} bytes came after it was given up", rest.len());
}
