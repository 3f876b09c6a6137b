//! Histories as a cluster without faults could have written them: no checker has anything to say of any. And of
//! those from which something was taken, one has.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vltava_sim::{
    check::check,
    history::{Call, Cause, Durability, Event, Fate, History, Partition, Record, Removal, Start, What},
};

const PARTITIONS: usize = 2;
const CLIENTS: usize = 2;

/// Something that somebody does.
#[derive(Debug, Clone)]
enum Act {
    /// A producer sends to a partition, and is told the truth, or nothing.
    Send { producer: usize, partition: usize, fate: Told },
    /// A reader is handed so many records.
    Read { reader: usize, partition: usize, most: usize },
    /// A reader is sent somewhere in the log.
    Seek { reader: usize, partition: usize, to: usize },
    /// A partition is taken from a reader and given back where he stood.
    Reassign { reader: usize, partition: usize },
    /// Records are deleted from the beginning, and whoever stood there is told.
    Trim { partition: usize, before: usize },
    /// Somebody asks what the group has committed.
    Commit { partition: usize },
}

#[derive(Debug, Clone, Copy)]
enum Told {
    Written,
    NotWritten,
    WrittenInDoubt,
    NotWrittenInDoubt,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (client, partition) = (0..CLIENTS, 0..PARTITIONS);
    let told = prop_oneof![
        6 => Just(Told::Written),
        1 => Just(Told::NotWritten),
        1 => Just(Told::WrittenInDoubt),
        1 => Just(Told::NotWrittenInDoubt),
    ];
    let (c, p) = (client, partition);
    prop::collection::vec(
        prop_oneof![
            6 => (c.clone(), p.clone(), told)
                .prop_map(|(producer, partition, fate)| Act::Send { producer, partition, fate }),
            4 => (c.clone(), p.clone(), 0..4usize)
                .prop_map(|(reader, partition, most)| Act::Read { reader, partition, most }),
            1 => (c.clone(), p.clone(), 0..20usize)
                .prop_map(|(reader, partition, to)| Act::Seek { reader, partition, to }),
            1 => (c, p.clone()).prop_map(|(reader, partition)| Act::Reassign { reader, partition }),
            1 => (p.clone(), 0..20usize).prop_map(|(partition, before)| Act::Trim { partition, before }),
            1 => p.prop_map(|partition| Act::Commit { partition }),
        ],
        0..60,
    )
}

/// What there is, and what was written of it.
#[derive(Default)]
struct Cluster {
    history: History,
    logs: [Vec<String>; PARTITIONS],
    starts: [usize; PARTITIONS],
    sent: [u64; CLIENTS],
    ops: u64,
    stands: BTreeMap<(usize, usize), usize>,
    assignments: u64,
}

fn partition(number: usize) -> Partition {
    Partition { topic: "t".into(), number: number as i32 }
}

impl Cluster {
    fn note(&mut self, what: What) {
        let at = self.history.events.len() as u64;
        self.history.events.push(Event { at, what });
    }

    fn begin(&mut self) {
        self.note(What::Play { workload: "made up".into(), seed: 0, slack: 0, shares_log: false });
        for number in 0..CLIENTS {
            let (acks, idempotent, timeout) = (Durability::All, true, 10_000);
            self.note(What::Producer { client: format!("p{number}"), acks, idempotent, timeout });
            self.note(What::Consumer { client: format!("c{number}"), group: None, resets: None });
            for partition in 0..PARTITIONS {
                self.assign(number, partition, Start::Earliest);
                self.stands.insert((number, partition), 0);
            }
        }
    }

    fn assign(&mut self, reader: usize, number: usize, start: Start) {
        self.assignments += 1;
        let (client, assignment) = (format!("c{reader}"), self.assignments);
        self.note(What::Assigned { client, assignment, partition: partition(number), start });
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send { producer, partition, fate } => self.send(producer, partition, fate),
            Act::Read { reader, partition, most } => self.read(reader, partition, most),
            Act::Seek { reader, partition: number, to } => {
                let to = to.clamp(self.starts[number], self.logs[number].len());
                let (client, partition) = (format!("c{reader}"), partition(number));
                self.note(What::Seek { client, partition, start: Start::At(to as i64) });
                self.stands.insert((reader, number), to);
            }
            Act::Reassign { reader, partition } => {
                let at = self.stands[&(reader, partition)] as i64;
                self.assign(reader, partition, Start::At(at));
            }
            Act::Trim { partition, before } => self.trim(partition, before),
            Act::Commit { partition: number } => {
                let (offset, asked) = (self.logs[number].len() as i64, self.history.events.len() as u64);
                self.note(What::Committed { group: "g".into(), partition: partition(number), offset, asked });
            }
        }
    }

    fn send(&mut self, producer: usize, number: usize, fate: Told) {
        let (client, op) = (format!("p{producer}"), self.ops);
        let value = format!("{client}:{}", self.sent[producer]);
        self.sent[producer] += 1;
        self.ops += 1;
        let call = Call::Send { value: value.clone(), topic: "t".into(), partition: Some(number as i32) };
        self.note(What::Invoke { op, client, call });
        let offset = self.logs[number].len() as i64;
        if matches!(fate, Told::Written | Told::WrittenInDoubt) {
            self.logs[number].push(value);
        }
        self.note(match fate {
            Told::Written => What::Ok { op, partition: Some(partition(number)), offset: Some(offset) },
            Told::NotWritten => What::Fail { op, error: "refused".into() },
            Told::WrittenInDoubt | Told::NotWrittenInDoubt => What::Info { op, error: "cut".into() },
        });
    }

    fn read(&mut self, reader: usize, number: usize, most: usize) {
        let from = self.stands[&(reader, number)];
        let start = self.starts[number];
        if from < start {
            let (client, partition, from, to) =
                (format!("c{reader}"), partition(number), Some(from as i64), start as i64);
            self.note(What::Jump { client, partition, from, to, cause: Cause::OutOfRange });
        }
        let from = from.max(start);
        let next = (from + most).min(self.logs[number].len());
        self.stands.insert((reader, number), next);
        if from < next {
            let records = self.records(number, from, next);
            let (client, assignment, next) = (format!("c{reader}"), 0, next as i64);
            self.note(What::Poll { client, assignment, partition: partition(number), next, records });
        }
    }

    fn trim(&mut self, number: usize, before: usize) {
        let before = before.clamp(self.starts[number], self.logs[number].len());
        self.starts[number] = before;
        let (from, to, why) = (0, Some(before as i64), Removal::DeleteRecords);
        self.note(What::Removed { partition: partition(number), from, to, why });
    }

    fn records(&self, number: usize, from: usize, to: usize) -> Vec<Record> {
        (from..to).map(|at| Record(at as i64, self.logs[number][at].clone())).collect()
    }

    fn end(mut self) -> History {
        self.note(What::Calm { within: 10_000 });
        for reader in 0..CLIENTS {
            for number in 0..PARTITIONS {
                self.read(reader, number, usize::MAX / 2);
            }
            self.note(What::Drained { audience: format!("c{reader}") });
        }
        for number in 0..PARTITIONS {
            let (start, end) = (self.starts[number], self.logs[number].len());
            let records = self.records(number, start, end);
            let (start, end) = (start as i64, end as i64);
            self.note(What::Log { partition: partition(number), start, end, records });
        }
        self.history
    }
}

fn history(acts: &[Act]) -> History {
    let mut cluster = Cluster::default();
    cluster.begin();
    acts.iter().for_each(|it| cluster.act(it));
    cluster.end()
}

proptest! {
    #[test]
    fn nothing_is_wrong_with_what_nothing_went_wrong_with(acts in acts()) {
        let history = history(&acts);
        let told: Vec<_> = check(&history).iter().map(|it| it.told(&history)).collect();
        prop_assert!(told.is_empty(), "{}", told.join("\n"));
    }

    #[test]
    fn a_record_that_is_taken_out_of_a_log_is_missed(acts in acts(), which in any::<prop::sample::Index>()) {
        let mut history = history(&acts);
        let in_doubt: Vec<_> = history
            .sends()
            .iter()
            .filter(|it| it.fate == Fate::Unknown)
            .map(|it| it.value.to_owned())
            .collect();
        let logs = history.events.iter_mut().filter_map(|it| match &mut it.what {
            What::Log { records, .. } => Some(records),
            _ => None,
        });
        let mut records: Vec<_> = logs.filter(|it| !it.is_empty()).collect();
        prop_assume!(!records.is_empty());
        let log = which.get_mut(&mut records);
        let gone = log.pop().expect("it is not empty");
        // Nobody misses what nobody knows of: readers who passed it by, and a sender who is in doubt.
        let was_read = history.events.iter().any(|it| {
            matches!(&it.what, What::Poll { records, .. } if records.contains(&gone))
        });
        prop_assert!(!check(&history).is_empty() || (in_doubt.contains(&gone.1) && !was_read), "{gone:?}");
    }

    #[test]
    fn a_history_is_read_as_it_was_written(acts in acts()) {
        let history = history(&acts);
        let read: History = history.to_string().parse().expect("it was written by us");
        prop_assert_eq!(read, history);
    }
}
