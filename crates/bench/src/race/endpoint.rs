//! What clients are pointed at, and what it knows of what they did.

use std::{error::Error, io};

use vltava_client::{Client, NewTopic};

use super::Row;
use crate::{
    drive::{Report, Work},
    serve::{self, Served},
    stub::{self, Stub},
    values::KEY_BYTES,
};

/// What a client is pointed at.
#[derive(Debug)]
pub(super) struct Endpoint {
    kind: Kind,
    runs: usize,
}

#[derive(Debug)]
enum Kind {
    Stub(Stub),
    /// Our broker, in memory: what is sent can be read.
    Broker(Served),
}

/// What a client is told.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) bootstrap: String,
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) records: u64,
}

impl Endpoint {
    pub(super) fn start(row: &Row) -> io::Result<Self> {
        let kind = match row.work {
            Work::Through => {
                Kind::Broker(Served::start(&serve::Options { nodes: row.endpoints, ..Default::default() })?)
            }
            _ => Kind::Stub(Stub::start(&stub::Options {
                endpoints: row.endpoints,
                partitions: row.partitions,
                records: row.records,
                value_bytes: row.value_bytes,
                batch_bytes: row.batch_bytes,
                codec: if row.work == Work::Consume { row.codec } else { Default::default() },
                rtt_micros: row.rtt_micros,
            })?),
        };
        Ok(Self { kind, runs: 0 })
    }

    /// Of the next client.
    pub(super) fn goal(&mut self, row: &Row) -> Result<Goal, Box<dyn Error>> {
        self.runs += 1;
        let group = format!("bench-{}", self.runs);
        let stub = match &mut self.kind {
            Kind::Stub(stub) => stub,
            Kind::Broker(broker) => {
                let topic = format!("{}-{}", stub::TOPIC, self.runs);
                create(&broker.bootstrap, &topic, row.partitions)?;
                return Ok(Goal { bootstrap: broker.bootstrap.clone(), topic, group, records: row.records });
            }
        };
        // What a client that failed has left behind is not the next one's.
        stub.produced()?;
        let records = if row.work == Work::Consume { stub.greeting.records } else { row.records };
        Ok(Goal { bootstrap: stub.greeting.bootstrap.clone(), topic: stub::TOPIC.into(), group, records })
    }

    /// Whether what a client says it did is what there was to do.
    pub(super) fn check(&mut self, row: &Row, report: &Report) -> Result<(), Box<dyn Error>> {
        let (what, expected, found) = match (&mut self.kind, row.work) {
            (Kind::Stub(stub), Work::Consume) => {
                let stub::Greeting { records, offsets, .. } = stub.greeting;
                let bytes = records * (KEY_BYTES + row.value_bytes) as u64;
                let found = [report.records, report.offsets, report.bytes];
                ("records, offsets in all and bytes that were read", [records, offsets, bytes], found)
            }
            (Kind::Stub(stub), _) => {
                let produced = stub.produced()?;
                let found = [report.records, produced.records, produced.broken];
                let what = "records acknowledged and records that came, and batches that came broken";
                (what, [row.records, row.records, 0], found)
            }
            (Kind::Broker(_), _) => {
                let bytes = row.records * row.value_bytes as u64;
                let found = [report.records, 0, report.bytes];
                ("records and bytes that were read", [row.records, 0, bytes], found)
            }
        };
        if expected == found { Ok(()) } else { Err(format!("{what} are {found:?}, not {expected:?}").into()) }
    }
}

/// Makes a topic.
pub(crate) fn create(bootstrap: &str, topic: &str, partitions: usize) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let client = Client::connect(bootstrap).await?;
        let topic = NewTopic::new(topic).partitions(partitions as i32);
        Ok(client.admin().create_topic(topic).await?)
    })
}
