//! How little a client takes: memory and CPU time while nothing happens, and memory while a slow reader has far more
//! before it than fits. Each is measured in a process of its own, which has nothing but the client in it.
//!
//! Run without arguments, it measures all and fails where a limit is missed; `.ci/run footprint` does that.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};
use vltava_broker::Broker;
use vltava_client::{Client, Offset, ProducerRecord, TopicPartition, config};
use vltava_core::session::greeting;
use vltava_wire::{
    Api, Compression, Decoder, Request, Wire, frame,
    messages::{
        ApiVersionsRequest, FetchRequest, FetchResponse, MetadataRequest, MetadataResponse,
        MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        fetch::{FetchableTopicResponse, PartitionData},
    },
    record::{BatchBuilder, RecordSlices, Stamp, patch_base_offset},
};

const MIB: usize = 1 << 20;

/// Partitions that an idle client reads.
const IDLE_PARTITIONS: i32 = 1_000;

/// How long CPU time is measured.
const IDLE_SECONDS: u64 = 5;

/// How many partitions the backlog has, and how many bytes each.
const BACKLOG_PARTITIONS: i32 = 20;
const BACKLOG_BYTES: usize = 256 * MIB;

/// Records of the backlog's batches, one of which is served for ever.
const BATCH_RECORDS: i64 = 60;
const RECORD_BYTES: usize = 1_000;

type Figures = BTreeMap<String, f64>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let figures = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => return if measure_all() { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        ["idle", address] => here().block_on(idle(address)),
        ["backlog", address] => backlog(address, even),
        ["uneven", address] => backlog(address, uneven),
        _ => panic!("there is no `{}`", arguments.join(" ")),
    };
    figures.iter().for_each(|(name, value)| println!("{name} {value}"));
    ExitCode::SUCCESS
}

/// Measures all; says whether every limit is kept.
fn measure_all() -> bool {
    let broker = serve_broker();
    let canned = serve_backlog();
    let idle = child("idle", &broker);
    let even = child("backlog", &canned);
    let uneven = child("uneven", &canned);
    let prefetch = config::Consumer::default().prefetch_bytes as f64 / MIB as f64;
    let rows = [
        ("memory of a client that is idle, MiB", idle["client_mib"], 10.0),
        ("of a core, for 1,000 partitions where nothing happens, percent", idle["cpu_percent"], 0.5),
        ("heap of a slow reader before 5 GiB, in what it may fetch ahead", even["heap_mib"] / prefetch, 1.25),
        ("the same, where half of the partitions are slow", uneven["heap_mib"] / prefetch, 1.25),
    ];
    let mut told = Vec::new();
    for (what, value, limit) in rows {
        let verdict = if value <= limit { "kept" } else { "MISSED" };
        println!("{verdict}: {what}: {value:.2}, at most {limit}");
        told.push(format!(r#"{{"what": "{what}", "measured": {value:.2}, "at most": {limit}}}"#));
    }
    println!(r#"figures: limits {{"limits": [{}]}}"#, told.join(", "));
    rows.iter().all(|(_, value, limit)| value <= limit)
}

/// Runs one measurement in a process of its own.
fn child(what: &str, address: &str) -> Figures {
    let own = env::current_exe().expect("this program has a path");
    let output = Command::new(own).args([what, address]).output().expect("it can be started");
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {told}{error}");
    println!("{what}: {}", told.trim().replace('\n', ", "));
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ').expect("a name and a figure");
        (name.to_owned(), value.parse().expect("a figure"))
    };
    told.lines().map(pair).collect()
}

/// Everything on this thread, so that what it takes is all that is taken.
fn here() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A client with a producer and then with a consumer too, while nothing happens.
async fn idle(address: &str) -> Figures {
    let client = Client::connect(address).await.expect("the broker answers");
    let producer = client.producer();
    producer
        .send(ProducerRecord::to("idle").value("x"))
        .await
        .expect("there is room")
        .await
        .expect("it is written");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let client_mib = resident("VmRSS:");
    let partition = |number| (TopicPartition::new("idle", number), Offset::Latest);
    let mut consumer =
        client.consumer().assign((0..IDLE_PARTITIONS).map(partition)).await.expect("an assignment");
    let settled = tokio::time::timeout(Duration::from_secs(2), consumer.next()).await;
    assert!(settled.is_err(), "nothing is written");
    let (before, began) = (cpu(), Instant::now());
    let quiet = tokio::time::timeout(Duration::from_secs(IDLE_SECONDS), consumer.next()).await;
    assert!(quiet.is_err(), "nothing is written");
    let cpu_percent = (cpu() - before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let named =
        [("client_mib", client_mib), ("partitions_mib", resident("VmRSS:")), ("cpu_percent", cpu_percent)];
    named.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Reads the backlog to its end; what that took of the heap at most.
fn backlog<F: Future<Output = usize>>(address: &str, read: impl FnOnce(Client) -> F) -> Figures {
    let mut bytes = 0;
    let began = Instant::now();
    let taken = allocation_counter::measure(|| {
        here().block_on(async {
            let client = Client::connect(address).await.expect("the endpoint answers");
            bytes = read(client).await;
        });
    });
    assert!(bytes >= BACKLOG_PARTITIONS as usize * BACKLOG_BYTES, "{bytes} bytes were read");
    let named = [
        ("heap_mib", taken.bytes_max as f64 / MIB as f64),
        ("resident_mib", resident("VmHWM:")),
        ("seconds", began.elapsed().as_secs_f64()),
    ];
    named.map(|(name, value)| (name.to_owned(), value)).into()
}

fn partitions() -> impl Iterator<Item = (TopicPartition, Offset)> {
    (0..BACKLOG_PARTITIONS).map(|number| (TopicPartition::new("backlog", number), Offset::Exact(0)))
}

/// One reader for all, who now and then has something else to do.
async fn even(client: Client) -> usize {
    let mut consumer = client.consumer().assign(partitions()).await.expect("an assignment");
    let (mut bytes, mut rested) = (0, 0);
    while bytes < BACKLOG_PARTITIONS as usize * BACKLOG_BYTES {
        let batch = consumer.next().await.expect("no error").expect("not the end");
        bytes += batch.len() * RECORD_BYTES;
        if bytes - rested > 16 * MIB {
            rested = bytes;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    bytes
}

/// As long as there is anything else, all but one of every other partition are paused: by turns, so that what is kept
/// of each came in another answer.
async fn uneven(client: Client) -> usize {
    let mut consumer = client.consumer().assign(partitions()).await.expect("an assignment");
    let whole = BACKLOG_PARTITIONS as usize * BACKLOG_BYTES;
    let slow: Vec<_> = partitions().map(|it| it.0).step_by(2).collect();
    let (mut bytes, mut turn, mut turned) = (0, 0, 0);
    while bytes < whole {
        bytes += consumer.next().await.expect("no error").expect("not the end").len() * RECORD_BYTES;
        if bytes - turned > 5 * MIB {
            (turn, turned) = (turn + 1, bytes);
            for (number, partition) in slow.iter().enumerate() {
                let stream = consumer.partition(partition).expect("it is assigned");
                if number == turn % slow.len() { stream.resume() } else { stream.pause() }
            }
        }
    }
    bytes
}

/// CPU time of this thread, which has everything.
fn cpu() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    let nanos = told.split(' ').next().and_then(|it| it.parse().ok()).expect("nanoseconds come first");
    Duration::from_nanos(nanos)
}

/// Memory of this process, in MiB.
fn resident(name: &str) -> f64 {
    let told = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = told.lines().find(|line| line.starts_with(name)).expect("it is told");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number of KiB");
    kib / 1024.0
}

/// A broker of ours in this process; gives its address.
fn serve_broker() -> String {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        here().block_on(async {
            let builder = Broker::in_memory().listen("127.0.0.1:0").topic("idle", IDLE_PARTITIONS);
            let broker = builder.start().await.expect("a broker in memory starts");
            tell.send(broker.bootstrap()).expect("somebody waits for it");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the broker starts")
}

/// An endpoint that has one batch and serves it for ever; gives its address.
fn serve_backlog() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let canned = Canned { port: address.port(), batch: batch() };
            thread::spawn(move || canned.serve(stream.expect("a connection")));
        }
    });
    address.to_string()
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for _ in 0..BATCH_RECORDS {
        builder.append(RecordSlices::new(1, None, Some(&[7; RECORD_BYTES]))).expect("it fits");
    }
    builder.finish(Stamp::NONE, Compression::None).expect("it has records").to_vec()
}

struct Canned {
    port: u16,
    batch: Vec<u8>,
}

impl Canned {
    /// Until the client hangs up.
    fn serve(mut self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut frame = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut frame)?;
            let mut body = Decoder::new(frame.into(), Api::ApiVersions.version(0), MIB);
            let header = frame::request_header(&mut body).expect("the client sends headers");
            let (api, version) = (Api::from_key(header.api_key).expect("it is ours"), header.api_version);
            let answer = match api {
                Api::ApiVersions => {
                    let asked = ApiVersionsRequest::decode(&mut body).expect("it is sound");
                    framed::<ApiVersionsRequest>(
                        version,
                        header.correlation_id,
                        &greeting::answer(Api::ALL, version, &asked),
                    )
                }
                Api::Metadata => framed::<MetadataRequest>(version, header.correlation_id, &self.metadata()),
                Api::Fetch => {
                    let asked = FetchRequest::decode(&mut body).expect("it is sound");
                    framed::<FetchRequest>(version, header.correlation_id, &self.fetched(&asked))
                }
                api => panic!("{api:?} is not served"),
            };
            stream.write_all(&answer)?;
        }
    }

    fn metadata(&self) -> MetadataResponse {
        let led = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1,
            ..Default::default()
        };
        let topic = MetadataResponseTopic {
            name: Some("backlog".to_owned()),
            partitions: (0..BACKLOG_PARTITIONS).map(led).collect(),
            ..Default::default()
        };
        let broker = MetadataResponseBroker {
            node_id: 1,
            host: "127.0.0.1".to_owned(),
            port: i32::from(self.port),
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker], topics: vec![topic], ..Default::default() }
    }

    /// As much as may be sent, of each partition in turn.
    fn fetched(&mut self, asked: &FetchRequest) -> FetchResponse {
        let mut room = asked.max_bytes.max(0) as usize;
        let mut partitions = Vec::new();
        for it in asked.topics.iter().flat_map(|topic| &topic.partitions) {
            let own = (it.partition_max_bytes.max(0) as usize).min(room) / self.batch.len();
            let count = if partitions.is_empty() { own.max(1) } else { own };
            room = room.saturating_sub(count * self.batch.len());
            let mut records = Vec::with_capacity(count * self.batch.len());
            for number in 0..count as i64 {
                patch_base_offset(&mut self.batch, it.fetch_offset + number * BATCH_RECORDS);
                records.extend_from_slice(&self.batch);
            }
            partitions.push(PartitionData {
                partition_index: it.partition,
                high_watermark: i64::MAX,
                records: Some(records.into()),
                ..Default::default()
            });
        }
        let topic = FetchableTopicResponse { topic: "backlog".to_owned(), partitions, ..Default::default() };
        FetchResponse { responses: vec![topic], ..Default::default() }
    }
}

fn framed<R: Request>(version: i16, correlation_id: i32, answer: &R::Response) -> Vec<u8> {
    let encoder = frame::response(R::API, version, correlation_id, answer);
    encoder.expect("it can be said").into_bytes().to_vec()
}
