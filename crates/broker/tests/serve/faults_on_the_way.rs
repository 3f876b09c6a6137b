//! Faults on demand: what is late, lost, cut off or told to rest.

use std::time::Duration;

use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout},
};
use vltava_broker::ErrorCode;
use vltava_wire::messages::{FetchRequest, JoinGroupRequest, ProduceRequest};

use crate::{
    caller::{Caller, fetch, produce},
    faults::{SECOND, broker, code, one, produce_to, stored},
    groups::{join, join_first, sync},
};

#[tokio::test(start_paused = true)]
async fn a_request_that_is_delayed_has_no_effect_before() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().produce("orders").delay_request(SECOND * 5).once();
    let before = Instant::now();
    caller.send(9, &produce(-1, one("late"))).await;
    caller.send(9, &produce(-1, one("behind"))).await;
    tokio::time::sleep(SECOND * 4).await;
    assert!(stored(&broker).await.is_empty());
    for id in [1, 2] {
        let response = caller.receive::<ProduceRequest>(9, id).await;
        assert_eq!(code(&response), ErrorCode::None);
    }
    assert_eq!(before.elapsed(), SECOND * 5);
    assert_eq!(stored(&broker).await, ["late", "behind"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_delayed_leaves_later_than_its_effect_and_in_its_order() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().produce("orders").delay_reply(SECOND * 5).once();
    let before = Instant::now();
    caller.send(9, &produce(-1, one("first"))).await;
    caller.send(9, &produce(-1, one("second"))).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(stored(&broker).await, ["first", "second"]);
    for id in [1, 2] {
        caller.receive::<ProduceRequest>(9, id).await;
        assert_eq!(before.elapsed(), SECOND * 5);
    }
}

/// Asserts that the connection is open, and silent for a minute.
async fn silent(caller: &mut Caller) {
    let heard = timeout(SECOND * 60, caller.pipe.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_request_nothing_of_its_connection_arrives() {
    let broker = broker().await;
    let (mut caller, mut other) = (Caller::of(&broker), Caller::of(&broker));
    let rule = broker.faults().produce("orders").client("tester").drop_request().once();
    caller.send(12, &fetch(0, 0)).await;
    for value in ["lost", "lost too"] {
        caller.send(9, &produce(-1, one(value))).await;
    }
    caller.receive::<FetchRequest>(12, 1).await;
    silent(&mut caller).await;
    assert_eq!(rule.struck(), 1);
    assert_eq!(code(&other.call(9, produce(-1, one("another's"))).await), ErrorCode::None);
    assert_eq!(stored(&broker).await, ["another's"]);
    caller.send(9, &produce(-1, one("lost as well"))).await;
    broker.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_all_is_carried_out_and_nothing_answered() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    let rule = broker.faults().produce("orders").drop_reply().once();
    caller.call(12, fetch(0, 0)).await;
    for value in ["done", "done too"] {
        caller.send(9, &produce(-1, one(value))).await;
    }
    silent(&mut caller).await;
    assert_eq!(rule.struck(), 1);
    assert_eq!(stored(&broker).await, ["done", "done too"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_cut_before_a_request_and_what_came_before_is_answered() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().produce("orders").partition(0).cut_request().once();
    caller.send(9, &produce_to(&[1])).await;
    caller.send(9, &produce_to(&[0])).await;
    assert_eq!(code(&caller.receive::<ProduceRequest>(9, 1).await), ErrorCode::None);
    caller.closed().await;
    assert!(stored(&broker).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_cut_is_answered_however_long_it_waits() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().produce("orders").client("tester").cut_request().once();
    let before = Instant::now();
    caller.send(12, &fetch(0, 10_000)).await;
    caller.send(9, &produce(-1, one("cut"))).await;
    caller.receive::<FetchRequest>(12, 1).await;
    assert_eq!(before.elapsed(), SECOND * 10);
    caller.closed().await;
    assert_eq!(before.elapsed(), SECOND * 10);
    assert!(stored(&broker).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_cut_after_so_many_bytes() {
    let broker = broker().await;
    let whole = {
        let mut caller = Caller::of(&broker);
        caller.send(9, &produce(-1, one("0"))).await;
        4 + caller.frame().await.len()
    };
    for (times, bytes) in (2..).zip([0, 1, 4, 20, whole - 1, whole, whole + 100]) {
        broker.faults().produce("orders").cut_reply(bytes).once();
        let mut caller = Caller::of(&broker);
        caller.send(9, &produce(-1, one("1"))).await;
        let mut rest = Vec::new();
        caller.pipe.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), bytes.min(whole));
        assert_eq!(stored(&broker).await.len(), times, "it was carried out");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_to_rest_and_not_read_meanwhile() {
    let broker = broker().await;
    let (mut caller, mut other) = (Caller::of(&broker), Caller::of(&broker));
    broker.faults().produce("orders").client("tester").throttle(SECOND * 3).once();
    let before = Instant::now();
    let response = caller.call(9, produce(-1, one("first"))).await;
    assert_eq!((code(&response), response.throttle_time_ms), (ErrorCode::None, 3_000));
    assert_eq!(before.elapsed(), Duration::ZERO, "the reply comes at once");
    caller.send(9, &produce(-1, one("later"))).await;
    assert_eq!(code(&other.call(9, produce(-1, one("another's"))).await), ErrorCode::None);
    assert_eq!(before.elapsed(), Duration::ZERO, "only the one connection rests");
    let response = caller.receive::<ProduceRequest>(9, 2).await;
    assert_eq!((response.throttle_time_ms, before.elapsed()), (0, SECOND * 3));
    assert_eq!(stored(&broker).await, ["first", "another's", "later"]);
}

#[tokio::test(start_paused = true)]
async fn a_rest_begins_with_the_reply_however_long_that_waits() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().fetch("orders").throttle(SECOND * 3).once();
    let before = Instant::now();
    let response = caller.call(12, fetch(0, 10_000)).await;
    assert_eq!((response.throttle_time_ms, before.elapsed()), (3_000, SECOND * 10));
    caller.call(12, fetch(0, 0)).await;
    assert_eq!(before.elapsed(), SECOND * 13);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_owed_no_reply_rests_from_its_request_on() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().produce("orders").throttle(SECOND * 3).once();
    let before = Instant::now();
    caller.send(9, &produce(0, one("silent"))).await;
    let response = timeout(SECOND * 60, caller.call(9, produce(-1, one("later")))).await.expect("it is read");
    assert_eq!((code(&response), before.elapsed()), (ErrorCode::None, SECOND * 3));
    assert_eq!(stored(&broker).await, ["silent", "later"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_while_it_is_to_rest_is_not_waited_for() {
    let broker = broker().await;
    let (mut one, mut two, mut three) = (Caller::of(&broker), Caller::of(&broker), Caller::of(&broker));
    let first = join_first(&mut one, 3).await;
    one.call(3, sync(&first, &[(&first.member_id, "all")])).await;
    broker.faults().join_group().throttle(SECOND * 100).once();
    two.send(3, &join("")).await;
    tokio::time::sleep(SECOND).await;
    drop(two);
    tokio::time::sleep(SECOND).await;
    let third = three.send(3, &join("")).await;
    tokio::time::sleep(SECOND).await;
    let before = Instant::now();
    let first = one.call(3, join(&first.member_id)).await;
    three.receive::<JoinGroupRequest>(3, third).await;
    assert_eq!((first.members.len(), before.elapsed()), (2, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_its_client_left_is_carried_out_without_a_rest() {
    let broker = broker().await;
    let mut caller = Caller::of(&broker);
    broker.faults().produce("orders").throttle(SECOND * 100).once();
    caller.call(9, produce(-1, one("first"))).await;
    caller.send(9, &produce(-1, one("last"))).await;
    drop(caller);
    tokio::time::sleep(SECOND).await;
    assert_eq!(stored(&broker).await, ["first", "last"]);
}
