//! `kafka: { topic: out }` produces the outputs, with the keys, timestamps and headers of their records.

use std::{sync::Arc, time::Duration};

use vltava_client::{
    Acks, Client, Codec, Compression, Producer, ProducerRecord, Timestamp, UnknownPartitioner, config,
};

use crate::{
    Failure, Output, Sink,
    registry::{Kind, Open},
    sink::BoxFuture,
    spec::{Error, Field, Key, Section},
};

/// How a flow file names it.
pub(crate) const KIND: Kind = Kind { name: "kafka", doc: "produces to a topic", keys: KEYS, read };

const KEYS: &[Key] = &[
    Key::new("topic", "a name", "", "the topic, on the cluster the flow reads from"),
    Key::new(
        "acks",
        "all, 1 or 0",
        "all",
        "who has it before it counts; less than all may lose, repeat and reorder records",
    ),
    Key::new("linger.ms", "a number", "0", "how long a batch waits for more records"),
    Key::new("batch.size", "a number", "262144", "bytes of a batch, before it is compressed"),
    Key::new(
        "delivery.timeout.ms",
        "a number",
        "120000",
        "when a record that cannot be delivered has failed",
    ),
    Key::new("partitioner", "a name", "murmur2", "where records go, by their key or spread out"),
    Key::new("compression.type", "a codec", "none", "how batches are compressed"),
    Key::new("compression.gzip.level", "1 to 9", "6", "how hard gzip tries"),
    Key::new("compression.lz4.level", "9", "9", "lz4 is built at one level"),
    Key::new("compression.zstd.level", "-131072 to 22", "3", "how hard zstd tries"),
];

/// Levels are checked where they are written; only that of the codec in use is used.
const LEVELS: &[(&str, Compression)] = &[
    ("compression.gzip.level", Compression::Gzip),
    ("compression.lz4.level", Compression::Lz4),
    ("compression.zstd.level", Compression::Zstd),
];

fn read(section: &Section<'_>) -> Result<Open, Error> {
    let topic: Arc<str> = section.required("topic")?.word()?.into();
    let config = config(section)?;
    Ok(Box::new(move |client: Client| {
        let opened = Producer::builder(&client).config(config.clone()).build().map(|producer| {
            let sink: Arc<dyn Sink> = Arc::new(Produced { producer, topic: topic.clone() });
            sink
        });
        Box::pin(std::future::ready(opened.map_err(Failure::from)))
    }))
}

fn config(section: &Section<'_>) -> Result<config::Producer, Error> {
    let mut config = config::Producer { compression: codec(section)?, ..Default::default() };
    let at_least = |least, name| section.field(name).map(|it| it.count(least, i32::MAX.into())).transpose();
    let number = |name| at_least(0, name);
    let millis = |it: i64| Duration::from_millis(it.unsigned_abs());
    if let Some(field) = section.field("acks") {
        config.acks = acks(&field)?;
        // Who does not wait for all replicas cannot know that a record is written once.
        config.idempotent = config.acks == Acks::All;
    }
    config.linger = number("linger.ms")?.map_or(config.linger, millis);
    config.delivery_timeout = at_least(1, "delivery.timeout.ms")?.map_or(config.delivery_timeout, millis);
    config.batch_bytes = number("batch.size")?.map_or(config.batch_bytes, |it| it as usize);
    if let Some(field) = section.field("partitioner") {
        let name = field.word()?;
        let unknown =
            |error: UnknownPartitioner| field.error(format!("`partitioner` is `{name}`"), error.to_string());
        config.partitioner = name.parse().map_err(unknown)?;
    }
    Ok(config)
}

fn acks(field: &Field<'_>) -> Result<Acks, Error> {
    match field.scalar()?.as_str() {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        other => Err(field.error(format!("`acks` is `{other}`"), "must be all, 1 or 0")),
    }
}

fn codec(section: &Section<'_>) -> Result<Codec, Error> {
    let mut codec = Codec::default();
    if let Some(field) = section.field("compression.type") {
        codec = field.one_of(&Compression::ALL.map(|it| (it.name(), Some(it))))?.into();
    }
    for (name, compression) in LEVELS {
        let Some(field) = section.field(name) else { continue };
        let level = field.count(i32::MIN.into(), i32::MAX.into())? as i32;
        let leveled = compression.at_level(level).map_err(|error| field.error(error.to_string(), ""))?;
        if codec.compression() == *compression {
            codec = leveled;
        }
    }
    Ok(codec)
}

/// Produces to a topic. What is delivered was acknowledged, so there is nothing to flush.
struct Produced {
    producer: Producer,
    topic: Arc<str>,
}

impl Produced {
    fn record(&self, output: &Output) -> Result<ProducerRecord, Failure> {
        let record = output.record();
        let mut made = ProducerRecord::to(self.topic.clone());
        if let Some(key) = record.key_bytes() {
            made = made.key(key);
        }
        if let Some(value) = output.value_bytes() {
            made = made.value(value);
        }
        if record.timestamp() >= 0 {
            made = made.timestamp(Timestamp(record.timestamp()));
        }
        for (name, value) in record.headers() {
            let name = std::str::from_utf8(name)
                .map_err(|error| Failure::new(format!("the name of a header is no UTF-8: {error}")))?;
            made = match value {
                Some(value) => made.header(name, value),
                None => made.null_header(name),
            };
        }
        Ok(made)
    }

    async fn produce(&self, outputs: &[Output]) -> Vec<Result<(), Failure>> {
        let mut sent = Vec::with_capacity(outputs.len());
        for output in outputs {
            sent.push(match self.record(output) {
                Ok(record) => self.producer.send(record).await.map_err(Failure::from),
                Err(failure) => Err(failure),
            });
        }
        let mut each = Vec::with_capacity(outputs.len());
        for delivery in sent {
            each.push(match delivery {
                Ok(delivery) => delivery.await.map(drop).map_err(Failure::from),
                Err(failure) => Err(failure),
            });
        }
        each
    }
}

impl Sink for Produced {
    fn deliver<'a>(&'a self, outputs: &'a [Output]) -> BoxFuture<'a, Vec<Result<(), Failure>>> {
        Box::pin(self.produce(outputs))
    }
}
