//! What clients are pointed at, and what it knows of what they did.

use std::{error::Error, io};

use super::Row;
use crate::{
    drive::{Report, Work},
    stub::{self, Stub},
    values::KEY_BYTES,
};

/// What a client is pointed at.
#[derive(Debug)]
pub(super) struct Endpoint {
    stub: Stub,
    runs: usize,
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
        let stub = Stub::start(&stub::Options {
            endpoints: row.endpoints,
            partitions: row.partitions,
            records: row.records,
            value_bytes: row.value_bytes,
            batch_bytes: row.batch_bytes,
            codec: if row.work == Work::Consume { row.codec } else { Default::default() },
            rtt_micros: row.rtt_micros,
        })?;
        Ok(Self { stub, runs: 0 })
    }

    /// Of the next client.
    pub(super) fn goal(&mut self, row: &Row) -> io::Result<Goal> {
        self.runs += 1;
        // What a client that failed has left behind is not the next one's.
        self.stub.produced()?;
        let records = match row.work {
            Work::Consume => self.stub.greeting.records,
            Work::Produce => row.records,
        };
        Ok(Goal {
            bootstrap: self.stub.greeting.bootstrap.clone(),
            topic: String::from(stub::TOPIC),
            group: format!("bench-{}", self.runs),
            records,
        })
    }

    /// Whether what a client says it did is what there was to do.
    pub(super) fn check(&mut self, row: &Row, report: &Report) -> Result<(), Box<dyn Error>> {
        let produced = self.stub.produced()?;
        let (expected, found) = match row.work {
            Work::Consume => {
                let stub::Greeting { records, offsets, .. } = self.stub.greeting;
                let bytes = records * (KEY_BYTES + row.value_bytes) as u64;
                ([records, offsets, bytes], [report.records, report.offsets, report.bytes])
            }
            Work::Produce => {
                ([row.records, row.records, 0], [report.records, produced.records, produced.broken])
            }
        };
        if expected == found {
            return Ok(());
        }
        let what = match row.work {
            Work::Consume => "records, offsets in all and bytes that were read",
            Work::Produce => "records acknowledged and records that came, and batches that came broken",
        };
        Err(format!("{what} are {found:?}, not {expected:?}").into())
    }
}
