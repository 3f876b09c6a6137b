//! Flows against the embedded broker, over pipes, on tokio's paused clock.

mod pipeline;
mod world;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use vltava_client::StartOffset;
use vltava_flow::{Commit, Context, ErrorKind, Flow, Handler, Order, Outcome, Prefetch, Ready, Record};
use world::{PARTITIONS, Seen, Working, World, needless, soon};

const RECORDS: usize = 400;

/// A flow whose handlers take a while that chance decides.
fn working(flow: Flow, seen: &Seen, seed: u64) -> Ready<impl Handler> {
    flow.handler(Working::new(seen, seed))
}

#[tokio::test(start_paused = true)]
async fn ten_workers_keep_the_order_of_each_key_and_commit_all() {
    for seed in 0..6 {
        let mut world = World::new(seed).await;
        world.produce(RECORDS, 30).await;
        let seen = Seen::default();
        let flow = world.flow().await.workers(10).shards(1 + seed as u32 % 3).until_caught_up();
        let summary = soon(working(flow, &seen, seed).run()).await.expect("nothing fails");
        assert_eq!(summary.done as usize, RECORDS, "seed {seed}");
        assert_eq!((seen.numbers().len(), seen.repeats()), (RECORDS, 0), "seed {seed}");
        assert_eq!(seen.out_of_order(), [""; 0], "seed {seed}");
        assert!((2..=10).contains(&seen.most_at_work()), "seed {seed}: {:?}", seen.most_at_work());
        assert_eq!(world.committed().await, world.ends().await, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_hot_key_does_not_hold_up_the_others() {
    let mut world = World::new(1).await;
    world.produce(RECORDS, 1).await;
    let seen = Seen::default();
    let flow = world.flow().await.workers(10).until_caught_up();
    soon(working(flow, &seen, 1).run()).await.expect("nothing fails");
    assert_eq!((seen.most_at_work(), seen.numbers().len()), (1, RECORDS));
    assert_eq!(seen.out_of_order(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn order_by_partition_works_on_one_record_of_each() {
    let mut world = World::new(1).await;
    world.produce(RECORDS, 30).await;
    let seen = Seen::default();
    let flow = world.flow().await.order(Order::Partition).workers(10).until_caught_up();
    soon(working(flow, &seen, 1).run()).await.expect("nothing fails");
    assert_eq!(seen.numbers().len(), RECORDS);
    assert!(seen.most_at_work() <= PARTITIONS as usize);
    let offsets =
        |partition| seen.done().iter().filter(|it| it.1 == partition).map(|it| it.2).collect::<Vec<_>>();
    assert!((0..PARTITIONS).all(|partition| offsets(partition).is_sorted()));
}

#[tokio::test(start_paused = true)]
async fn without_order_all_workers_are_at_work_on_one_key() {
    let mut world = World::new(1).await;
    world.produce(RECORDS, 1).await;
    let seen = Seen::default();
    let flow = world.flow().await.order(Order::None).workers(7).until_caught_up();
    soon(working(flow, &seen, 1).run()).await.expect("nothing fails");
    assert_eq!((seen.numbers().len(), seen.most_at_work()), (RECORDS, 7));
}

#[tokio::test(start_paused = true)]
async fn shards_share_the_workers_fairly() {
    let mut world = World::new(1).await;
    world.produce(4 * RECORDS, 300).await;
    let done = Arc::new(Mutex::new([0; PARTITIONS as usize]));
    let counted = done.clone();
    let flow = world.flow().await.workers(10).shards(PARTITIONS as u32).each(move |_, record| {
        let counted = counted.clone();
        async move {
            sleep(Duration::from_millis(5)).await;
            counted.lock().expect("no test panics while it holds this")[record.partition() as usize] += 1;
            Ok(Outcome::Done)
        }
    });
    let handle = flow.start().await.expect("it starts");
    let total = || done.lock().expect("no test panics while it holds this").iter().sum::<usize>();
    world.until("half is done", async |_| total() >= 2 * RECORDS).await;
    let done = *done.lock().expect("no test panics while it holds this");
    assert!(done.iter().all(|it| *it > RECORDS / 4), "{done:?}");
    handle.stop(Duration::from_secs(10)).await.expect("it stops");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_stops_the_flow_is_named_and_comes_again() {
    for panics in [false, true] {
        let mut world = World::new(1).await;
        world.produce(RECORDS, 30).await;
        let (seen, fails) = (Seen::default(), Arc::new(AtomicBool::new(true)));
        for attempt in 0..2 {
            let (inner, failing) = (seen.clone(), fails.clone());
            let flow = world.flow().await.until_caught_up().each(move |_, record| {
                let (seen, fails) = (inner.clone(), failing.load(Ordering::Relaxed));
                async move {
                    if record.value() == Some(b"237") && fails {
                        assert!(!panics, "on purpose");
                        return Err("no such trade".into());
                    }
                    sleep(Duration::from_millis(1)).await;
                    seen.begin(record).end();
                    Ok(Outcome::Done)
                }
            });
            let ended = soon(flow.run()).await;
            if attempt == 1 {
                ended.expect("nothing fails now");
                break;
            }
            let error = ended.expect_err("a record fails");
            assert_eq!(error.kind(), ErrorKind::Record);
            let told = format!("{error:?}");
            assert!(told.starts_with("trades-") && told.contains("(key key-27) failed: "), "{told}");
            assert!(told.ends_with(if panics { "panicked: on purpose" } else { "no such trade" }), "{told}");
            let committed = world.committed().await;
            for (number, partition, offset) in &seen.done() {
                assert!(*number != 237, "{partition}@{offset}");
            }
            assert!(committed.values().sum::<i64>() < RECORDS as i64);
            fails.store(false, Ordering::Relaxed);
            seen.restart();
        }
        assert_eq!(seen.numbers().len(), RECORDS);
        assert_eq!(world.committed().await, world.ends().await);
    }
}

#[tokio::test(start_paused = true)]
async fn commits_come_after_so_many_records_and_after_so_long() {
    let mut world = World::new(1).await;
    world.produce(RECORDS, 30).await;
    let long = Duration::from_secs(200);
    for (commit, group) in [
        (Commit { min_count: 50, interval: long }, "by count"),
        (Commit { min_count: u64::MAX, interval: Duration::from_millis(500) }, "by time"),
    ] {
        let flow = Flow::from(world::TOPIC).client(world.client().await).group(group).commit(commit);
        let handle = working(flow, &Seen::default(), 1).start().await.expect("it starts");
        world
            .until("all but the last are committed", async |world| {
                let admin = world.client().await.admin();
                let committed = admin.committed_offsets(group).await.expect("the broker knows");
                committed.values().map(|it| it.offset).sum::<i64>() > RECORDS as i64 - 50
            })
            .await;
        handle.stop(long).await.expect("it stops");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_member_takes_over_in_order_and_without_loss() {
    for seed in 0..5 {
        let mut world = World::new(seed).await;
        world.produce(RECORDS, 30).await;
        let seen = Seen::default();
        let one =
            working(world.flow().await.workers(3).shards(2), &seen, seed).start().await.expect("it starts");
        sleep(Duration::from_millis(50 + seed * 20)).await;
        let other =
            working(world.flow().await.workers(3), &seen, seed + 50).start().await.expect("it starts");
        world
            .until("both have partitions", async |_| {
                let (one, other) = (one.control().stats().await, other.control().stats().await);
                let partitions = [one, other].map(|it| it.expect("it runs").partitions.len());
                partitions == [2, 2]
            })
            .await;
        world.produce(RECORDS, 30).await;
        let (before, committed) = (seen.done().len(), world.committed().await);
        world.until("all is committed", async |world| world.committed().await == world.ends().await).await;
        one.stop(Duration::from_secs(10)).await.expect("it stops");
        other.stop(Duration::from_secs(10)).await.expect("it stops");
        assert_eq!(seen.done().iter().map(|it| (it.1, it.2)).collect::<BTreeSet<_>>().len(), 2 * RECORDS);
        assert_eq!(needless(&seen.done()[before..], &committed), [], "seed {seed}");
        assert_eq!(seen.out_of_order(), [""; 0], "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_ends_is_cut_short_when_its_partition_is_wanted() {
    let mut world = World::new(1).await;
    world.produce(40, 40).await;
    let stuck = world.flow().await.workers(40).each(|_, _| std::future::pending());
    let stuck = stuck.start().await.expect("it starts");
    sleep(Duration::from_secs(5)).await;
    assert!(stuck.control().stats().await.expect("it runs").in_flight > 0);
    let seen = Seen::default();
    let other = working(world.flow().await, &seen, 1).start().await.expect("it starts");
    world.until("the other works", async |_| !seen.done().is_empty()).await;
    assert!(stuck.control().stats().await.expect("it runs").cut_short > 0);
    let overdue = stuck.stop(Duration::from_secs(1)).await.expect_err("its handlers never end");
    assert_eq!(overdue.kind(), ErrorKind::Overdue);
    world.until("the other has it all", async |_| seen.numbers().len() == 40).await;
    other.stop(Duration::from_secs(10)).await.expect("it stops");
    assert_eq!(world.committed().await, world.ends().await);
}

#[tokio::test(start_paused = true)]
async fn what_repeats_after_a_crash_was_not_committed() {
    for seed in 0..5 {
        let mut world = World::new(seed).await;
        world.produce(RECORDS, 30).await;
        let seen = Seen::default();
        let commit = Commit { min_count: 20, ..Commit::default() };
        for crash in 0..4 {
            let flow = working(world.flow().await.workers(5).commit(commit), &seen, seed + crash);
            let handle = flow.start().await.expect("it starts");
            let (before, committed) = (seen.done().len(), world.committed().await);
            let some =
                async |_: &mut World| seen.done().len() > before + 30 || seen.numbers().len() == RECORDS;
            world.until("some are done", some).await;
            handle.control().abort();
            assert_eq!(soon(handle.wait()).await.expect_err("it was aborted").kind(), ErrorKind::Interrupted);
            assert_eq!(needless(&seen.done()[before..], &committed), [], "seed {seed}");
            seen.restart();
        }
        soon(working(world.flow().await.until_caught_up(), &seen, seed).run()).await.expect("nothing fails");
        assert_eq!(seen.numbers().len(), RECORDS, "seed {seed}");
        assert_eq!(world.committed().await, world.ends().await, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_flow_finishes_what_is_at_work_and_frees_its_partitions_at_once() {
    let mut world = World::new(1).await;
    world.produce(RECORDS, 30).await;
    let seen = Seen::default();
    let handle = working(world.flow().await.workers(5), &seen, 1).start().await.expect("it starts");
    world.until("some are done", async |_| seen.done().len() > 100).await;
    let summary = soon(handle.stop(Duration::from_secs(10))).await.expect("it stops");
    let (before, committed) = (seen.done().len(), world.committed().await);
    assert_eq!(summary.done as usize, before);
    assert!(committed.values().sum::<i64>() > 50, "{committed:?}");
    seen.restart();
    let flow = working(world.flow().await.until_caught_up(), &seen, 2);
    soon(flow.run()).await.expect("nothing fails");
    assert_eq!(seen.numbers().len(), RECORDS);
    assert_eq!(needless(&seen.done()[before..], &committed), []);
}

#[tokio::test(start_paused = true)]
async fn every_stop_is_heard_however_many_came_before() {
    let mut world = World::new(1).await;
    world.produce(40, 40).await;
    // Nothing but a stop wakes it.
    let commit = Commit { interval: Duration::from_secs(600), ..Commit::default() };
    let stuck = world.flow().await.commit(commit).each(|_, _| std::future::pending());
    let stuck = stuck.start().await.expect("it starts");
    sleep(Duration::from_secs(5)).await;
    for within in [60, 50] {
        stuck.control().stop(Duration::from_secs(within));
        sleep(Duration::from_millis(10)).await;
    }
    let start = Instant::now();
    let overdue = stuck.stop(Duration::from_secs(1)).await.expect_err("its handlers never end");
    assert_eq!(overdue.kind(), ErrorKind::Overdue);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_ends_does_not_keep_a_flow_from_stopping() {
    struct Stuck;
    impl Handler for Stuck {
        async fn handle(&self, _: Context, _: Record) -> Result<Outcome, vltava_flow::Failure> {
            Ok(Outcome::Done)
        }
        async fn assigned(&self, _: &[vltava_client::TopicPartition]) {
            std::future::pending::<()>().await;
        }
    }
    let mut world = World::new(1).await;
    world.produce(10, 10).await;
    let stuck = world.flow().await.handler(Stuck).start().await.expect("it starts");
    sleep(Duration::from_secs(5)).await;
    let start = Instant::now();
    let summary = soon(stuck.stop(Duration::from_secs(1))).await.expect("there was nothing to finish");
    assert_eq!(summary.done, 0);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_prefetch_of_one_record_still_gets_through() {
    let mut world = World::new(1).await;
    world.produce(50, 5).await;
    let seen = Seen::default();
    let prefetch = Prefetch { records: 1, bytes: 1, total_bytes: 1 };
    let flow = world.flow().await.prefetch(prefetch).until_caught_up();
    soon(working(flow, &seen, 1).run()).await.expect("nothing fails");
    assert_eq!(seen.numbers().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn an_empty_topic_is_caught_up() {
    let mut world = World::new(1).await;
    let flow = working(world.flow().await.until_caught_up(), &Seen::default(), 1);
    assert_eq!(soon(flow.run()).await.expect("nothing fails").done, 0);
}

#[tokio::test(start_paused = true)]
async fn hooks_hear_of_partitions_before_their_records_and_after_the_last() {
    #[derive(Clone, Default)]
    struct Hooked(Arc<Mutex<Vec<String>>>);
    impl Hooked {
        fn note(&self, what: String) {
            self.0.lock().expect("no test panics while it holds this").push(what);
        }
    }
    impl Handler for Hooked {
        async fn handle(&self, _: Context, record: Record) -> Result<Outcome, vltava_flow::Failure> {
            self.note(format!("record of {}", record.partition()));
            Ok(Outcome::Skip)
        }
        async fn assigned(&self, partitions: &[vltava_client::TopicPartition]) {
            self.note(format!("assigned {}", partitions.len()));
        }
        async fn revoked(&self, partitions: &[vltava_client::TopicPartition]) {
            self.note(format!("revoked {}", partitions.len()));
        }
    }
    let mut world = World::new(1).await;
    world.produce(10, 10).await;
    let hooked = Hooked::default();
    let one = world.flow().await.handler(hooked.clone()).start().await.expect("it starts");
    world.until("all is done", async |_| hooked.0.lock().unwrap().len() == 11).await;
    let other = working(world.flow().await, &Seen::default(), 1).start().await.expect("it starts");
    world.until("they share", async |_| hooked.0.lock().unwrap().len() == 13).await;
    let noted = hooked.0.lock().unwrap().clone();
    assert_eq!(
        (noted[0].as_str(), noted[11].as_str(), noted[12].as_str()),
        ("assigned 4", "revoked 4", "assigned 2")
    );
    one.stop(Duration::from_secs(10)).await.expect("it stops");
    other.stop(Duration::from_secs(10)).await.expect("it stops");
}

#[tokio::test(start_paused = true)]
async fn after_a_flush_that_failed_nothing_is_committed() {
    #[derive(Default)]
    struct Forgetful(AtomicBool);
    impl Handler for Forgetful {
        async fn handle(&self, _: Context, _: Record) -> Result<Outcome, vltava_flow::Failure> {
            Ok(Outcome::Done)
        }
        async fn flush(&self) -> Result<(), vltava_flow::Failure> {
            if self.0.swap(true, Ordering::Relaxed) { Ok(()) } else { Err("the disk is full".into()) }
        }
    }
    let mut world = World::new(1).await;
    world.produce(RECORDS, 30).await;
    let flow = world.flow().await.shards(2).workers(2).handler(Forgetful::default());
    let error = soon(flow.run()).await.expect_err("its first flush fails");
    assert_eq!(error.kind(), ErrorKind::Sink);
    assert!(world.committed().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_begins_anew_is_worked_on_from_its_beginning() {
    let mut world = World::new(1).await;
    world.produce(RECORDS, 30).await;
    let flow = world.flow().await.start_at(StartOffset::Earliest);
    let seen = Seen::default();
    let handle = working(flow, &seen, 1).start().await.expect("it starts");
    world.until("all is committed", async |world| world.committed().await == world.ends().await).await;
    world.begin_anew().await;
    world.produce(30, 30).await;
    world
        .until("all that is new is committed", async |world| world.committed().await == world.ends().await)
        .await;
    handle.stop(Duration::from_secs(10)).await.expect("it stops");
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_fails_before_its_first_batch_keeps_its_commit() {
    /// Comes so late to its partitions that there is news of them already.
    struct Late;
    impl Handler for Late {
        async fn handle(&self, _: Context, _: Record) -> Result<Outcome, vltava_flow::Failure> {
            Ok(Outcome::Done)
        }
        async fn assigned(&self, _: &[vltava_client::TopicPartition]) {
            sleep(Duration::from_secs(5)).await;
        }
    }
    let mut world = World::new(1).await;
    world.produce(RECORDS, 30).await;
    world.commit_everywhere(1_000).await;
    let committed = world.committed().await;
    let flow = world.flow().await.start_at(StartOffset::None).shards(1);
    let error = soon(flow.handler(Late).run()).await.expect_err("the offsets are not there");
    assert_eq!(error.kind(), ErrorKind::Client, "{error:?}");
    assert_eq!(world.committed().await, committed);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let mut world = World::new(1).await;
    let client = world.client().await;
    let flow = || Flow::from("trades").client(client.clone()).group("g");
    for (flow, message) in [
        (Flow::from("trades").client(client.clone()), "a flow needs a group"),
        (Flow::from("trades").group("g"), "a flow needs brokers, or a client"),
        (Flow::from([]).client(client.clone()).group("g"), "a flow needs a topic"),
        (flow().workers(0), "a flow needs a worker"),
        (flow().commit(Commit { min_count: 0, ..Commit::default() }), "a commit counts at least one record"),
    ] {
        let error = flow.each(|_, _| async { Ok(Outcome::Done) }).start().await.expect_err(message);
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, message));
    }
}
