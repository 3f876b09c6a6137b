//! A history as a checker wants to see it: what became of each call, and what the logs had in the end.

use std::collections::BTreeMap;

use super::{Call, History, Partition, Record, What};

/// A call of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<'a> {
    /// Who was called.
    pub client: &'a str,
    /// What for.
    pub call: &'a Call,
    /// The event in which it was called.
    pub invoked: usize,
    /// The event that tells what came of it, if there is one.
    pub ended: Option<usize>,
}

/// A record that somebody sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent<'a> {
    /// Who.
    pub client: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Its topic.
    pub topic: &'a str,
    /// Where exactly the user wanted it.
    pub wanted: Option<i32>,
    /// The event in which it was sent.
    pub invoked: usize,
    /// The event in which its fate was told, if it ever was.
    pub ended: Option<usize>,
    /// What became of it.
    pub fate: Fate<'a>,
}

/// What became of a record, as its sender was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It is written: where, and at which offset if that is known.
    Acknowledged(&'a Partition, Option<i64>),
    /// It is not written.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// A log as it is in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log<'a> {
    /// The first offset that it has.
    pub start: i64,
    /// Where the next record will be.
    pub end: i64,
    /// Each record, and the event that tells of it.
    pub records: Vec<(usize, &'a Record)>,
}

impl History {
    /// Every call, in order.
    pub fn calls(&self) -> Vec<Made<'_>> {
        let mut calls = Vec::new();
        let mut open = BTreeMap::new();
        for (at, event) in self.events.iter().enumerate() {
            match &event.what {
                What::Invoke { op, client, call } => {
                    open.insert(*op, calls.len());
                    calls.push(Made { client, call, invoked: at, ended: None });
                }
                What::Ok { op, .. } | What::Fail { op, .. } | What::Info { op, .. } => {
                    let call = open.remove(op).and_then(|it| calls.get_mut(it));
                    call.into_iter().for_each(|it| it.ended = Some(at));
                }
                _ => (),
            }
        }
        calls
    }

    /// What was sent, in the order of sending.
    pub fn sends(&self) -> Vec<Sent<'_>> {
        self.calls().into_iter().filter_map(|it| self.sent(&it)).collect()
    }

    fn sent<'a>(&'a self, made: &Made<'a>) -> Option<Sent<'a>> {
        let Call::Send { value, topic, partition } = made.call else { return None };
        let fate = match made.ended.map(|it| &self.events[it].what) {
            Some(What::Ok { partition: Some(partition), offset, .. }) => {
                Fate::Acknowledged(partition, *offset)
            }
            Some(What::Fail { .. }) => Fate::Failed,
            _ => Fate::Unknown,
        };
        let Made { client, invoked, ended, .. } = *made;
        Some(Sent { client, value, topic, wanted: *partition, invoked, ended, fate })
    }

    /// What the logs had in the end.
    pub fn logs(&self) -> BTreeMap<&Partition, Log<'_>> {
        let mut logs = BTreeMap::<_, Log<'_>>::new();
        for (at, event) in self.events.iter().enumerate() {
            let What::Log { partition, start, end, records } = &event.what else { continue };
            let log = logs.entry(partition).or_insert(Log { start: *start, ..Log::default() });
            log.end = *end;
            log.records.extend(records.iter().map(|it| (at, it)));
        }
        logs
    }
}
