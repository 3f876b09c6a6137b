//! `kafka: { topic: out }` produces the outputs, with the keys, timestamps and headers of their records.

use std::sync::Arc;

use vltava_client::{Client, Producer, ProducerRecord, Timestamp};

use crate::{
    Failure, Output, Sink,
    registry::{Kind, Open},
    sink::BoxFuture,
    spec::{Error, Key, Section},
};

/// How a flow file names it.
pub(crate) const KIND: Kind = Kind { name: "kafka", doc: "produces to a topic", keys: KEYS, read };

const KEYS: &[Key] = &[Key::new("topic", "a name", "", "the topic, on the cluster the flow reads from")];

fn read(section: &Section<'_>) -> Result<Open, Error> {
    let topic: Arc<str> = section.required("topic")?.word()?.into();
    Ok(Box::new(move |client: Client| {
        let sink: Arc<dyn Sink> = Arc::new(Produced { producer: client.producer(), topic: topic.clone() });
        Box::pin(std::future::ready(Ok(sink)))
    }))
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
