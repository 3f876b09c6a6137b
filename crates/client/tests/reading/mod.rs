//! How partitions are read: batch by batch or record by record, from where the reader says, and as far as it wants.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use tokio::time::timeout;
use vltava_client::{
    AssignedConsumer, Client, Clock, ErrorKind, Event, Isolation, Moment, Notice, Offset, OffsetAndTimestamp,
    Producer, ProducerRecord, StartOffset, SystemClock, Timestamp, TopicPartition, Watermarks,
};

use crate::world::World;

/// Nothing comes any more if nothing came for so long.
const LONG: Duration = Duration::from_secs(60);

/// The wall stands still, at 2,000 s.
struct Still(SystemClock);

impl Clock for Still {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> Timestamp {
        Timestamp(2_000_000)
    }

    fn sleep_until(&self, at: Moment) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep_until(at)
    }
}

/// A client whose wall clock stands still.
async fn still(world: &World) -> Client {
    let clock = Arc::new(Still(SystemClock::new()));
    world.builder().clock(clock).connect().await.expect("the broker answers")
}

fn orders(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

/// Writes records to `orders`: their values are numbers, their times those of a second each from 1,000 s on.
async fn write(client: &Client, partition: i32, values: std::ops::Range<i64>) {
    let producer = Producer::builder(client).batch_bytes(200).build().expect("a producer");
    for n in values {
        let time = Timestamp(1_000_000 + n * 1_000);
        let record = ProducerRecord::to("orders").partition(partition).timestamp(time).value(n.to_string());
        drop(producer.send(record).await.expect("there is room"));
    }
    producer.flush().await;
}

fn number(value: Option<&[u8]>) -> i64 {
    String::from_utf8_lossy(value.unwrap_or_default()).parse().expect("a number")
}

/// What comes until nothing comes any more.
async fn rest(consumer: &mut AssignedConsumer) -> Vec<i64> {
    let mut seen = Vec::new();
    while let Ok(record) = timeout(LONG, consumer.recv()).await {
        seen.push(number(record.expect("no error is due").expect("it goes on").value()));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn records_and_batches_may_be_read_in_turn() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    write(&client, 0, 0..40).await;
    let mut consumer =
        client.consumer().assign([(orders(0), Offset::Exact(3))]).await.expect("an assignment");
    consumer.stop_at([(orders(0), 40)]);
    let mut seen = Vec::new();
    for n in 3..9 {
        let record = consumer.recv().await.expect("no error").expect("not the end");
        assert_eq!((record.topic(), record.partition(), record.offset()), ("orders", 0, n));
        assert_eq!(consumer.positions()[&orders(0)], n + 1, "what was not handed out does not count");
        seen.push(number(record.value()));
    }
    while let Some(batch) = consumer.next().await.expect("no error") {
        assert_eq!(batch.len(), batch.iter().count());
        assert_eq!(batch.len(), batch.records().count());
        seen.extend(batch.iter().map(|it| number(it.value())));
        let record = consumer.recv().await.expect("no error");
        seen.extend(record.map(|it| number(it.value())));
    }
    assert_eq!(seen, (3..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_a_stream_of_batches_and_has_one_of_records() {
    let world = World::new(&[("orders", 2)]).await;
    let client = world.client().await;
    write(&client, 0, 0..20).await;
    write(&client, 1, 20..40).await;
    let starts = [0, 1].map(|it| (orders(it), Offset::Earliest));
    let ends = [0, 1].map(|it| (orders(it), 20));
    let mut consumer = client.consumer().assign(starts.clone()).await.expect("an assignment");
    consumer.stop_at(ends.clone());
    let records: Vec<_> = consumer.records().map(|it| number(it.expect("no error").value())).collect().await;
    let mut consumer = client.consumer().assign(starts).await.expect("an assignment");
    consumer.stop_at(ends);
    let mut batches = Vec::new();
    while let Some(batch) = StreamExt::next(&mut consumer).await {
        batches.extend(batch.expect("no error").iter().map(|it| number(it.value())));
    }
    for mut seen in [records, batches] {
        seen.sort_unstable();
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_wait_for_a_record_loses_none() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    write(&client, 0, 0..60).await;
    let mut consumer =
        client.consumer().assign([(orders(0), Offset::Earliest)]).await.expect("an assignment");
    let mut seen = Vec::new();
    while seen.len() < 60 {
        if let Ok(record) = timeout(Duration::from_micros(1), consumer.recv()).await {
            seen.push(number(record.expect("no error").expect("not the end").value()));
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_keeps_what_was_fetched_and_the_other_goes_on() {
    let world = World::new(&[("orders", 2)]).await;
    let client = world.client().await;
    write(&client, 0, 0..30).await;
    write(&client, 1, 100..130).await;
    let starts = [0, 1].map(|it| (orders(it), Offset::Earliest));
    let mut consumer = client.consumer().assign(starts).await.expect("an assignment");
    let first = consumer.recv().await.expect("no error").expect("not the end");
    let (paused, other) = (first.topic_partition().clone(), orders(1 - first.partition()));
    let stream = consumer.partition(&paused).expect("it is assigned");
    stream.pause();
    assert!(stream.is_paused());
    let mut seen = rest(&mut consumer).await;
    assert_eq!(seen.len(), 30);
    assert_eq!(consumer.positions()[&other], 30);
    assert_eq!(consumer.positions()[&paused], 1, "it stands in the middle of a batch");
    let fetched = client.metrics().bytes_fetched;
    consumer.partition(&paused).expect("it is assigned").resume();
    // The rest of the batch at hand is there without being fetched again.
    seen.push(number(consumer.recv().await.expect("no error").expect("not the end").value()));
    assert_eq!(client.metrics().bytes_fetched, fetched);
    seen.extend(rest(&mut consumer).await);
    seen.push(number(first.value()));
    seen.sort_unstable();
    assert_eq!(seen, (0..30).chain(100..130).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_reader_goes_where_it_is_told_to() {
    let world = World::new(&[("orders", 1)]).await;
    let client = still(&world).await;
    write(&client, 0, 0..50).await;
    let mut consumer =
        client.consumer().assign([(orders(0), Offset::Earliest)]).await.expect("an assignment");
    consumer.recv().await.expect("no error").expect("not the end");
    let cases = [
        (Offset::Exact(45), 45),
        (Offset::Exact(7), 7),
        (Offset::Earliest, 0),
        (Offset::Timestamp(Timestamp(1_029_500)), 30),
        (Offset::Within(Duration::from_secs(970)), 30),
        (Offset::Latest, 50),
        (Offset::Timestamp(Timestamp(i64::MAX)), 50),
    ];
    for (offset, first) in cases {
        let stream = consumer.partition(&orders(0)).expect("it is assigned");
        stream.seek(offset);
        assert_eq!(stream.position(), offset_of(offset), "{offset:?}");
        let seen = rest(&mut consumer).await;
        assert_eq!(seen, (first..50).collect::<Vec<_>>(), "{offset:?}");
        assert_eq!(consumer.positions()[&orders(0)], 50, "{offset:?}");
    }
}

fn offset_of(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Exact(offset) => Some(offset),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stood_still_by_an_error_goes_on_elsewhere() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    write(&client, 0, 0..5).await;
    let consumer = client.consumer().start(StartOffset::None);
    let mut consumer = consumer.assign([(orders(0), Offset::Exact(99))]).await.expect("an assignment");
    consumer.next().await.expect_err("there is no such offset");
    consumer.partition(&orders(0)).expect("it is assigned").seek(3);
    assert_eq!(rest(&mut consumer).await, [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn lag_and_the_ends_of_logs_are_told() {
    let world = World::new(&[("orders", 2)]).await;
    let client = world.client().await;
    write(&client, 0, 0..30).await;
    let found = client.watermarks([orders(0), orders(1)], Isolation::ReadCommitted).await;
    let due = [(orders(0), Watermarks { begin: 0, end: 30 }), (orders(1), Watermarks { begin: 0, end: 0 })];
    assert_eq!(found.expect("the broker answers"), BTreeMap::from(due));
    let mut consumer =
        client.consumer().assign([(orders(0), Offset::Earliest)]).await.expect("an assignment");
    assert_eq!(consumer.partition(&orders(0)).expect("it is assigned").lag(), None);
    for left in (25..30).rev() {
        consumer.recv().await.expect("no error").expect("not the end");
        let stream = consumer.partition(&orders(0)).expect("it is assigned");
        assert_eq!((stream.lag(), stream.high_watermark()), (Some(left), Some(30)));
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_are_found_by_time() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    write(&client, 0, 0..30).await;
    let find = async |time| {
        let found = client.offsets_for_times([(orders(0), Timestamp(time))]).await.expect("it answers");
        found[&orders(0)].map(|OffsetAndTimestamp { offset, timestamp, .. }| (offset, timestamp.0))
    };
    assert_eq!(find(0).await, Some((0, 1_000_000)));
    assert_eq!(find(1_009_001).await, Some((10, 1_010_000)));
    assert_eq!(find(1_030_000).await, None);
}

#[tokio::test(start_paused = true)]
async fn it_is_told_once_that_an_end_was_reached_and_after_what_led_there() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    write(&client, 0, 0..10).await;
    let consumer = client.consumer().end_notices(true);
    let mut consumer = consumer.assign([(orders(0), Offset::Earliest)]).await.expect("an assignment");
    let mut notices = consumer.notices();
    let end = |offset| Notice::EndReached { topic_partition: orders(0), offset };
    for (count, offset) in [(10, 10), (5, 15)] {
        for _ in 0..count {
            consumer.recv().await.expect("no error").expect("not the end");
            assert!(timeout(Duration::ZERO, notices.next()).await.is_err(), "there is more");
        }
        assert!(rest(&mut consumer).await.is_empty());
        assert_eq!(notices.next().await, Some(end(offset)));
        assert!(timeout(Duration::ZERO, notices.next()).await.is_err(), "once");
        write(&client, 0, offset..offset + 5).await;
    }
    drop(consumer);
    assert_eq!(timeout(LONG, notices.next()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_start_may_be_a_time_or_an_age() {
    let world = World::new(&[("orders", 1)]).await;
    let client = still(&world).await;
    write(&client, 0, 0..30).await;
    for start in [StartOffset::Since(Timestamp(1_019_500)), StartOffset::Within(Duration::from_secs(980))] {
        let member = client.consumer().group(format!("{start:?}")).start(start);
        let mut member = member.subscribe(["orders"]).await.expect("a member");
        let record = member.recv().await.expect("no error").expect("not the end");
        assert_eq!(number(record.value()), 20, "{start:?}");
        member.commit_record(&record).await.expect("it is committed");
        member.shutdown(LONG).await.expect("it leaves");
        let committed = client.admin().committed_offsets(&format!("{start:?}")).await.expect("it answers");
        assert_eq!(committed[&orders(0)].offset, record.offset() + 1, "{start:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_splits_a_consumer_hears_what_its_streams_tell() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    write(&client, 0, 0..3).await;
    let member = client.consumer().group("audit").start(StartOffset::Earliest).end_notices(true);
    let member = member.subscribe(["orders"]).await.expect("a member");
    let mut notices = member.notices();
    let (mut events, _committer) = member.split();
    let mut again = events.notices();
    let Some(Event::Assigned(mut streams)) = events.next().await.expect("no error") else {
        panic!("nothing was assigned")
    };
    for _ in 0..3 {
        streams[0].recv().await.expect("it is assigned").expect("no error");
    }
    assert!(timeout(LONG, streams[0].recv()).await.is_err());
    let end = Notice::EndReached { topic_partition: orders(0), offset: 3 };
    assert_eq!((notices.next().await, again.next().await), (Some(end.clone()), Some(end)));
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_written_and_read_without_a_group() {
    let world = World::new(&[("orders", 2)]).await;
    let client = world.client().await;
    let mut partition = client.partition("orders", 1).deadline(Duration::from_secs(10));
    let stored = partition.write(["one!", "two!"]).await.expect("it is stored");
    assert_eq!(stored.iter().map(ToString::to_string).collect::<Vec<_>>(), ["orders-1 @ 0", "orders-1 @ 1"]);
    let elsewhere = ProducerRecord::to("elsewhere").partition(0).key("k").value("three!");
    partition.write_records([elsewhere]).await.expect("it is stored here");
    let all = partition.read(Offset::Earliest, 10..=1_000_000).await.expect("it is there");
    let values: Vec<_> = all.iter().filter_map(|it| it.value()).collect();
    assert_eq!(values, [&b"one!"[..], b"two!", b"three!"]);
    assert_eq!((all.len(), all.next_offset(), all.high_watermark()), (3, Some(3), Some(3)));
    partition.seek(1);
    let rest = partition.read_batch(1..=1_000_000).await.expect("it is there");
    assert_eq!(rest.iter().map(|it| it.offset()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(partition.offset(), Offset::Exact(3));
    assert_eq!(partition.watermarks().await.expect("it answers"), Watermarks { begin: 0, end: 3 });
    assert_eq!(client.partition("orders", 0).watermarks().await.expect("it answers").end, 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_for_enough_and_no_longer_than_its_deadline() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let mut partition = client.partition("orders", 0).deadline(Duration::from_secs(10));
    let before = tokio::time::Instant::now();
    assert!(partition.read_batch(1..=1_000_000).await.expect("no error").is_empty());
    assert!(before.elapsed() <= Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(partition.offset(), Offset::Exact(0), "it is known by now where it begins");

    partition.write(["a"]).await.expect("it is stored");
    let writer = client.partition("orders", 0);
    let (read, ()) = tokio::join!(partition.read_batch(600..=1_000_000), async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            writer.write(["x".repeat(50)]).await.expect("it is stored");
        }
    });
    let bytes: usize = read.expect("no error").iter().filter_map(|it| Some(it.value()?.len())).sum();
    assert!((200..500).contains(&bytes), "{bytes} and the batches' own");

    let few = partition.read(0, 1_000_000..=1_000_000).await.expect("no error");
    assert_eq!(few.len(), 11, "what there is, since no more comes");
    let one = partition.read(0, 1..=1).await.expect("no error");
    assert_eq!(one.len(), 1, "one batch, since it is larger");
    let error = partition.read(99, 1..=1_000).await.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::NoOffset);
    let error = client.partition("orders", 7).write(["x"]).await.expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
}

#[tokio::test(start_paused = true)]
async fn a_record_costs_no_allocation_however_it_is_read() {
    let world = World::new(&[("orders", 1)]).await;
    let client = world.client().await;
    let producer = Producer::builder(&client).linger(Duration::from_millis(5)).build().expect("a producer");
    for _ in 0..300 {
        drop(producer.send(ProducerRecord::to("orders").key("k").value("v")).await.expect("there is room"));
    }
    producer.flush().await;
    let mut consumer =
        client.consumer().assign([(orders(0), Offset::Earliest)]).await.expect("an assignment");
    consumer.recv().await.expect("no error").expect("not the end");
    // The batch is open by now: what is left of it comes without anybody being asked.
    let mut read = 0;
    let owned = allocation_counter::measure(|| {
        for _ in 0..99 {
            read +=
                consumer.recv().now_or_never().map_or(0, |it| it.map_or(0, |it| usize::from(it.is_some())));
        }
    });
    assert_eq!((read, owned.count_total), (99, 0));
    let batch = consumer.next().await.expect("no error").expect("not the end");
    assert_eq!(batch.len(), 200);
    let mut bytes = 0;
    let borrowed = allocation_counter::measure(|| {
        bytes += batch.iter().map(|it| it.value().map_or(0, <[u8]>::len)).sum::<usize>();
        bytes += batch.records().map(|it| it.value().map_or(0, <[u8]>::len)).sum::<usize>();
    });
    assert_eq!((bytes, borrowed.count_total), (400, 0));
}
