//! Brokers that a reader has to find its way with, played by a script: leaders that lost the end of their log, that
//! name their successor or a replica nearby, transactions that were rolled back.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::timeout;
use vltava_core::TopicPartition;
use vltava_wire::{
    Api, ErrorCode, Uuid,
    messages::{
        FetchRequest, FetchResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
        MetadataResponseTopic, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        OffsetForLeaderTopicResult,
        fetch::{AbortedTransaction, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData},
        offsets::EpochEndOffset,
    },
    record::{Batch, BatchBuilder, RecordSlices, Stamp, patch_base_offset, patch_leader_epoch},
};

use crate::{
    AssignedConsumer, AssignmentId, Client, Compression, ConsumerBuilder, ConsumerRecord, ErrorKind,
    Isolation, Jump, JumpCause, NodeId, Notice, Notices, Offset, PartitionStream, Result, Stall, StartOffset,
    consumer::{Assignment, Fetcher, Told},
    tests::peer::{Asked, Peer, Reply},
};

/// Nothing comes any more if nothing came for so long.
const LONG: Duration = Duration::from_secs(120);

const TOPIC_ID: Uuid = Uuid(7);

/// Who leads `orders-0`, what it has of it, and what it was asked.
#[derive(Default)]
struct Log {
    leader: i32,
    leader_epoch: i32,
    batches: Vec<Batch>,
    last_stable_offset: Option<i64>,
    /// A transaction that was rolled back, and the offset of its marker.
    aborted: Option<(AbortedTransaction, i64)>,
    /// Where the epoch ends that is asked about.
    epoch_end: (i32, i64),
    /// Whom the leader names to read from.
    replica: Option<i32>,
    /// Who was asked for metadata, records, and epochs.
    asked: Vec<(Api, String)>,
}

type Shared = Arc<Mutex<Log>>;

/// Values of records of one batch.
fn batch(base_offset: i64, leader_epoch: i32, stamp: Stamp, values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append(RecordSlices::new(1, None, Some(value.as_bytes()))).expect("a record");
    }
    let mut bytes = builder.finish(stamp, Compression::None).expect("a batch").to_vec();
    patch_base_offset(&mut bytes, base_offset);
    patch_leader_epoch(&mut bytes, leader_epoch);
    Batch::parse(Bytes::from(bytes)).expect("a batch")
}

impl Log {
    fn new(leader_epoch: i32, batches: Vec<Batch>) -> Shared {
        Arc::new(Mutex::new(Self { leader: 1, leader_epoch, batches, ..Self::default() }))
    }

    fn reply(&mut self, mut asked: Asked) -> Reply {
        let host = asked.address.host.clone();
        self.asked.push((asked.api(), host.clone()));
        match asked.api() {
            Api::Metadata => asked.answer(&self.metadata()),
            Api::Fetch => match self.fetched(&asked.read(), &host) {
                Some(answer) => asked.answer(&answer),
                None => Reply::Silence,
            },
            Api::OffsetForLeaderEpoch => {
                let answer = self.epochs(&asked.read());
                asked.answer(&answer)
            }
            api => panic!("{api:?} is not in the script"),
        }
    }

    /// How often this was asked.
    fn count(&self, api: Api) -> usize {
        self.asked.iter().filter(|it| it.0 == api).count()
    }

    fn metadata(&self) -> MetadataResponse {
        let Self { leader, leader_epoch, .. } = *self;
        let partition = MetadataResponsePartition { leader_id: leader, leader_epoch, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some("orders".into()),
            topic_id: TOPIC_ID,
            partitions: vec![partition],
            ..Default::default()
        };
        let broker = |node_id| MetadataResponseBroker {
            node_id,
            host: format!("broker-{node_id}"),
            port: 9092,
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }
    }

    /// An answer; none while there is nothing new.
    fn fetched(&self, request: &FetchRequest, host: &str) -> Option<FetchResponse> {
        let asked = &request.topics[0].partitions[0];
        let is_leader = host == format!("broker-{}", self.leader);
        if is_leader && asked.current_leader_epoch < self.leader_epoch {
            return Some(self.answer(ErrorCode::FencedLeaderEpoch, None));
        }
        if !is_leader && self.replica.is_none() {
            return Some(self.answer(ErrorCode::NotLeaderOrFollower, None));
        }
        if is_leader && self.replica.is_some() && request.rack_id == "east" {
            return Some(self.answer(ErrorCode::None, None));
        }
        let end = self.last_stable_offset.unwrap_or(i64::MAX);
        let found = self.batches.iter().find(|it| it.last_offset() >= asked.fetch_offset);
        let found = found.filter(|it| request.isolation_level == 0 || it.base_offset < end);
        let aborted = self.aborted.iter().filter(|it| it.1 >= asked.fetch_offset).map(|it| it.0.clone());
        let mut answer = self.answer(ErrorCode::None, Some(found?.bytes().clone()));
        answer.responses[0].partitions[0].aborted_transactions = Some(aborted.collect());
        Some(answer)
    }

    fn answer(&self, code: ErrorCode, records: Option<Bytes>) -> FetchResponse {
        let high_watermark = self.batches.last().map_or(0, |it| it.last_offset() + 1);
        let current_leader = match code {
            ErrorCode::None => LeaderIdAndEpoch::default(),
            _ => LeaderIdAndEpoch { leader_id: self.leader, leader_epoch: self.leader_epoch },
        };
        let preferred_read_replica = self.replica.filter(|_| records.is_none()).unwrap_or(-1);
        let partition = PartitionData {
            error_code: code.code(),
            high_watermark,
            last_stable_offset: self.last_stable_offset.unwrap_or(high_watermark),
            preferred_read_replica,
            current_leader,
            records,
            ..Default::default()
        };
        let topic =
            FetchableTopicResponse { topic_id: TOPIC_ID, partitions: vec![partition], ..Default::default() };
        let host = format!("broker-{}", self.leader);
        let leader = NodeEndpoint { node_id: self.leader, host, port: 9092, rack: None };
        FetchResponse { responses: vec![topic], node_endpoints: vec![leader], ..Default::default() }
    }

    fn epochs(&self, request: &OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
        let asked = &request.topics[0].partitions[0];
        assert_eq!(asked.current_leader_epoch, self.leader_epoch);
        let (leader_epoch, end_offset) = self.epoch_end;
        let partitions = vec![EpochEndOffset { leader_epoch, end_offset, ..Default::default() }];
        let topics = vec![OffsetForLeaderTopicResult { topic: "orders".into(), partitions }];
        OffsetForLeaderEpochResponse { topics, ..Default::default() }
    }
}

fn lock(log: &Shared) -> MutexGuard<'_, Log> {
    log.lock().expect("no script panics")
}

async fn consumer(log: &Shared) -> ConsumerBuilder {
    let log = log.clone();
    let peer = Peer::new(move |asked| lock(&log).reply(asked));
    let builder = Client::builder().brokers("broker-1:9092").dial(Arc::new(peer)).seed(1);
    builder.connect().await.expect("the peer answers").consumer()
}

fn orders(offset: i64) -> [(TopicPartition, Offset); 1] {
    [(TopicPartition::new("orders", 0), Offset::Exact(offset))]
}

/// The next record, which has to come.
async fn next(consumer: &mut AssignedConsumer) -> Result<ConsumerRecord> {
    let record = timeout(LONG, consumer.recv()).await.expect("it goes on");
    record.map(|it| it.expect("it has no end"))
}

/// The values that come until nothing comes any more.
async fn rest(consumer: &mut AssignedConsumer) -> Vec<String> {
    let mut seen = Vec::new();
    while let Ok(record) = timeout(LONG, consumer.recv()).await {
        let record = record.expect("no error is due").expect("it goes on");
        seen.push(String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned());
    }
    seen
}

async fn jump(notices: &mut Notices) -> Jump {
    match timeout(LONG, notices.next()).await.expect("it is told") {
        Some(Notice::Jumped(jump)) => jump,
        other => panic!("{other:?} is no jump"),
    }
}

/// The second broker leads, and lost what was behind offset 2; something else is there by now.
fn elect_another(log: &Shared) {
    let mut log = lock(log);
    (log.leader, log.leader_epoch, log.epoch_end) = (2, 2, (1, 2));
    log.batches = vec![batch(0, 1, Stamp::NONE, &["a", "b"]), batch(2, 2, Stamp::NONE, &["C", "D", "E"])];
}

#[tokio::test(start_paused = true)]
async fn what_a_new_leader_has_lost_is_told_and_what_it_has_instead_is_read() {
    let log = Log::new(1, vec![batch(0, 1, Stamp::NONE, &["a", "b", "c", "d"])]);
    let mut consumer = consumer(&log).await.assign(orders(0)).await.expect("an assignment");
    let mut notices = consumer.notices();
    for value in ["a", "b", "c", "d"] {
        let record = next(&mut consumer).await.expect("no error");
        assert_eq!(record.value(), Some(value.as_bytes()));
    }
    elect_another(&log);
    // What waits at the old leader comes to nothing at last.
    let record = next(&mut consumer).await.expect("no error");
    assert_eq!((record.offset(), record.value()), (2, Some(&b"C"[..])));
    assert_eq!(rest(&mut consumer).await, ["D", "E"]);
    let topic_partition = TopicPartition::new("orders", 0);
    let due = Jump { topic_partition, from: Some(4), to: 2, cause: JumpCause::Truncated };
    assert_eq!(jump(&mut notices).await, due);
}

#[tokio::test(start_paused = true)]
async fn what_a_new_leader_has_lost_is_an_error_where_no_start_is_to_be_chosen() {
    let log = Log::new(1, vec![batch(0, 1, Stamp::NONE, &["a", "b", "c", "d"])]);
    let consumer = consumer(&log).await.start(StartOffset::None);
    let mut consumer = consumer.assign(orders(0)).await.expect("an assignment");
    for _ in 0..4 {
        next(&mut consumer).await.expect("no error");
    }
    elect_another(&log);
    let error = next(&mut consumer).await.expect_err("the log is another");
    assert_eq!(error.kind(), ErrorKind::LogTruncated { safe_offset: Some(2) });
    assert!(error.to_string().contains("orders-0") && error.to_string().contains("offset 2"), "{error}");
    assert!(!error.is_retriable());
    consumer.partition(&TopicPartition::new("orders", 0)).expect("it is assigned").seek(2);
    assert_eq!(rest(&mut consumer).await, ["C", "D", "E"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_named_in_an_answer_is_found_without_metadata() {
    let log = Log::new(1, vec![batch(0, 1, Stamp::NONE, &["a"]), batch(1, 1, Stamp::NONE, &["b"])]);
    let mut consumer = consumer(&log).await.assign(orders(0)).await.expect("an assignment");
    // The answer with "b" has not left yet: partitions have one answer waiting at a time.
    next(&mut consumer).await.expect("no error");
    let before = lock(&log).count(Api::Metadata);
    {
        let mut log = lock(&log);
        (log.leader, log.leader_epoch, log.epoch_end) = (2, 2, (1, 9));
    }
    let started = tokio::time::Instant::now();
    let record = next(&mut consumer).await.expect("no error");
    assert_eq!(record.value(), Some(&b"b"[..]));
    assert_eq!(started.elapsed(), Duration::ZERO, "and without a pause");
    let log = lock(&log);
    assert_eq!(log.count(Api::Metadata), before);
    assert_eq!(log.asked.last().map(|it| &*it.1), Some("broker-2"));
}

#[tokio::test(start_paused = true)]
async fn a_replica_nearby_is_read_from() {
    let log = Log::new(1, vec![batch(0, 1, Stamp::NONE, &["a"]), batch(1, 1, Stamp::NONE, &["b"])]);
    lock(&log).replica = Some(2);
    let mut consumer = consumer(&log).await.rack("east").assign(orders(0)).await.expect("an assignment");
    assert_eq!(rest(&mut consumer).await, ["a", "b"]);
    let log = lock(&log);
    let fetches: Vec<_> = log.asked.iter().filter(|it| it.0 == Api::Fetch).map(|it| &*it.1).collect();
    assert_eq!(fetches[..3], ["broker-1", "broker-2", "broker-2"]);
}

fn transactional(producer_id: i64) -> Stamp {
    Stamp { producer_id, producer_epoch: 0, base_sequence: 0, transactional: true }
}

/// A marker that ends a producer's transaction.
fn marker(base_offset: i64, producer_id: i64, commit: bool) -> Batch {
    const TRANSACTIONAL_CONTROL: i16 = 0b11_0000;
    let mut builder = BatchBuilder::new();
    let key = [0, 0, 0, u8::from(commit)];
    builder.append(RecordSlices::new(1, Some(&key), Some(&[0; 6]))).expect("a record");
    let stamp = Stamp { base_sequence: -1, ..transactional(producer_id) };
    let mut bytes = builder.finish(stamp, Compression::None).expect("a batch").to_vec();
    patch_base_offset(&mut bytes, base_offset);
    bytes[21..23].copy_from_slice(&TRANSACTIONAL_CONTROL.to_be_bytes());
    let crc = crc_of(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::parse(Bytes::from(bytes)).expect("a batch")
}

/// CRC-32C, bit by bit.
fn crc_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

/// Two producers: the first rolls back `a1 a2` and commits `a3`; `b1` is committed; `b2` is open.
fn transactions() -> Shared {
    let written = |offset, producer, values: &[&str]| batch(offset, 1, transactional(producer), values);
    let log = Log::new(
        1,
        vec![
            written(0, 1, &["a1"]),
            written(1, 2, &["b1"]),
            written(2, 1, &["a2"]),
            marker(3, 2, true),
            marker(4, 1, false),
            written(5, 1, &["a3"]),
            marker(6, 1, true),
            written(7, 2, &["b2"]),
        ],
    );
    {
        let mut log = lock(&log);
        log.aborted = Some((AbortedTransaction { producer_id: 1, first_offset: 0 }, 4));
        log.last_stable_offset = Some(7);
    }
    log
}

#[tokio::test(start_paused = true)]
async fn only_what_was_committed_is_read_where_that_was_chosen() {
    for (isolation, due) in [
        (Isolation::ReadUncommitted, &["a1", "b1", "a2", "a3", "b2"][..]),
        (Isolation::ReadCommitted, &["b1", "a3"]),
    ] {
        let log = transactions();
        let builder = consumer(&log).await.isolation(isolation).end_notices(true);
        let mut consumer = builder.assign(orders(0)).await.expect("an assignment");
        let mut notices = consumer.notices();
        assert_eq!(rest(&mut consumer).await, due, "{isolation:?}");
        let stream = consumer.partitions().next().expect("one");
        let end = if isolation == Isolation::ReadCommitted { 7 } else { 8 };
        assert_eq!((stream.lag(), stream.position()), (Some(0), Some(end)), "{isolation:?}");
        let topic_partition = TopicPartition::new("orders", 0);
        assert_eq!(notices.next().await, Some(Notice::EndReached { topic_partition, offset: end }));
    }
}

/// A member's partition whose log lost its end is read again from where nothing was committed beyond: what was fetched
/// and not worked on is not passed over.
#[tokio::test(start_paused = true)]
async fn a_members_partition_that_lost_its_end_starts_over_at_what_was_committed() {
    for (committed, first) in [(Some(1), 1), (Some(4), 2), (None, 0)] {
        let log = Log::new(1, vec![batch(0, 1, Stamp::NONE, &["a", "b", "c", "d"])]);
        let ConsumerBuilder { client, config, .. } = consumer(&log).await;
        let mut fetcher = Fetcher::for_member(&client, config);
        let topic_partition = TopicPartition::new("orders", 0);
        let (start, leader_epoch) = (Offset::Exact(0), -1);
        let assignment = Assignment { topic_partition, start, leader_epoch, committed: None };
        let mut old = fetcher.assign(AssignmentId(1), [assignment]).pop().expect("one was assigned");
        let read = async |fetcher: &mut Fetcher, stream: &mut PartitionStream| {
            tokio::select! {
                biased;
                record = stream.recv() => record.expect("it is assigned").expect("no error").offset(),
                told = fetcher.drive() => panic!("{told:?} is not due"),
            }
        };
        for offset in 0..4 {
            assert_eq!(read(&mut fetcher, &mut old).await, offset);
        }
        elect_another(&log);
        let back = match timeout(LONG, fetcher.drive()).await.expect("it is noticed") {
            Told::WentBack(back) => back,
            told => panic!("{told:?} is no way back"),
        };
        assert_eq!((back.jump.from, back.jump.to), (Some(4), 2));
        let new = fetcher.start_over(back, AssignmentId(2), committed);
        let mut new = new.expect("it is the partition at hand");
        assert!(old.recv().await.is_none(), "its assignment has ended");
        assert_eq!(new.assignment(), AssignmentId(2));
        assert_eq!(read(&mut fetcher, &mut new).await, first, "{committed:?}");
    }
}

/// A broker that has lost track of its session has nothing new in it, for ever.
#[tokio::test(start_paused = true)]
async fn a_partition_that_stands_still_is_told_of_and_heals() {
    let log = Log::new(1, vec![batch(0, 1, Stamp::NONE, &["a"])]);
    let mut whole = 0;
    let peer = Peer::new(move |mut asked| {
        if asked.api() != Api::Fetch {
            return lock(&log).reply(asked);
        }
        let log = lock(&log);
        let request: FetchRequest = asked.read();
        whole += usize::from(request.session_id == 0);
        match (whole, request.session_id) {
            (2.., 0) => asked.answer(&log.fetched(&request, "broker-1").expect("it has a batch")),
            (2.., _) => Reply::Silence,
            _ => {
                let nothing = FetchResponse { session_id: 7, ..log.answer(ErrorCode::None, None) };
                let Reply::Frame(frame) = asked.answer(&nothing) else { panic!("an answer is a frame") };
                Reply::Late(frame, Duration::from_millis(500))
            }
        }
    });
    let builder = Client::builder().brokers("broker-1:9092").dial(Arc::new(peer)).seed(1);
    let client = builder.connect().await.expect("the peer answers");
    let mut consumer = client.consumer().assign(orders(0)).await.expect("an assignment");
    let mut notices = consumer.notices();
    let before = tokio::time::Instant::now();
    assert_eq!(next(&mut consumer).await.expect("no error").value(), Some(&b"a"[..]));
    assert_eq!(before.elapsed().as_secs(), 30);
    let topic_partition = TopicPartition::new("orders", 0);
    let stall = Stall::Nothing(NodeId(1));
    match notices.next().await {
        Some(Notice::Stalled { topic_partition: which, since, stall: why }) => {
            assert_eq!((which, since.as_secs(), why), (topic_partition, 30, stall));
        }
        other => panic!("{other:?} is no stall"),
    }
    assert!(client.metrics().connections >= 3, "one for metadata, and two for records");
}
