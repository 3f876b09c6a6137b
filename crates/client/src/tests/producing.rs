//! The producer against a broker that keeps a log and checks it as Kafka does, and refuses what it is told to refuse.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use vltava_core::{
    Timestamp,
    produce::{Check, Numbered, Windows},
};
use vltava_wire::{
    Api, ErrorCode,
    messages::{
        InitProducerIdResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic, ProduceRequest, ProduceResponse,
        produce::{BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse},
    },
    record::{Batch, Limits, Records},
};

use crate::{
    Acks, Client, Delivery, DeliveryEvent, ErrorKind, Partitioner, Partitions, Producer, ProducerBuilder,
    ProducerRecord, config,
    tests::peer::{Asked, Peer, Reply},
};

/// One partition of `orders`.
#[derive(Default)]
pub(super) struct Log {
    /// A larger batch is refused.
    pub(super) bytes_max: Option<usize>,
    /// A record without a key is refused, as a compacted topic does.
    pub(super) keys: bool,
    /// What the next requests are answered with.
    pub(super) errors: Vec<ErrorCode>,
    /// So many times a batch is appended and the connection breaks before that is said.
    pub(super) cuts: usize,
    /// Each answer has the partition once more, as refused.
    pub(super) answers_twice: bool,
    /// How long a request is being written.
    pub(super) wait: Duration,
    /// Metadata says that there is no such topic.
    pub(super) is_missing: bool,
    pub(super) values: Vec<String>,
    pub(super) windows: Windows,
    pub(super) identities: i64,
    /// The acks of each produce request.
    pub(super) acks: Vec<i16>,
}

impl Log {
    fn reply(&mut self, mut asked: Asked) -> Reply {
        match asked.api() {
            Api::Metadata if self.is_missing => asked.answer(&missing()),
            Api::Metadata => asked.answer(&metadata()),
            Api::InitProducerId => {
                self.identities += 1;
                let producer_id = self.identities;
                asked.answer(&InitProducerIdResponse { producer_id, ..Default::default() })
            }
            Api::Produce => {
                let request: ProduceRequest = asked.read();
                self.acks.push(request.acks);
                let records = request.topic_data[0].partition_data[0].records.clone().expect("a batch");
                let mut answer = answer(self.append(records));
                if self.answers_twice {
                    let code = ErrorCode::NotLeaderOrFollower.code();
                    let again = PartitionProduceResponse { error_code: code, ..Default::default() };
                    answer.responses[0].partition_responses.push(again);
                }
                if self.cuts > 0 {
                    self.cuts -= 1;
                    return Reply::Cut;
                }
                match asked.answer(&answer) {
                    _ if request.acks == 0 => Reply::Silence,
                    Reply::Frame(frame) if !self.wait.is_zero() => Reply::Late(frame, self.wait),
                    reply => reply,
                }
            }
            api => panic!("{api:?} is not in the script"),
        }
    }

    fn append(&mut self, bytes: Bytes) -> PartitionProduceResponse {
        let refused = |code: ErrorCode| PartitionProduceResponse {
            error_code: code.code(),
            base_offset: -1,
            ..Default::default()
        };
        if !self.errors.is_empty() {
            return refused(self.errors.remove(0));
        }
        if self.bytes_max.is_some_and(|most| bytes.len() > most) {
            return refused(ErrorCode::MessageTooLarge);
        }
        let batch = Batch::parse(bytes).expect("it is sound");
        batch.check_produced().expect("it is sound");
        let numbered = Numbered::of(&batch).expect("it is sound");
        let records = batch.decompress(Limits::default()).expect("it is sound");
        let keyless = self.keyless(&records);
        if !keyless.is_empty() {
            return PartitionProduceResponse { record_errors: keyless, ..refused(ErrorCode::InvalidRecord) };
        }
        let base_offset = self.values.len() as i64;
        if let Some(numbered) = numbered {
            match self.windows.check(&numbered) {
                Check::Append => self.windows.appended(&numbered, base_offset, Timestamp(0)),
                Check::Duplicate(known) => {
                    return PartitionProduceResponse { base_offset: known.base_offset, ..Default::default() };
                }
                Check::Refused(code) => return refused(code),
            }
        }
        let value = |it: &[u8]| String::from_utf8(it.to_vec()).expect("it is text");
        self.values.extend(records.iter().map(|it| value(it.value().expect("it has a value"))));
        PartitionProduceResponse { base_offset, ..Default::default() }
    }

    fn keyless(&self, records: &Records) -> Vec<BatchIndexAndErrorMessage> {
        let keyless = (0..).zip(records).filter(|it| self.keys && it.1.key().is_none());
        let told = |batch_index| BatchIndexAndErrorMessage {
            batch_index,
            batch_index_error_message: Some("a key is wanted".to_owned()),
        };
        keyless.map(|it| told(it.0)).collect()
    }
}

fn answer(partition: PartitionProduceResponse) -> ProduceResponse {
    let partition_responses = vec![partition];
    let topic = TopicProduceResponse { name: "orders".into(), partition_responses, ..Default::default() };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn metadata() -> MetadataResponse {
    let partitions = vec![MetadataResponsePartition { leader_id: 1, ..Default::default() }];
    let topic = MetadataResponseTopic { name: Some("orders".into()), partitions, ..Default::default() };
    let broker =
        MetadataResponseBroker { node_id: 1, host: "broker".into(), port: 9092, ..Default::default() };
    MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
}

fn missing() -> MetadataResponse {
    let mut missing = metadata();
    missing.topics[0].partitions.clear();
    missing.topics[0].error_code = ErrorCode::UnknownTopicOrPartition.code();
    missing
}

/// A client of the log.
pub(super) struct World {
    log: Arc<Mutex<Log>>,
    pub(super) client: Client,
}

impl World {
    pub(super) async fn new(log: Log) -> Self {
        let log = Arc::new(Mutex::new(log));
        let script = log.clone();
        let peer = Peer::new(move |asked| script.lock().expect("no script panics").reply(asked));
        let builder = Client::builder().brokers("broker:9092").dial(Arc::new(peer)).seed(1);
        Self { log, client: builder.connect().await.expect("the peer answers") }
    }

    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no script panics")
    }

    /// A producer that waits for more until it is flushed.
    pub(super) fn producer(&self) -> Producer {
        let builder = Producer::builder(&self.client).linger(Duration::from_secs(60));
        builder.build().expect("it can be built")
    }
}

pub(super) fn record(value: &str) -> ProducerRecord {
    ProducerRecord::to("orders").value(value)
}

/// Sends all at once; says where each came to lie.
pub(super) async fn send_all(
    producer: &Producer,
    records: impl IntoIterator<Item = ProducerRecord>,
) -> Vec<crate::Result<Option<i64>>> {
    let mut deliveries: Vec<Delivery> = Vec::new();
    for record in records {
        deliveries.push(producer.send(record).await.expect("there is room"));
    }
    producer.flush().await;
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.await.map(|it| it.offset));
    }
    offsets
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_for_the_broker_arrives_in_parts_and_in_order() {
    let world = World::new(Log { bytes_max: Some(300), ..Log::default() }).await;
    let values: Vec<_> = (0..40).map(|it| format!("{it:050}")).collect();
    let offsets = send_all(&world.producer(), values.iter().map(|it| record(it))).await;
    assert_eq!(world.log().values, values);
    for (index, offset) in offsets.into_iter().enumerate() {
        assert_eq!(offset.expect("it is written"), Some(index as i64));
    }
    assert_eq!(world.log().identities, 1);
}

#[tokio::test(start_paused = true)]
async fn one_record_that_is_too_large_for_the_broker_fails_and_says_how_large() {
    let world = World::new(Log { bytes_max: Some(300), ..Log::default() }).await;
    let values = ["a".to_owned(), "b".repeat(400), "c".to_owned()];
    let offsets = send_all(&world.producer(), values.iter().map(|it| record(it))).await;
    let [Ok(Some(0)), Err(error), Ok(Some(1))] = &offsets[..] else { panic!("{offsets:?}") };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let text = error.to_string();
    assert!(
        text.contains("orders-0") && text.contains("bytes") && text.contains("max.message.bytes"),
        "{text}"
    );
    assert!(!error.maybe_written());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_the_broker_rejects_fails_alone() {
    let world = World::new(Log { keys: true, ..Log::default() }).await;
    let records = (0..6).map(|it| {
        let record = record(&it.to_string());
        if it == 2 || it == 5 { record } else { record.key("k") }
    });
    let producer = world.producer();
    let offsets = send_all(&producer, records).await;
    let found: Vec<_> = offsets.iter().map(|it| it.as_ref().ok().copied().flatten()).collect();
    assert_eq!(found, [Some(0), Some(1), None, Some(2), Some(3), None]);
    let error = offsets[2].as_ref().expect_err("it was rejected");
    assert_eq!(error.code(), Some(ErrorCode::InvalidRecord));
    assert!(error.to_string().contains("a key is wanted") && !error.maybe_written(), "{error}");
    assert_eq!(world.log().values, ["0", "1", "3", "4"]);
    let next = send_all(&producer, [record("6").key("k")]).await;
    assert!(matches!(next[..], [Ok(Some(4))]), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgets_the_producer_or_fences_it_gets_all_in_order() {
    for code in [
        ErrorCode::UnknownProducerId,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::InvalidProducerEpoch,
        ErrorCode::ProducerFenced,
    ] {
        let world = World::new(Log::default()).await;
        let producer = world.producer();
        for value in ["a", "b", "c"] {
            let offsets = send_all(&producer, [record(value)]).await;
            assert!(matches!(offsets[..], [Ok(Some(_))]), "{code}: {offsets:?}");
            world.log().errors = vec![code];
            world.log().windows = Windows::default();
        }
        let fenced = matches!(code, ErrorCode::InvalidProducerEpoch | ErrorCode::ProducerFenced);
        assert_eq!(world.log().identities, if fenced { 3 } else { 1 }, "{code}");
        assert_eq!(world.log().values, ["a", "b", "c"], "{code}");
    }
}

/// A flush waits for what was sent before it, and no longer.
#[tokio::test(start_paused = true)]
async fn a_flush_ends_with_what_was_sent_before_and_after_a_shutdown_at_once() {
    let world = World::new(Log::default()).await;
    let producer = world.producer();
    let first = producer.send(record("a")).await.expect("there is room");
    let mut flush = Box::pin(producer.flush());
    assert!((&mut flush).now_or_never().is_none(), "the batch lingers no longer, but is not written");
    let second = producer.send(record("b")).await.expect("there is room");
    flush.await;
    assert!(first.now_or_never().is_some(), "its delivery knows");
    drop(second);
    let other = producer.clone();
    producer.shutdown(Duration::from_secs(5)).await.expect("all is delivered");
    tokio::time::timeout(Duration::from_secs(1), other.flush()).await.expect("nothing is left");
    assert_eq!(world.log().values, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn acks_are_what_was_asked_for_and_without_any_a_record_is_delivered_when_it_is_written() {
    for (acks, field, offset) in [(Acks::None, 0, None), (Acks::Leader, 1, Some(0)), (Acks::All, -1, Some(0))]
    {
        let world = World::new(Log::default()).await;
        let builder = Producer::builder(&world.client).acks(acks).idempotent(false);
        let producer = builder.build().expect("it can be built");
        let sent = send_all(&producer, [record("a")]).await;
        assert_eq!(sent[0].as_ref().expect("it is delivered"), &offset, "{acks:?}");
        // The broker reads what was written as soon as it has its turn.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let log = world.log();
        assert_eq!((&log.values[..], &log.acks[..]), (&["a".to_owned()][..], &[field][..]));
        assert_eq!(log.identities, 0, "{acks:?} asks for no identity");
    }
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_itself_is_not_built() {
    let world = World::new(Log::default()).await;
    let refused = |builder: ProducerBuilder| {
        let error = builder.build().expect_err("it makes no sense");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.likely_fix().expect("there is one").contains("idempotent(false)"), "{error}");
    };
    refused(Producer::builder(&world.client).acks(Acks::Leader));
    refused(Producer::builder(&world.client).in_flight_max(6));
    refused(Producer::builder(&world.client).in_flight_max(0));
    let builder = Producer::builder(&world.client).acks(Acks::Leader).idempotent(false).in_flight_max(50);
    builder.build().expect("this does");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_at_once_comes_back() {
    let world = World::new(Log::default()).await;
    let builder = Producer::builder(&world.client).linger(Duration::from_secs(60)).memory_bytes(300);
    let producer = builder.build().expect("it can be built");
    let unsent = producer.try_send(record("a")).expect_err("the topic is not known yet");
    assert_eq!(unsent.error().kind(), ErrorKind::WouldBlock);
    assert_eq!(unsent.into_record(), record("a"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let delivery = producer.try_send(record(&"a".repeat(200))).expect("it is known by now");
    let unsent = producer.try_send(record(&"b".repeat(200))).expect_err("there is no memory");
    assert!(unsent.to_string().contains("orders"), "{unsent}");
    delivery.await.expect("who wants memory does not let others linger");
    producer.try_send(unsent.into_record()).expect("there is memory again").await.expect("it is written");
}

#[tokio::test(start_paused = true)]
async fn many_records_keep_their_order_and_what_fails_does_not_stop_the_others() {
    let world = World::new(Log::default()).await;
    let config = config::Producer { record_bytes_max: 1_000, memory_bytes: 4_000, ..Default::default() };
    let producer = Producer::builder(&world.client).config(config).build().expect("it can be built");
    let values: Vec<_> =
        (0..1_000).map(|it| if it == 500 { "x".repeat(2_000) } else { it.to_string() }).collect();
    let deliveries = producer.send_many(values.iter().map(|it| record(it))).await;
    assert_eq!(deliveries.len(), 1_000);
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.await.map(|it| it.offset));
    }
    let error = offsets.remove(500).expect_err("it is too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let found: Vec<_> = offsets.into_iter().map(|it| it.expect("it is written")).collect();
    assert!(found.into_iter().eq((0..999).map(Some)));
    assert!(world.log().values.iter().eq(values.iter().filter(|it| it.len() < 2_000)));
    let all = producer.send_many([record("y"), record(&"z".repeat(2_000))]).await.all().await;
    assert_eq!(all.expect_err("one is too large").kind(), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn who_watches_hears_of_all_and_who_does_not_read_misses_the_oldest() {
    let world = World::new(Log { keys: true, ..Log::default() }).await;
    let producer = world.producer();
    let mut events = producer.events();
    let sent = send_all(&producer, [record("a").key("k"), record("b")]).await;
    assert!(sent[0].is_ok() && sent[1].is_err());
    let Some(DeliveryEvent::Failed { records: 1, error, .. }) = events.next().await else { panic!("none") };
    assert_eq!(error.code(), Some(ErrorCode::InvalidRecord));
    let delivered = events.next().await;
    assert!(
        matches!(delivered, Some(DeliveryEvent::Delivered { records: 1, base_offset: Some(0), .. })),
        "{delivered:?}"
    );
    for _ in 0..1_100 {
        send_all(&producer, [record("c").key("k")]).await;
    }
    assert!(matches!(events.next().await, Some(DeliveryEvent::Missed(76))));
    let metrics = world.client.metrics();
    assert_eq!((metrics.records_produced, metrics.records_failed, metrics.batches_refused), (1_101, 1, 1));
    producer.shutdown(Duration::from_secs(1)).await.expect("nothing is left");
    while let Some(DeliveryEvent::Delivered { .. }) = events.next().await {}
}

#[tokio::test(start_paused = true)]
async fn what_is_purged_says_so_and_what_comes_later_is_sent() {
    let world = World::new(Log::default()).await;
    let producer = world.producer();
    let queued = producer.send(record("a")).await.expect("there is room");
    assert_eq!(producer.purge(), 1);
    let error = queued.await.expect_err("it was dropped");
    assert!(error.kind() == ErrorKind::Purged && !error.maybe_written(), "{error}");
    assert!(matches!(send_all(&producer, [record("b")]).await[..], [Ok(Some(0))]));
    assert_eq!(world.log().values, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_for_a_delivery_can_be_called() {
    let world = World::new(Log::default()).await;
    let producer = world.producer();
    let (tell, heard) = std::sync::mpsc::channel();
    let delivery = producer.send(record("a")).await.expect("there is room");
    delivery.then(move |it| tell.send(it.map(|it| it.offset)).expect("somebody listens"));
    producer.flush().await;
    assert!(matches!(heard.try_recv(), Ok(Ok(Some(0)))));
}

/// A record larger than what is left waits in line, and those behind it do not pass.
#[tokio::test(start_paused = true)]
async fn who_waits_for_memory_is_served_in_turn() {
    let world = World::new(Log::default()).await;
    let builder = Producer::builder(&world.client).linger(Duration::from_secs(60)).memory_bytes(1_000);
    let producer = builder.build().expect("it can be built");
    let first = producer.send(record(&"a".repeat(600))).await.expect("there is room");
    let mut large = Box::pin(producer.send(record(&"b".repeat(900))));
    assert!((&mut large).now_or_never().is_none(), "there is no memory for it");
    let mut small = Box::pin(producer.send(record("c")));
    assert!((&mut small).now_or_never().is_none(), "there is memory, but others were first");
    assert!(producer.try_send(record("d")).is_err());
    let (large, small) = tokio::join!(large, small);
    for delivery in [first, large.expect("its turn comes"), small.expect("its turn comes")] {
        producer.flush().await;
        delivery.await.expect("it is written");
    }
    let order: Vec<_> = world.log().values.iter().map(|it| it.as_bytes()[0]).collect();
    assert_eq!(order, b"abc");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_record_runs_while_it_waits_for_memory() {
    let errors = vec![ErrorCode::NotEnoughReplicas; 1_000];
    let world = World::new(Log { errors, ..Log::default() }).await;
    let patience = Duration::from_secs(2);
    let builder = Producer::builder(&world.client).memory_bytes(300).delivery_timeout(patience);
    let producer = builder.build().expect("it can be so");
    let value = "x".repeat(200);
    let first = producer.send(record(&value)).await.expect("there is memory");
    tokio::time::sleep(patience / 2).await;
    let began = tokio::time::Instant::now();
    let second = producer.send(record(&value)).await.expect("the first is given up in time");
    assert_eq!(first.await.expect_err("nothing is taken").kind(), ErrorKind::TimedOut);
    assert_eq!(second.await.expect_err("nothing is taken").kind(), ErrorKind::TimedOut);
    assert!(began.elapsed() <= patience + Duration::from_millis(10), "{:?}", began.elapsed());
}

/// Records that are sent together may take longer than one of them has time.
#[tokio::test(start_paused = true)]
async fn the_time_of_many_records_does_not_run_before_their_turn() {
    let world = World::new(Log { wait: Duration::from_millis(100), ..Log::default() }).await;
    let patience = Duration::from_secs(5);
    let builder = Producer::builder(&world.client).memory_bytes(4_000).delivery_timeout(patience);
    let producer = builder.build().expect("it can be so");
    let values: Vec<_> = (0..6_000).map(|it| format!("{it:0100}")).collect();
    let began = tokio::time::Instant::now();
    let deliveries = producer.send_many(values.iter().map(|it| record(it))).await;
    assert!(began.elapsed() > 2 * patience, "{:?}", began.elapsed());
    deliveries.all().await.expect("each is written in time");
    assert_eq!(world.log().values, values);
}

#[tokio::test(start_paused = true)]
async fn an_own_partitioner_is_asked_and_what_it_makes_up_is_refused() {
    let world = World::new(Log::default()).await;
    let choose = |record: &ProducerRecord, among: Partitions<'_>| {
        assert_eq!((record.topic(), among.count, among.available), ("orders", 1, &[0][..]));
        if record == &self::record("a") { 0 } else { 1 }
    };
    let producer = Producer::builder(&world.client).partition_by(choose).build().expect("it can be built");
    assert!(matches!(send_all(&producer, [record("a")]).await[..], [Ok(Some(0))]));
    let error = producer.send(record("b")).await.expect_err("there is one partition");
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("orders-1"), "{error}");
    let manual = Producer::builder(&world.client).partitioner(Partitioner::Manual);
    let manual = manual.build().expect("it can be built");
    assert_eq!(manual.send(record("c")).await.expect_err("it names none").kind(), ErrorKind::Config);
    assert!(matches!(send_all(&manual, [record("c").partition(0)]).await[..], [Ok(Some(1))]));
}

#[tokio::test(start_paused = true)]
async fn sending_allocates_for_a_batch_and_not_for_a_record() {
    const RECORDS: usize = 1_000;
    let world = World::new(Log::default()).await;
    let producer = world.producer();
    send_all(&producer, [record("a")]).await.remove(0).expect("it is written");
    let (topic, value): (Arc<str>, _) = ("orders".into(), Bytes::from_static(&[b'v'; 100]));
    let record = || ProducerRecord::to(topic.clone()).key(value.clone()).value(value.clone());
    let records: Vec<_> = (0..RECORDS).map(|_| record()).collect();
    let together = records.clone();
    let mut deliveries = Vec::with_capacity(RECORDS);
    let counted = allocation_counter::measure(|| {
        deliveries.extend(records.into_iter().map(|it| producer.send(it).now_or_never()));
    });
    assert!(deliveries.iter().all(|it| matches!(it, Some(Ok(_)))), "there is room");
    let mut delivered = None;
    let counted_together =
        allocation_counter::measure(|| delivered = producer.send_many(together).now_or_never());
    assert_eq!(delivered.map(|it| it.len()), Some(RECORDS));
    for counted in [counted, counted_together] {
        // A batch grows by doubling.
        assert!(counted.count_total < RECORDS as u64 / 20, "{} allocations", counted.count_total);
    }
}
