//! Members that keep what stays theirs: cooperative ones, and those of the consumer protocol.

use std::sync::Arc;

use vltava_client::{ConsumerBuilder, GroupProtocol};
use vltava_core::group::assign::CooperativeSticky;

use super::*;

fn cooperative(member: ConsumerBuilder) -> ConsumerBuilder {
    member.assignors([Arc::new(CooperativeSticky) as _])
}

fn next(member: ConsumerBuilder) -> ConsumerBuilder {
    member.group_protocol(GroupProtocol::Consumer)
}

/// Two members, one after the other: the first gives half away, and reads and commits the rest as if nothing were.
async fn what_stays_never_notices(with: fn(ConsumerBuilder) -> ConsumerBuilder) {
    let mut world = World::new(4).await;
    world.produce_everywhere(4, 5).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = with(member).subscribe([TOPIC]).await.expect("it is there").split();
    let mut mine = assigned(&mut events).await;
    assert_eq!(partitions(&mine), BTreeSet::from([0, 1, 2, 3]));
    let (member, _) = world.member().await;
    let (mut others, _committer) = with(member).subscribe([TOPIC]).await.expect("it is there").split();
    let revocation = revoked(&mut events).await;
    let gone: BTreeSet<i32> = revocation.partitions.iter().map(|it| it.partition).collect();
    assert_eq!(gone.len(), 2, "{gone:?}");
    for stream in mine.iter_mut().filter(|it| !gone.contains(&it.topic_partition().partition)) {
        let batch =
            timeout(SOON, stream.next()).await.expect("in time").expect("it goes on").expect("no error");
        let done = commit(batch.topic_partition().partition, batch.assignment(), batch.next_offset());
        assert_eq!(commit_one(&committer, done).await, Ok(()), "while others are given back");
    }
    revocation.done();
    let theirs = loop {
        let streams = assigned(&mut others).await;
        if !streams.is_empty() {
            break streams;
        }
    };
    assert_eq!(partitions(&theirs), gone);
    assert!(timeout(REBALANCE, events.next()).await.is_err(), "the first hears of nothing more");
}

#[tokio::test(start_paused = true)]
async fn a_cooperative_member_keeps_what_stays() {
    what_stays_never_notices(cooperative).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_of_the_consumer_protocol_keeps_what_stays() {
    what_stays_never_notices(next).await;
}
