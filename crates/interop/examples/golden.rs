//! Makes the golden batches of `wire` again: librdkafka's, which it produces to our broker and which are taken as they
//! are stored; then Java's, and what Java reads in all of them, see `kafka/Golden.java`.

use std::{error::Error, fs, path::Path, process::Command, time::Duration};

use bytes::Bytes;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vltava_broker::Broker;
use vltava_wire::{
    frame,
    messages::{FetchRequest, fetch},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/tests/golden");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka/cluster");

const TIME: i64 = 1_700_000_000_000;

/// The last version of Fetch in which topics have names.
const FETCH: i16 = 12;

const BYTES_MAX: usize = 1 << 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let start = codecs.iter().fold(Broker::in_memory(), |broker, codec| broker.topic(*codec, 1));
    let broker = start.listen("127.0.0.1:0").start().await?;
    for codec in codecs {
        let address = broker.bootstrap();
        tokio::task::spawn_blocking(move || produce(&address, codec).map_err(|error| error.to_string()))
            .await??;
        let path = Path::new(FOLDER).join(format!("librdkafka-{codec}.batch"));
        fs::write(path, stored(&broker, codec).await?)?;
    }
    broker.shutdown().await?;
    let ended = Command::new(SCRIPT).args(["golden", FOLDER]).status()?;
    if ended.success() { Ok(()) } else { Err(format!("{SCRIPT} ended with {ended}").into()) }
}

/// A batch of records with and without key, value, headers; names of headers repeat.
fn produce(address: &str, codec: &str) -> Result<(), Box<dyn Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("compression.type", codec).set("linger.ms", "1000");
    let producer: BaseProducer = config.create()?;
    let record = |after: i64| BaseRecord::<[u8], [u8]>::to(codec).partition(0).timestamp(TIME + after);
    let header = |key, value: Option<&'static str>| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("trace", Some("4f")))
        .insert(header("trace", None))
        .insert(header("empty", Some("")))
        .insert(header("trace", Some("50")));
    let long = vec![b'a'; if codec == "none" { 0 } else { 40_000 }];
    let records = [
        record(0).key(b"AAPL").payload(b"191.24").headers(headers),
        record(250).payload(b"no key"),
        record(-5).key(b"tombstone"),
        record(1_000),
        record(1_000).key(b"").payload(b""),
        record(1).key("řeka".as_bytes()).payload(b"a river, a river, a river, a river, a river"),
        record(2).payload(&long),
    ];
    for record in records {
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// The log of a topic's only partition, as a fetch brings it.
async fn stored(broker: &Broker, topic: &str) -> Result<Bytes, Box<dyn Error>> {
    let partition = fetch::FetchPartition { partition_max_bytes: BYTES_MAX as i32, ..Default::default() };
    let topic = fetch::FetchTopic { topic: topic.into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { topics: vec![topic], ..Default::default() };
    let mut connection = broker.connect();
    connection.write_all(&frame::request(FETCH, 1, Some("golden"), &request)?.into_bytes()).await?;
    let length = connection.read_u32().await?;
    let mut answer = vec![0; length as usize];
    connection.read_exact(&mut answer).await?;
    let answer = frame::response_body::<FetchRequest>(answer.into(), FETCH, BYTES_MAX)?;
    let records = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
    records.and_then(|partition| partition.records).ok_or_else(|| "the broker has no records".into())
}
