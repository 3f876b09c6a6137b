//! The work that is counted, each piece in a process of its own.

use std::{error::Error, hint::black_box, thread};

use bytes::Bytes;
use vltava_wire::{
    Api, Compression, Decoder, Encoder, Version, Wire,
    messages::{FetchResponse, MetadataResponse, ProduceRequest, fetch, metadata, produce},
    record::{BatchBuilder, Limits, Record, RecordSlices, Stamp, batches},
};

use super::inside;

/// The function whose instructions are counted, with all that it calls.
pub(super) const WATCHED: &str = "instructions*work*watched";

/// What is counted.
pub(super) const NAMES: &[&str] = &[
    "records write",
    "records read borrowed",
    "records read owned",
    "produce request encode",
    "produce request decode",
    "fetch response encode",
    "fetch response decode",
    "metadata response encode",
    "metadata response decode",
    "client send",
    "client next batch",
    "broker append",
    "broker fetch",
];

/// Records of a batch of 16 KiB.
const RECORDS: usize = 138;
const BATCHES: usize = 10;
const VALUE_BYTES: usize = 100;

/// What a message may allocate.
const BUDGET: usize = 1 << 20;

/// Does a piece of work once to warm up and once to be watched, on a thread of its own: unlike the first one's, its
/// stack begins at the same place of a page whatever the arguments and the environment are.
pub(super) fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let mut work = piece(name).ok_or_else(|| format!("there is no work {name:?}"))?;
    let done = thread::spawn(move || {
        work();
        watched(&mut *work);
    });
    done.join().map_err(|_| format!("{name} panicked"))?;
    Ok(())
}

/// What callgrind looks for by its name.
#[inline(never)]
fn watched(work: &mut dyn FnMut()) {
    work();
}

pub(super) type Work = Box<dyn FnMut() + Send>;

fn piece(name: &str) -> Option<Work> {
    Some(match name {
        "records write" => records_write(),
        "records read borrowed" => records_read_borrowed(),
        "records read owned" => records_read_owned(),
        "produce request encode" => encode(produce_request(), Api::Produce.version(9)),
        "produce request decode" => decode(produce_request(), Api::Produce.version(9)),
        "fetch response encode" => encode(fetch_response(), Api::Fetch.version(12)),
        "fetch response decode" => decode(fetch_response(), Api::Fetch.version(12)),
        "metadata response encode" => encode(metadata_response(), Api::Metadata.version(12)),
        "metadata response decode" => decode(metadata_response(), Api::Metadata.version(12)),
        "client send" => inside::send(),
        "client next batch" => inside::next_batch(),
        "broker append" => inside::append(),
        "broker fetch" => inside::fetch(),
        _ => return None,
    })
}

fn records_write() -> Work {
    Box::new(|| {
        for _ in 0..BATCHES {
            black_box(batch());
        }
    })
}

fn records_read_borrowed() -> Work {
    let fetched = Bytes::from([&batch()[..]; BATCHES].concat());
    Box::new(move || {
        for batch in batches(fetched.clone()) {
            let batch = batch.expect("it is a batch");
            batch.check_crc().expect("it is as it was sent");
            for record in &batch.decompress(Limits::default()).expect("its records are sound") {
                black_box((record.offset(), record.timestamp(), record.key(), record.value()));
            }
        }
    })
}

fn records_read_owned() -> Work {
    let fetched = Bytes::from([&batch()[..]; BATCHES].concat());
    let mut gathered: Vec<Record> = Vec::new();
    Box::new(move || {
        for batch in batches(fetched.clone()) {
            let batch = batch.expect("it is a batch");
            batch.check_crc().expect("it is as it was sent");
            gathered.extend(batch.decompress(Limits::default()).expect("its records are sound").owned());
            for record in gathered.drain(..) {
                black_box((record.offset(), record.timestamp(), record.key(), record.value()));
            }
        }
    })
}

pub(super) fn batch() -> Bytes {
    let (key, value) = ([b'k'; 8], [b'v'; VALUE_BYTES]);
    let mut open = BatchBuilder::with_capacity(16 << 10);
    for at in 0..RECORDS {
        let timestamp = 1_700_000_000_000 + at as i64 / 10;
        open.append(RecordSlices::new(timestamp, Some(&key), Some(&value))).expect("the record fits");
    }
    open.finish(Stamp::NONE, Compression::None).expect("the batch fits")
}

fn encode<T: Wire + Send + 'static>(message: T, version: Version) -> Work {
    Box::new(move || {
        let mut out = Encoder::default();
        message.encode(&mut out, version).expect("the message fits the version");
        black_box(out.into_segments());
    })
}

fn decode<T: Wire + Send + 'static>(message: T, version: Version) -> Work {
    let mut out = Encoder::default();
    message.encode(&mut out, version).expect("the message fits the version");
    let bytes = out.into_bytes();
    Box::new(move || {
        let mut input = Decoder::new(bytes.clone(), version, BUDGET);
        black_box(T::decode(&mut input).expect("it is what was encoded"));
    })
}

fn topic_names() -> impl Iterator<Item = String> {
    (0..10).map(|at| format!("topic-{at}"))
}

fn produce_request() -> ProduceRequest {
    let records = batch();
    let partition = |index| produce::PartitionProduceData { index, records: Some(records.clone()) };
    let topic = |name| produce::TopicProduceData {
        name,
        partition_data: (0..12).map(partition).collect(),
        ..Default::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: topic_names().map(topic).collect(),
        ..Default::default()
    }
}

fn fetch_response() -> FetchResponse {
    let records = batch();
    let partition = |partition_index| fetch::PartitionData {
        partition_index,
        high_watermark: 1_000_000,
        records: Some(records.clone()),
        ..Default::default()
    };
    let topic = |topic| fetch::FetchableTopicResponse {
        topic,
        partitions: (0..12).map(partition).collect(),
        ..Default::default()
    };
    FetchResponse { session_id: 7, responses: topic_names().map(topic).collect(), ..Default::default() }
}

fn metadata_response() -> MetadataResponse {
    let broker = |node_id| metadata::MetadataResponseBroker {
        node_id,
        host: format!("kafka-{node_id}.example.org"),
        port: 9092,
        rack: None,
    };
    let partition = |partition_index| metadata::MetadataResponsePartition {
        partition_index,
        leader_id: partition_index % 3,
        leader_epoch: 5,
        replica_nodes: vec![0, 1, 2],
        isr_nodes: vec![0, 1, 2],
        ..Default::default()
    };
    let topic = |name| metadata::MetadataResponseTopic {
        name: Some(name),
        partitions: (0..12).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: (0..3).map(broker).collect(),
        cluster_id: Some(String::from("a cluster")),
        topics: topic_names().map(topic).collect(),
        ..Default::default()
    }
}
