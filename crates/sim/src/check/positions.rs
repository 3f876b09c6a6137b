//! Where each consumer stands, followed through a history.

use std::collections::BTreeMap;

use crate::history::{Cause, Event, Partition, Record, Start, What};

/// Something that happened to the position of a consumer in a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) event: usize,
    pub(super) client: &'a str,
    pub(super) partition: &'a Partition,
    /// Where it stood before, and since which event; none if it was not read.
    pub(super) before: Option<(Stand, usize)>,
    pub(super) what: Move<'a>,
}

/// Where a consumer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Where it is to begin.
    Begins(Start),
    /// Where it has come to.
    At(i64),
}

/// What a position does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move<'a> {
    /// It begins somewhere: a partition was assigned.
    Begin(Start),
    /// The user sends it elsewhere.
    Seek(Start),
    /// It moves by itself.
    Jump { from: Option<i64>, to: i64, cause: Cause },
    /// It moves by reading.
    Read { records: &'a [Record], next: i64 },
}

impl Step<'_> {
    /// The offset at which it stood before, if that is known.
    pub(super) fn stood(&self) -> Option<i64> {
        match self.before?.0 {
            Stand::Begins(start) => start.offset(),
            Stand::At(offset) => Some(offset),
        }
    }
}

/// Every step of every position, in order.
pub(super) fn steps(events: &[Event]) -> Vec<Step<'_>> {
    let mut stands = BTreeMap::new();
    let mut steps = Vec::new();
    for (event, it) in events.iter().enumerate() {
        let (client, partition, what, stand) = match &it.what {
            What::Assigned { client, partition, start, .. } => {
                (client, partition, Move::Begin(*start), Stand::Begins(*start))
            }
            What::Seek { client, partition, start } => {
                (client, partition, Move::Seek(*start), Stand::Begins(*start))
            }
            What::Jump { client, partition, from, to, cause } => {
                let what = Move::Jump { from: *from, to: *to, cause: *cause };
                (client, partition, what, Stand::At(*to))
            }
            What::Poll { client, partition, records, next, .. } => {
                (client, partition, Move::Read { records, next: *next }, Stand::At(*next))
            }
            What::Revoked { client, partition, .. } => {
                stands.remove(&(client, partition));
                continue;
            }
            _ => continue,
        };
        let before = stands.insert((client, partition), (stand, event));
        steps.push(Step { event, client, partition, before, what });
    }
    steps
}
