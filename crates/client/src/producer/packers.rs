//! Compression, which takes longer than everything else that is done with a batch, so no other task waits for it: the
//! batches of one request are packed by a task of their own, which lets others run after each. The driver goes on
//! meanwhile, sending and taking answers; a partition whose batch is being packed is left out by the machine.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    panic::resume_unwind,
};

use bytes::Bytes;
use vltava_core::{
    TopicPartition,
    cluster::NodeId,
    produce::{BatchId, Outgoing},
};
use vltava_wire::{
    Codec, Compressor,
    record::{RecordError, Stamp},
};

/// So many tasks pack at once at most, each with a compressor of its own. More would leave the runtime's workers
/// little time for anything else.
const TASKS_MAX: usize = 4;

/// A task takes no more batches once it has so many bytes to pack: enough for a request to be worth its way, and few
/// enough that others get some.
const JOB_BYTES: usize = 1 << 20;

/// What is being packed for one producer, and by whom.
pub(super) struct Packers {
    codec: Codec,
    /// How many jobs are being done.
    at_work: usize,
    /// The compressors that no job has; made as they are needed.
    idle: Vec<Compressor>,
    waiting: VecDeque<Job>,
    /// How many jobs there are for each broker, waiting ones included.
    jobs: BTreeMap<NodeId, usize>,
}

/// Batches of different partitions, for one request to a broker.
struct Job {
    node: NodeId,
    batches: Vec<Outgoing>,
}

/// A job that is done.
pub(super) struct Done {
    pub(super) node: NodeId,
    pub(super) batches: Vec<Packed>,
    compressor: Compressor,
}

/// A batch as it will be sent, unless it cannot be packed.
pub(super) struct Packed {
    pub(super) id: BatchId,
    pub(super) partition: TopicPartition,
    pub(super) stamp: Stamp,
    pub(super) bytes: Result<Bytes, RecordError>,
}

impl Packed {
    /// Packs a batch here and now.
    pub(super) fn new(outgoing: Outgoing, compressor: &mut Compressor) -> Self {
        let (id, partition, stamp) = (outgoing.id, outgoing.partition.clone(), outgoing.stamp());
        Self { id, partition, stamp, bytes: outgoing.encode(compressor) }
    }
}

impl Packers {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, at_work: 0, idle: Vec::new(), waiting: VecDeque::new(), jobs: BTreeMap::new() }
    }

    /// How many requests to a broker are in the making.
    pub(super) fn jobs_for(&self, node: NodeId) -> usize {
        self.jobs.get(&node).copied().unwrap_or(0)
    }

    /// Takes batches to be packed, and shares them out to jobs.
    pub(super) fn push(&mut self, ready: Vec<(NodeId, Outgoing)>) {
        let mut brokers: BTreeMap<NodeId, (usize, Vec<Job>)> = BTreeMap::new();
        for (node, outgoing) in ready {
            let (bytes, jobs) = brokers.entry(node).or_default();
            if jobs.is_empty() || *bytes >= JOB_BYTES {
                jobs.push(Job { node, batches: Vec::new() });
                *bytes = 0;
            }
            *bytes += outgoing.bytes();
            jobs.last_mut().expect("one was just made").batches.push(outgoing);
        }
        for (node, (_, jobs)) in brokers {
            *self.jobs.entry(node).or_default() += jobs.len();
            self.waiting.extend(jobs);
        }
    }

    /// Starts the next job, if there is one and not too many are being done. What it comes to is given to
    /// [`on_done`](Self::on_done).
    pub(super) fn start(&mut self) -> Option<impl Future<Output = Done> + Send + use<>> {
        if self.at_work >= TASKS_MAX {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.at_work += 1;
        let compressor = self.idle.pop().unwrap_or_else(|| Compressor::new(self.codec));
        let task = tokio::spawn(job.run(compressor));
        Some(async move {
            match task.await {
                Ok(done) => done,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime ends, and whoever waits here with it.
                    Err(_) => pending().await,
                },
            }
        })
    }

    /// A job is done; here are its batches.
    pub(super) fn on_done(&mut self, done: Done) -> (NodeId, Vec<Packed>) {
        let Done { node, batches, compressor } = done;
        self.at_work -= 1;
        self.idle.push(compressor);
        let jobs = self.jobs.get_mut(&node).expect("a job that is done was counted");
        *jobs -= 1;
        (node, batches)
    }
}

impl Job {
    async fn run(self, mut compressor: Compressor) -> Done {
        let mut batches = Vec::with_capacity(self.batches.len());
        for outgoing in self.batches {
            batches.push(Packed::new(outgoing, &mut compressor));
            tokio::task::yield_now().await;
        }
        Done { node: self.node, batches, compressor }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{
            Arc, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use vltava_core::{
        Moment,
        produce::{Batches, Config, Identity},
    };
    use vltava_wire::{
        Api, Compression,
        messages::{
            InitProducerIdResponse, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
            MetadataResponseTopic, ProduceRequest, ProduceResponse,
            produce::{PartitionProduceResponse, TopicProduceResponse},
        },
        record::{Batch, RecordSlices},
    };

    use super::*;
    use crate::{
        Client, Producer, ProducerRecord,
        tests::peer::{Asked, Peer, Reply},
    };

    const NODE: NodeId = NodeId(1);

    /// A batch of a record of so many bytes for each of so many partitions.
    fn ready(partitions: i32, bytes: usize) -> Vec<(NodeId, Outgoing)> {
        let mut batches = Batches::new(Config { record_bytes_max: 2 << 20, ..Config::default() });
        batches.on_identity(Identity { id: 1, epoch: 0 });
        let value = vec![7; bytes];
        for partition in 0..partitions {
            let lane = batches.lane(&TopicPartition::new("orders", partition));
            let record = RecordSlices::new(0, None, Some(&value));
            batches.push(|| Moment(1), lane, record, || ()).expect("there is memory");
        }
        batches.poll(Moment(1), |_| Some(NODE))
    }

    #[tokio::test]
    async fn others_have_their_turn_after_each_batch() {
        const BATCHES: usize = 50;
        let mut packers = Packers::new(Compression::Gzip.into());
        packers.push(ready(BATCHES as i32, 1_000));
        let job = packers.start().expect("a job");
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        let heartbeat = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let (node, packed) = packers.on_done(job.await);
        heartbeat.abort();
        assert_eq!((node, packed.len()), (NODE, BATCHES));
        assert!(packed.iter().all(|it| it.bytes.is_ok()));
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns >= BATCHES, "{turns} turns");
    }

    #[tokio::test]
    async fn large_batches_are_shared_out_to_a_few_tasks_and_the_rest_wait() {
        let mut packers = Packers::new(Compression::Lz4.into());
        packers.push(ready(2 * TASKS_MAX as i32 + 1, JOB_BYTES / 2));
        let mut jobs: Vec<_> = std::iter::from_fn(|| packers.start()).collect();
        assert_eq!((jobs.len(), packers.jobs_for(NODE)), (TASKS_MAX, TASKS_MAX + 1));
        let (_, packed) = packers.on_done(jobs.remove(0).await);
        assert_eq!((packed.len(), packers.jobs_for(NODE)), (2, TASKS_MAX));
        let last = packers.start().expect("a job that waited").await;
        let (_, packed) = packers.on_done(last);
        assert_eq!((packed.len(), packers.jobs_for(NODE)), (1, TASKS_MAX - 1));
        assert!(packers.start().is_none());
    }

    const PARTITIONS: i32 = 8;

    /// A broker that leads all partitions, and takes a batch only if it is the one that is next.
    #[derive(Default)]
    struct Log {
        next: BTreeMap<i32, i64>,
    }

    impl Log {
        fn reply(&mut self, mut asked: Asked) -> Reply {
            match asked.api() {
                Api::Metadata => asked.answer(&metadata()),
                Api::InitProducerId => {
                    asked.answer(&InitProducerIdResponse { producer_id: 1, ..Default::default() })
                }
                Api::Produce => {
                    let responses = self.append(asked.read());
                    asked.answer(&ProduceResponse { responses, ..Default::default() })
                }
                api => panic!("{api:?} is not in the script"),
            }
        }

        fn append(&mut self, request: ProduceRequest) -> Vec<TopicProduceResponse> {
            let [topic] = &request.topic_data[..] else { panic!("one topic") };
            let mut partition_responses = Vec::new();
            for data in &topic.partition_data {
                let batch = Batch::parse(data.records.clone().expect("a batch")).expect("it is sound");
                batch.check_crc().expect("it is sound");
                assert_eq!(batch.compression(), Compression::Gzip);
                let next = self.next.entry(data.index).or_default();
                assert_eq!(i64::from(batch.base_sequence), *next, "partition {}", data.index);
                let base_offset = *next;
                *next += i64::from(batch.count);
                let index = data.index;
                partition_responses.push(PartitionProduceResponse {
                    index,
                    base_offset,
                    ..Default::default()
                });
            }
            vec![TopicProduceResponse { name: "orders".into(), partition_responses, ..Default::default() }]
        }
    }

    fn metadata() -> MetadataResponse {
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("orders".into()),
            partitions: (0..PARTITIONS).map(partition).collect(),
            ..Default::default()
        };
        let broker =
            MetadataResponseBroker { node_id: 1, host: "broker".into(), port: 9092, ..Default::default() };
        MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn each_partition_keeps_its_order_and_memory_its_limit_while_several_batches_are_packed() {
        const RECORDS: i64 = 2_000;
        const MEMORY_BYTES: usize = 64 << 10;
        let log = Arc::new(Mutex::new(Log::default()));
        let script = log.clone();
        let peer = Peer::new(move |asked| script.lock().expect("the order holds").reply(asked));
        let builder = Client::builder().brokers("broker:9092").dial(Arc::new(peer)).seed(1);
        let client = builder.connect().await.expect("the peer answers");
        let producer = Producer::builder(&client)
            .compression(Compression::Gzip)
            .batch_bytes(2_000)
            .memory_bytes(MEMORY_BYTES)
            .build()
            .expect("it can be built");
        let mut deliveries = Vec::new();
        for n in 0..RECORDS {
            // The first partition gets most, so that its next batch is there while one is packed.
            let partition = if n % 3 == 0 { (n / 3) as i32 % PARTITIONS } else { 0 };
            let value = format!("{n}").repeat(50);
            let record = ProducerRecord::to("orders").partition(partition).value(value);
            deliveries.push((partition, producer.send(record).await.expect("there is room")));
            assert!(producer.shared.lock().batches.used_bytes() <= MEMORY_BYTES);
            if n % 5 == 0 {
                tokio::task::yield_now().await;
            }
        }
        tokio::time::timeout(Duration::from_secs(1), producer.flush())
            .await
            .expect("nothing waits for a retry");
        let mut offsets = BTreeMap::new();
        for (partition, delivery) in deliveries {
            let offset = delivery.await.expect("it is written").offset.expect("it is known where");
            let next: &mut i64 = offsets.entry(partition).or_default();
            assert_eq!(offset, *next, "partition {partition}");
            *next += 1;
        }
        assert_eq!(offsets.values().sum::<i64>(), RECORDS);
        assert_eq!(producer.shared.lock().batches.used_bytes(), 0);
    }
}
