//! What the user of a member has: hooks in order with the records, commits in all their ways, waiting that ends, and
//! a member that gives its partitions away while its user is stuck.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use vltava_broker::Broker;
use vltava_client::{
    Assigned, CommittedOffset, Consumer, ConsumerRecord, ErrorKind, NewTopic, Notice, Offset, Revoked,
    TopicPartition, Within,
};

use crate::{
    SOON, drain, values,
    world::{GROUP, REBALANCE, SESSION, TOPIC, World},
};

fn text(record: &ConsumerRecord) -> String {
    String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned()
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, number)
}

/// The next record, which comes soon.
async fn record(consumer: &mut Consumer) -> ConsumerRecord {
    let next = timeout(SESSION + REBALANCE, consumer.recv()).await.expect("in time").expect("no error");
    next.expect("it is a member")
}

/// Asks for records until a time is over, and gets none.
async fn none(consumer: &mut Consumer, time: Duration) {
    let got = consumer.recv_within(time).await.expect("no error");
    assert!(matches!(got, Within::Nothing), "{got:?}");
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().expect("nobody panics with it").push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("nobody panics with it"))
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_are_called_between_records_and_nothing_of_what_is_revoked_comes_after() {
    let mut world = World::new(2).await;
    world.produce_everywhere(2, 3).await;
    let diary = Diary::default();
    let (come, gone) = (diary.clone(), diary.clone());
    let (member, _) = world.member().await;
    let member = member.on_assigned(move |mut it: Assigned| {
        let diary = come.clone();
        async move {
            sleep(SOON).await;
            // Newly assigned partitions begin where the hook says.
            it.streams().iter_mut().for_each(|stream| stream.seek(2));
            diary.note(format!("assigned {}", it.streams().len()));
        }
    });
    let member = member.on_revoked(move |it: Revoked| {
        let diary = gone.clone();
        async move {
            it.commit_all().await.expect("it is still assigned");
            diary.note(format!("revoked {}", it.partitions.len()));
        }
    });
    let mut first = member.subscribe([TOPIC]).await.expect("the topic is there");
    for _ in 0..2 {
        let record = record(&mut first).await;
        assert_eq!(record.offset(), 2);
        diary.note(text(&record));
    }
    let mut lines = diary.take();
    assert_eq!(lines.remove(0), "assigned 2");
    lines.sort();
    assert_eq!(lines, ["0:2", "1:2"]);

    world.produce_everywhere(2, 1).await;
    let (member, _) = world.member().await;
    let mut second = member.subscribe([TOPIC]).await.expect("the topic is there");
    sleep(SOON).await;
    let (ours, theirs) = tokio::join!(timeout(REBALANCE, first.recv()), timeout(REBALANCE, second.recv()));
    let ours = ours.expect("in time").expect("no error").expect("a member");
    let theirs = theirs.expect("in time").expect("no error").expect("a member");
    let lines = diary.take();
    assert_eq!(lines.first().map(String::as_str), Some("revoked 2"), "{lines:?}");
    // What was in hand when more was asked for counts as finished, and the hook has committed it.
    assert_eq!(theirs.offset(), 3);
    assert_ne!(ours.partition(), theirs.partition());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_does_not_end_is_dropped_and_said_to_be() {
    let mut world = World::new(1).await;
    world.produce(0, 1).await;
    let (member, _) = world.member().await;
    let member = member.unfinished_max(SESSION * 3).on_assigned(|_| std::future::pending());
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let error = timeout(SESSION * 4, consumer.recv()).await.expect("in time").expect_err("it hangs");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("on_assigned"), "{error}");
    assert_eq!(text(&record(&mut consumer).await), "0:0", "who goes on all the same can");
}

/// A user that is dropped in the middle of a hook, as by a `select!`, finds it where it was.
#[tokio::test(start_paused = true)]
async fn a_hook_goes_on_where_it_was_when_the_waiting_is_given_up() {
    let mut world = World::new(1).await;
    world.produce(0, 1).await;
    let diary = Diary::default();
    let noted = diary.clone();
    let (member, _) = world.member().await;
    let member = member.on_assigned(move |_| {
        let diary = noted.clone();
        async move {
            diary.note("begun");
            sleep(SOON).await;
            diary.note("ended");
        }
    });
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    for _ in 0..20 {
        let _ = timeout(Duration::from_millis(700), consumer.recv()).await;
    }
    assert_eq!(diary.take(), ["begun", "ended"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_finished_is_committed_by_itself_and_what_is_in_hand_is_not() {
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let (member, _) = world.member().await;
    let mut consumer = member.auto_commit(true).subscribe([TOPIC]).await.expect("the topic is there");
    let mut notices = consumer.notices();
    record(&mut consumer).await;
    record(&mut consumer).await;
    let third = record(&mut consumer).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(world.committed(0).await.0, 2, "the third is in hand");
    let told = timeout(SOON, notices.next()).await.expect("it is told");
    assert!(matches!(&told, Some(Notice::Committed { commits }) if commits[0].offset == 2), "{told:?}");
    consumer.store_offset(&third).expect("it is assigned");
    sleep(Duration::from_secs(6)).await;
    assert_eq!(world.committed(0).await.0, 3, "it was stored");
    record(&mut consumer).await;
    consumer.shutdown(SOON).await.expect("the broker is there");
    assert_eq!(world.committed(0).await.0, 3, "the fourth was in hand until the end");
}

#[tokio::test(start_paused = true)]
async fn off_means_off_also_at_the_end_and_when_partitions_are_given_back() {
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let (member, _) = world.member().await;
    let mut first = member.subscribe([TOPIC]).await.expect("the topic is there");
    record(&mut first).await;
    record(&mut first).await;
    let (member, _) = world.member().await;
    let second = member.subscribe([TOPIC]).await.expect("the topic is there");
    let _ = first.recv_within(REBALANCE).await.expect("no error");
    first.shutdown(SOON).await.expect("the broker is there");
    drop(second);
    sleep(SESSION).await;
    assert_eq!(world.committed(0).await.0, -1);
}

#[tokio::test(start_paused = true)]
async fn automatic_commits_go_out_before_partitions_do_and_when_the_consumer_is_dropped() {
    let mut world = World::new(2).await;
    world.produce_everywhere(2, 5).await;
    let (member, _) = world.member().await;
    let member = member.auto_commit(true).auto_commit_interval(Duration::from_secs(3_600));
    let mut first = member.clone().subscribe([TOPIC]).await.expect("the topic is there");
    for _ in 0..10 {
        record(&mut first).await;
    }
    let (other, dies) = world.member().await;
    let second = other.subscribe([TOPIC]).await.expect("the topic is there");
    none(&mut first, REBALANCE).await;
    assert_eq!((world.committed(0).await.0, world.committed(1).await.0), (5, 5));
    dies.kill();
    drop(second);
    none(&mut first, SESSION * 2).await;
    world.produce_everywhere(2, 1).await;
    record(&mut first).await;
    record(&mut first).await;
    none(&mut first, SOON).await;
    drop(first);
    sleep(SESSION / 2).await;
    assert_eq!((world.committed(0).await.0, world.committed(1).await.0), (6, 6));
}

#[tokio::test(start_paused = true)]
async fn without_auto_store_only_what_was_stored_is_committed() {
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let (member, _) = world.member().await;
    let member = member.auto_store(false).auto_commit(true);
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let first = record(&mut consumer).await;
    let second = record(&mut consumer).await;
    record(&mut consumer).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(world.committed(0).await.0, -1);
    consumer.commit_all().await.expect("there is nothing to commit");
    assert_eq!(world.committed(0).await.0, -1);
    consumer.store_offset(&second).expect("it is assigned");
    consumer.store_offset(&first).expect("it is below");
    consumer.commit_all().await.expect("it is assigned");
    assert_eq!(world.committed(0).await.0, 2);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_one_by_one_all_at_once_and_on_the_way() {
    let mut world = World::new(2).await;
    world.produce_everywhere(2, 5).await;
    let (client, _) = world.client().await;
    let member = client.consumer().group(GROUP);
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let mut notices = consumer.notices();
    let got = consumer.recv_many(4, SOON).await.expect("no error").came().expect("there are some");
    assert_eq!(got.len(), 4);
    consumer.commit_all().await.expect("it is assigned");
    let (zero, one) = (world.committed(0).await.0.max(0), world.committed(1).await.0.max(0));
    assert_eq!(zero + one, 4, "all that was handed out");

    let note = |offset| CommittedOffset { offset, leader_epoch: 0, metadata: format!("up to {offset}") };
    consumer.commit_offsets([(partition(0), note(5))]).await.expect("it is assigned");
    assert_eq!(world.committed(0).await, (5, "up to 5".to_owned()));
    let elsewhere = consumer.commit_offsets([(TopicPartition::new("returns", 0), note(5))]).await;
    assert_eq!(elsewhere.expect_err("it is not assigned").kind(), ErrorKind::Retired);
    let committed =
        consumer.committed([partition(0), TopicPartition::new(TOPIC, 1)]).await.expect("an answer");
    assert_eq!(committed.get(&partition(0)), Some(&note(5)));

    let rest = drain_uncommitted(&mut consumer).await;
    for record in &rest {
        consumer.commit_async(record).expect("it is assigned");
    }
    let Some(Notice::Committed { .. }) = timeout(SOON, notices.next()).await.expect("it is told") else {
        panic!("it was committed")
    };
    sleep(SOON).await;
    assert_eq!((world.committed(0).await.0, world.committed(1).await.0), (5, 5));
    let metrics = client.metrics();
    assert!(metrics.commits >= 3 && metrics.commits_failed == 0, "{metrics:?}");
}

async fn drain_uncommitted(consumer: &mut Consumer) -> Vec<ConsumerRecord> {
    let mut records = Vec::new();
    while let Within::Came(record) = consumer.recv_within(SOON).await.expect("no error") {
        records.push(record);
    }
    records
}

/// C4.
#[tokio::test(start_paused = true)]
async fn who_ends_after_its_partition_was_given_to_another_commits_nothing_of_it() {
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let (member, _) = world.member().await;
    let mut slow = member.subscribe([TOPIC]).await.expect("the topic is there");
    let held = record(&mut slow).await;
    let (member, _) = world.member().await;
    let mut next = member.subscribe([TOPIC]).await.expect("the topic is there");
    let (ours, theirs) = tokio::join!(drain(&mut slow), drain(&mut next));
    assert_eq!(ours.len() + theirs.len(), 4, "the rest, which was committed, and what is held with it");
    let committer = slow.committer().clone();
    assert_eq!(slow.commit_record(&held).await.expect_err("it was given back").kind(), ErrorKind::Retired);
    assert_eq!(committer.store(&held).expect_err("it was given back").kind(), ErrorKind::Retired);
    assert_eq!(slow.commit_async(&held).expect_err("it was given back").kind(), ErrorKind::Retired);
    assert_eq!(world.committed(0).await.0, 5, "what was committed since stands");
}

/// C2.
#[tokio::test(start_paused = true)]
async fn a_partition_that_was_paused_and_went_away_is_read_when_it_comes_back() {
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let (member, _) = world.member().await;
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let batch = timeout(SOON, consumer.next()).await.expect("in time").expect("no error").expect("a member");
    assert_eq!(values(&batch).len(), 5);
    consumer.commit(&batch).await.expect("it is assigned");
    consumer.partition(&partition(0)).expect("it is assigned").pause();
    world.produce(0, 5).await;
    none(&mut consumer, SOON).await;
    world.expel_everybody().await;
    assert_eq!(text(&record(&mut consumer).await), "0:5");
}

/// C5.
#[tokio::test(start_paused = true)]
async fn what_was_fetched_of_a_partition_that_is_given_back_is_not_handed_out() {
    let mut world = World::new(2).await;
    world.produce_everywhere(2, 50).await;
    let (member, _) = world.member().await;
    let mut first = member.subscribe([TOPIC]).await.expect("the topic is there");
    let begun = record(&mut first).await;
    let (member, _) = world.member().await;
    let mut second = member.subscribe([TOPIC]).await.expect("the topic is there");
    let (ours, theirs) = tokio::join!(drain_uncommitted(&mut first), drain_uncommitted(&mut second));
    for (name, records) in [("first", &ours), ("second", &theirs)] {
        let mut by_assignment = BTreeMap::<_, Vec<i64>>::new();
        for it in records {
            by_assignment.entry((it.partition(), it.assignment())).or_default().push(it.offset());
        }
        for (it, offsets) in by_assignment.iter().filter(|it| it.0.1 > begun.assignment() || name == "second")
        {
            assert_eq!(*offsets, (0..50).collect::<Vec<_>>(), "{name} {it:?}");
        }
        let assigned: Vec<_> = by_assignment.keys().filter(|it| it.1 > begun.assignment()).collect();
        assert!(name == "second" || assigned.len() == 1, "{assigned:?}");
    }
}

/// C15.
#[tokio::test(start_paused = true)]
async fn who_is_stuck_on_a_record_loses_its_partitions_once_and_gets_them_back_when_it_asks_again() {
    const MAX: Duration = Duration::from_secs(80);
    let mut world = World::new(1).await;
    world.produce(0, 5).await;
    let diary = Diary::default();
    let noted = diary.clone();
    let (member, _) = world.member().await;
    let member = member.unfinished_max(MAX).on_lost(move |partitions| {
        let diary = noted.clone();
        async move { diary.note(format!("lost {partitions:?}")) }
    });
    let mut stuck = member.subscribe([TOPIC]).await.expect("the topic is there");
    let mut notices = stuck.notices();
    record(&mut stuck).await;
    sleep(MAX / 4 * 3).await;
    record(&mut stuck).await;
    sleep(MAX / 4 * 3).await;
    let held = record(&mut stuck).await;
    // Neither record took too long. This one does.
    sleep(MAX * 2).await;
    let (member, _) = world.member().await;
    let mut other = member.subscribe([TOPIC]).await.expect("the topic is there");
    let got =
        other.recv_within(SOON).await.expect("no error").came().expect("who is stuck has left the group");
    assert_eq!(text(&got), "0:0", "nothing was committed");
    other.shutdown(SOON).await.expect("the broker is there");
    assert_eq!(text(&record(&mut stuck).await), "0:0");
    assert_eq!(diary.take().len(), 1, "once");
    assert_eq!(stuck.commit_record(&held).await.expect_err("it was lost").kind(), ErrorKind::Retired);
    let mut told = Vec::new();
    while let Ok(Some(notice)) = timeout(SOON, notices.next()).await {
        told.extend(
            matches!(notice, Notice::Slow { .. } | Notice::Stuck { .. }).then(|| format!("{notice:?}")),
        );
    }
    assert_eq!(told.iter().filter(|it| it.starts_with("Stuck")).count(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_records_is_never_stuck_however_long() {
    let mut world = World::new(1).await;
    world.produce(0, 1).await;
    let (member, _) = world.member().await;
    let member = member.unfinished_max(SESSION).on_assigned(async |it: Assigned| drop(it));
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    let assignment = record(&mut consumer).await.assignment();
    none(&mut consumer, SESSION * 50).await;
    world.produce(0, 1).await;
    assert_eq!(record(&mut consumer).await.assignment(), assignment);
}

#[tokio::test(start_paused = true)]
async fn topics_that_match_are_read_as_they_come_and_go() {
    let mut world = World::with(Broker::in_memory().auto_create_topics(false)).await;
    let (member, _) = world.member().await;
    let mut consumer = member.subscribe_pattern("orders.*").await.expect("none has to be there");
    none(&mut consumer, SOON).await;
    let (client, _) = world.client().await;
    client.admin().create_topic(NewTopic::new(TOPIC).partitions(1)).await.expect("it is made");
    client.admin().create_topic(NewTopic::new("my-orders").partitions(1)).await.expect("it is made");
    // Metadata is looked at by itself every few minutes.
    none(&mut consumer, SESSION * 60).await;
    let topics =
        |it: &Consumer| it.partitions().map(|it| it.topic_partition().to_string()).collect::<Vec<_>>();
    assert_eq!(topics(&consumer), ["orders-0"]);
    world.produce(0, 2).await;
    assert_eq!(text(&record(&mut consumer).await), "0:0");
    client.admin().create_topic(NewTopic::new("orders-2").partitions(1)).await.expect("it is made");
    client.admin().delete_topic(TOPIC).await.expect("it is deleted");
    while topics(&consumer) != ["orders-2-0"] {
        let _ = timeout(SESSION * 60, consumer.recv()).await.expect_err("there is nothing more");
    }
    let (member, _) = world.member().await;
    let bad = member.subscribe_pattern("orders(").await.expect_err("it makes no sense");
    assert_eq!(bad.kind(), ErrorKind::Config);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_there_is_waited_for_by_who_says_so() {
    let mut world = World::with(Broker::in_memory().auto_create_topics(false)).await;
    let (member, _) = world.member().await;
    let mut consumer = member.await_topics(true).subscribe([TOPIC]).await.expect("it may come");
    none(&mut consumer, SOON).await;
    let (client, _) = world.client().await;
    client.admin().create_topic(NewTopic::new(TOPIC).partitions(1)).await.expect("it is made");
    world.produce(0, 2).await;
    assert_eq!(text(&record(&mut consumer).await), "0:0");
}

#[tokio::test(start_paused = true)]
async fn none_in_time_is_told_apart_from_having_left() {
    let mut world = World::new(1).await;
    let (member, _) = world.member().await;
    let mut consumer = member.subscribe([TOPIC]).await.expect("the topic is there");
    none(&mut consumer, SOON).await;
    let many = consumer.recv_many(10, SOON).await.expect("no error");
    assert!(matches!(many, Within::Nothing), "{many:?}");
    world.produce(0, 3).await;
    let many = consumer.recv_many(10, SOON).await.expect("no error");
    assert_eq!(many.came().expect("there are some").len(), 3);
    consumer.partition(&partition(0)).expect("it is assigned").seek(Offset::Exact(1));
    let batch = consumer.next_within(SOON).await.expect("no error").came().expect("there is one");
    assert_eq!(values(&batch), ["0:1", "0:2"]);
    consumer.committer().clone().leave(SOON).await.expect("the broker is there");
    assert!(consumer.recv_within(SOON).await.expect("no error").is_ended());
    assert!(consumer.recv_many(10, SOON).await.expect("no error").is_ended());
}
