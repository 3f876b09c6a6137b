//! Members of a group against the embedded broker, over pipes, on tokio's paused clock.

mod chaos;
mod incremental;
mod user;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::{Instant, timeout};
use vltava_broker::Broker;
use vltava_client::{
    AssignmentId, Commit, Committer, Consumer, ErrorKind, Event, Events, Jump, JumpCause, NewTopic, Notice,
    PartitionStream, RecordBatch, Revocation, StartOffset, TopicPartition,
};
use world::{GROUP, REBALANCE, SESSION, TOPIC, World};

const SOON: Duration = Duration::from_secs(5);

fn values(batch: &RecordBatch) -> Vec<String> {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    batch.iter().map(|record| text(record.value())).collect()
}

/// Reads and commits batches until none comes for a while.
async fn drain(consumer: &mut Consumer) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(batch) = timeout(SOON, consumer.next()).await {
        let batch = batch.expect("it goes on").expect("it is a member");
        seen.extend(values(&batch));
        consumer.commit(&batch).await.expect("it is assigned");
    }
    seen
}

async fn assigned(events: &mut Events) -> Vec<PartitionStream> {
    match timeout(SESSION + REBALANCE, events.next()).await.expect("in time").expect("no error") {
        Some(Event::Assigned(streams)) => streams,
        other => panic!("not an assignment: {other:?}"),
    }
}

async fn revoked(events: &mut Events) -> Revocation {
    match timeout(SESSION + REBALANCE, events.next()).await.expect("in time").expect("no error") {
        Some(Event::Revoked(revocation)) => revocation,
        other => panic!("not a revocation: {other:?}"),
    }
}

fn partitions(streams: &[PartitionStream]) -> BTreeSet<i32> {
    streams.iter().map(|stream| stream.topic_partition().partition).collect()
}

fn commit(partition: i32, assignment: AssignmentId, offset: i64) -> Commit {
    let topic_partition = TopicPartition::new(TOPIC, partition);
    Commit { topic_partition, assignment, offset, leader_epoch: 0, metadata: format!("up to {offset}") }
}

async fn commit_one(committer: &Committer, it: Commit) -> Result<(), ErrorKind> {
    committer.commit(vec![it]).await.map_err(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn what_one_member_committed_the_next_goes_on_from() {
    let mut world = World::new(3).await;
    world.produce_everywhere(3, 10).await;
    let (member, _) = world.member().await;
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let mut seen = drain(&mut consumer).await;
    seen.sort();
    assert_eq!(seen, world.all());
    consumer.shutdown(SOON).await.expect("the broker is there");
    assert_eq!(world.committed(2).await.0, 10);

    world.produce(1, 5).await;
    let (member, _) = world.member().await;
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    assert_eq!(drain(&mut consumer).await, ["1:10", "1:11", "1:12", "1:13", "1:14"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_while_members_join_leave_and_die() {
    let mut world = World::new(4).await;
    world.produce_everywhere(4, 20).await;
    let mut seen = Vec::new();
    let (member, first_dies) = world.member().await;
    let mut first = member.subscribe([TOPIC]).await.expect("the topic is there");
    seen.extend(drain(&mut first).await);

    let (member, _) = world.member().await;
    let mut second = member.subscribe([TOPIC]).await.expect("the topic is there");
    let nothing_new = tokio::join!(drain(&mut first), drain(&mut second));
    assert_eq!(nothing_new, (vec![], vec![]));
    world.produce_everywhere(4, 20).await;
    let (ours, theirs) = tokio::join!(drain(&mut first), drain(&mut second));
    assert!(!theirs.is_empty(), "the second has a share");
    seen.extend(ours.into_iter().chain(theirs));

    first_dies.kill();
    world.produce_everywhere(4, 20).await;
    tokio::time::sleep(SESSION).await;
    seen.extend(drain(&mut second).await);

    let (member, _) = world.member().await;
    let mut third = member.subscribe([TOPIC]).await.expect("the topic is there");
    let (ours, theirs) = tokio::join!(drain(&mut second), drain(&mut third));
    seen.extend(ours.into_iter().chain(theirs));
    world.produce_everywhere(4, 20).await;
    second.shutdown(SOON).await.expect("the broker is there");
    seen.extend(drain(&mut third).await);

    seen.sort();
    assert_eq!(seen, world.all(), "each once: everything was committed before it was given away");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_is_kept_holds_the_rebalance_and_its_commits_count() {
    let mut world = World::new(2).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let streams = assigned(&mut events).await;
    let assignment = streams[0].assignment();
    assert_eq!(partitions(&streams), BTreeSet::from([0, 1]));

    let (member, _) = world.member().await;
    let (mut others, _committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let revocation = revoked(&mut events).await;
    assert_eq!(revocation.partitions.len(), 2);
    assert!(timeout(REBALANCE / 2, others.next()).await.is_err(), "the other waits");
    assert_eq!(commit_one(&committer, commit(0, assignment, 7)).await, Ok(()));
    revocation.done();

    let (ours, theirs) = tokio::join!(assigned(&mut events), assigned(&mut others));
    assert_eq!(partitions(&ours).len() + partitions(&theirs).len(), 2);
    let of_0 = ours.iter().chain(&theirs).find(|stream| stream.topic_partition().partition == 0);
    assert_eq!(of_0.expect("somebody has it").committed(), Some((7, "up to 7")));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_rebalance_goes_on_and_the_old_assignment_commits_no_more() {
    let mut world = World::new(2).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let assignment = assigned(&mut events).await[0].assignment();
    let (member, _) = world.member().await;
    let (mut others, _committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let kept = revoked(&mut events).await;
    let began = Instant::now();
    let (ours, theirs) = tokio::join!(assigned(&mut events), assigned(&mut others));
    assert!(began.elapsed() > REBALANCE / 2 && began.elapsed() < REBALANCE, "{:?}", began.elapsed());
    assert_eq!((ours.len(), theirs.len()), (1, 1), "nobody was thrown out");
    assert_eq!(commit_one(&committer, commit(0, assignment, 7)).await, Err(ErrorKind::Retired));
    assert_eq!(world.committed(0).await.0, -1);
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_starts_at_the_end_misses_nothing_when_its_first_member_dies_before_a_commit() {
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let (member, dies) = world.member().await;
    let mut first = member.start(StartOffset::Latest).subscribe([TOPIC]).await.expect("the topic is there");
    assert!(timeout(SOON, first.next()).await.is_err(), "there is nothing new");
    assert_eq!(world.committed(0).await.0, 5);
    dies.kill();
    world.produce(0, 3).await;
    let (member, _) = world.member().await;
    let mut next = member.start(StartOffset::Latest).subscribe([TOPIC]).await.expect("the topic is there");
    tokio::time::sleep(SESSION).await;
    assert_eq!(drain(&mut next).await, ["0:5", "0:6", "0:7"]);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_assignment_and_come_back_under_a_new_number() {
    let mut world = World::new(1).await;
    world.produce(0, 3).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let mut stream = assigned(&mut events).await.remove(0);
    let (member, other_dies) = world.member().await;
    let other = member.subscribe([TOPIC]).await.expect("the topic is there");
    let revocation = revoked(&mut events).await;
    assert!(stream.next().await.is_none(), "what was fetched and not taken is dropped");
    let old = stream.assignment();
    drop(revocation);
    other_dies.kill();
    drop(other);
    let mut mine = BTreeMap::new();
    while mine.is_empty() {
        match timeout(SESSION + REBALANCE, events.next()).await.expect("in time").expect("no error") {
            Some(Event::Assigned(streams)) => {
                mine.extend(streams.into_iter().map(|it| (it.assignment(), it)));
            }
            Some(Event::Revoked(_)) => (),
            other => panic!("{other:?}"),
        }
    }
    let (number, mut stream) = mine.pop_first().expect("it is not empty");
    assert!(number > old);
    let batch = stream.next().await.expect("it goes on").expect("no error");
    assert_eq!((batch.len(), batch.assignment()), (3, number));
    assert_eq!(commit_one(&committer, commit(0, number, batch.next_offset())).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_forgotten_loses_its_partitions_and_joins_again() {
    let mut world = World::new(1).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let assignment = assigned(&mut events).await[0].assignment();
    world.expel_everybody().await;
    match timeout(SOON, events.next()).await.expect("in time").expect("no error") {
        Some(Event::Lost(partitions)) => assert_eq!(partitions, [TopicPartition::new(TOPIC, 0)]),
        other => panic!("{other:?}"),
    }
    assert_eq!(commit_one(&committer, commit(0, assignment, 1)).await, Err(ErrorKind::Retired));
    assert!(assigned(&mut events).await[0].assignment() > assignment);
}

/// Offsets of the old topic mean nothing in the new one, and would keep those of the new one from being committed.
#[tokio::test(start_paused = true)]
async fn a_topic_that_is_made_anew_is_assigned_anew_and_committed_from_its_beginning() {
    let mut world = World::new(1).await;
    world.produce(0, 30).await;
    let (member, _) = world.member().await;
    let (admin, _) = world.client().await;
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let mut notices = consumer.notices();
    let old = timeout(SOON, consumer.next()).await.expect("in time").expect("no error").expect("not the end");
    consumer.commit(&old).await.expect("it is assigned");
    assert_eq!(world.committed(0).await.0, 30);
    admin.admin().delete_topic(TOPIC).await.expect("it is deleted");
    admin.admin().create_topic(NewTopic::new(TOPIC).partitions(1)).await.expect("it is made anew");
    world.produce(0, 3).await;
    let seen = timeout(SESSION * 40, consumer.next()).await.expect("in time").expect("no error");
    let new = seen.expect("not the end");
    assert_eq!(values(&new), ["0:30", "0:31", "0:32"]);
    assert!(new.assignment() > old.assignment());
    consumer.commit(&new).await.expect("it is assigned");
    assert_eq!(world.committed(0).await.0, 3);
    let late = consumer.commit(&old).await.expect_err("it is of another topic");
    assert_eq!(late.kind(), ErrorKind::Retired);
    assert_eq!(world.committed(0).await.0, 3);
    let topic_partition = TopicPartition::new(TOPIC, 0);
    let jump = Jump { topic_partition, from: Some(30), to: 0, cause: JumpCause::Recreated };
    assert_eq!(notices.next().await, Some(Notice::Jumped(jump)));
}

#[tokio::test(start_paused = true)]
async fn commits_go_forward_only_and_carry_their_notes() {
    let mut world = World::new(1).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let assignment = assigned(&mut events).await[0].assignment();
    let orders = [5, 9, 3, 8].map(|offset| commit_one(&committer, commit(0, assignment, offset)));
    let [a, b, c, d] = orders;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    assert_eq!([a, b, c, d], [Ok(()); 4]);
    assert_eq!(world.committed(0).await, (9, "up to 9".to_owned()));
    assert_eq!(commit_one(&committer, commit(0, assignment, 2)).await, Ok(()));
    assert_eq!(world.committed(0).await.0, 9);
}

#[tokio::test(start_paused = true)]
async fn who_drops_its_member_leaves_the_group_before_the_session_ends() {
    let mut world = World::new(2).await;
    let (member, _) = world.member().await;
    let (mut stays, _committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    assigned(&mut stays).await;
    let (member, _) = world.member().await;
    let goes = member.subscribe([TOPIC]).await.expect("the topic is there");
    drop(revoked(&mut stays).await);
    assert_eq!(assigned(&mut stays).await.len(), 1);
    drop(goes);
    let left = Instant::now();
    drop(revoked(&mut stays).await);
    assert_eq!(assigned(&mut stays).await.len(), 2);
    assert!(left.elapsed() < SESSION / 2, "{:?}", left.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_events_does_not_stop_heartbeats() {
    let mut world = World::new(1).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    tokio::time::sleep(SESSION * 5).await;
    let assignment = assigned(&mut events).await[0].assignment();
    assert_eq!(commit_one(&committer, commit(0, assignment, 1)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn without_an_offset_and_a_rule_where_to_start_it_is_an_error() {
    let mut world = World::new(1).await;
    let (member, _) = world.member().await;
    let mut consumer = member.start(StartOffset::None).subscribe([TOPIC]).await.expect("the topic is there");
    let error = consumer.next().await.expect_err("nothing is committed");
    assert_eq!(error.kind(), ErrorKind::NoOffset);
    assert!(error.to_string().contains(TOPIC) && error.to_string().contains(GROUP), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_subscribed_to_is_refused_by_name() {
    let mut world = World::with(Broker::in_memory().auto_create_topics(false)).await;
    let (member, _) = world.member().await;
    let error = member.clone().subscribe(["nowhere"]).await.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(error.to_string().contains("nowhere"), "{error}");
    let none = Vec::<String>::new();
    assert_eq!(member.clone().subscribe(none).await.expect_err("no topics").kind(), ErrorKind::Config);
    let hasty = member.heartbeat_interval(SESSION);
    assert_eq!(hasty.subscribe([TOPIC]).await.expect_err("too seldom").kind(), ErrorKind::Config);
    let (client, _) = world.client().await;
    let error = client.consumer().subscribe([TOPIC]).await.expect_err("no group");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn members_with_different_topics_each_get_their_own() {
    let mut world = World::with(Broker::in_memory().topic("orders", 2).topic("refunds", 2)).await;
    let (member, _) = world.member().await;
    let (mut one, _one) = member.subscribe(["orders"]).await.expect("the topic is there").split();
    assert_eq!(assigned(&mut one).await.len(), 2);
    let (member, _) = world.member().await;
    let (mut two, _two) = member.subscribe(["refunds"]).await.expect("the topic is there").split();
    drop(revoked(&mut one).await);
    let (one, two) = tokio::join!(assigned(&mut one), assigned(&mut two));
    let topics = |streams: &[PartitionStream]| -> Vec<String> {
        streams.iter().map(|stream| stream.topic_partition().to_string()).collect()
    };
    assert_eq!(topics(&one), ["orders-0", "orders-1"]);
    assert_eq!(topics(&two), ["refunds-0", "refunds-1"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_of_the_broker_members_go_on_with_what_they_have() {
    let mut world = World::new(1).await;
    world.produce(0, 9).await;
    let (member, _) = world.member().await;
    let (mut events, committer) = member.subscribe([TOPIC]).await.expect("the topic is there").split();
    let mut stream = assigned(&mut events).await.remove(0);
    assert_eq!(commit_one(&committer, commit(0, stream.assignment(), 4)).await, Ok(()));
    world.restart_broker().await;
    let batch = stream.next().await.expect("it goes on").expect("no error");
    assert_eq!(values(&batch).first().map(String::as_str), Some("0:0"));
    let later = timeout(SESSION, commit_one(&committer, commit(0, stream.assignment(), 6)));
    assert_eq!(later.await.expect("in time"), Ok(()));
    assert!(timeout(SESSION * 3, events.next()).await.is_err(), "nothing was lost or given back");
    assert_eq!(world.committed(0).await.0, 6);
}
