//! Which partition a record goes to that names none, as the clients do that people come from: whoever hashes keys
//! here sends them where the others sent them.

mod hash;
mod sticky;

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::Rng;
use hash::{crc32, fnv1a, murmur2};
use sticky::Sticky;

/// How the partition of a record is found that names none.
///
/// Where a hash has nothing to go by, records are spread as by `Sticky`, so that batches fill; the others do so by
/// chance, record by record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partitioner {
    /// By the key, as Java's producer. `murmur2_random` of librdkafka, `Murmur2Balancer` of kafka-go.
    #[default]
    Murmur2,
    /// By the key; an empty one counts as none. `consistent_random`, the default of librdkafka, and `CRC32Balancer`
    /// of kafka-go.
    Crc32,
    /// By the key, by the same hash; without one, all go to one partition. `consistent` of librdkafka.
    Consistent,
    /// By the key. `NewHashPartitioner`, the default of Sarama, `Hash` of kafka-go, `fnv1a_random` of librdkafka.
    Fnv1a,
    /// By the key, by the same hash taken otherwise. `NewReferenceHashPartitioner` of Sarama, `ReferenceHash` of
    /// kafka-go.
    Fnv1aReference,
    /// Where the least bytes went so far, whatever the key. `LeastBytes` of kafka-go.
    LeastBytes,
    /// To one partition with a leader until a batch is full, then to another by chance, whatever the key (KIP-794).
    Sticky,
    /// To the partitions with a leader in turn, whatever the key.
    RoundRobin,
    /// To one of the partitions with a leader by chance, whatever the key.
    Random,
    /// Every record has to name its partition.
    Manual,
}

/// Where a topic's records may go.
#[derive(Debug, Clone, Copy)]
pub struct Partitions<'a> {
    /// How many partitions there are.
    pub count: u32,
    /// Those that have a leader just now, in order.
    pub available: &'a [i32],
}

/// What a partition is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The record's.
    pub key: Option<&'a [u8]>,
    /// Of key and value.
    pub bytes: usize,
    /// A batch is full with so many.
    pub batch_bytes: usize,
}

/// Chooses partitions for the records of one topic.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    partitioner: Partitioner,
    sticky: Sticky,
    /// How many had their turn.
    turn: usize,
    /// Bytes that went to each partition.
    loads: BTreeSet<(u64, i32)>,
}

impl Partitioner {
    /// By name, the other names that its users know, and what it is.
    const NAMES: &[(&str, &[&str], Self)] = &[
        ("murmur2", &["murmur2_random", "java"], Self::Murmur2),
        ("crc32", &["consistent_random"], Self::Crc32),
        ("consistent", &[], Self::Consistent),
        ("fnv1a", &["fnv1a_random", "hash"], Self::Fnv1a),
        ("fnv1a_reference", &["reference_hash"], Self::Fnv1aReference),
        ("least_bytes", &[], Self::LeastBytes),
        ("sticky", &["uniform_sticky"], Self::Sticky),
        ("round_robin", &[], Self::RoundRobin),
        ("random", &[], Self::Random),
        ("manual", &[], Self::Manual),
    ];

    /// Where a key goes; none if keys do not matter, or this one does not.
    fn keyed(self, key: Option<&[u8]>, count: u32) -> Option<u32> {
        match self {
            Self::Murmur2 => key.map(|key| (murmur2(key) & 0x7fff_ffff) % count),
            Self::Crc32 => key.filter(|key| !key.is_empty()).map(|key| crc32(key) % count),
            Self::Consistent => Some(crc32(key.unwrap_or_default()) % count),
            // The hash counts as a signed number; of a negative remainder the sign is dropped.
            Self::Fnv1a => {
                key.map(|key| (i64::from(fnv1a(key) as i32) % i64::from(count)).unsigned_abs() as u32)
            }
            Self::Fnv1aReference => key.map(|key| (fnv1a(key) & 0x7fff_ffff) % count),
            Self::LeastBytes | Self::Sticky | Self::RoundRobin | Self::Random | Self::Manual => None,
        }
    }
}

impl Spread {
    /// Has sent nothing yet.
    pub fn new(partitioner: Partitioner) -> Self {
        Self { partitioner, ..Self::default() }
    }

    /// The partition of a record. None if there are no partitions, and always if records have to say it themselves.
    pub fn choose(&mut self, by: Choice<'_>, among: Partitions<'_>, rng: &mut Rng) -> Option<i32> {
        if among.count == 0 {
            return None;
        }
        if let Some(partition) = self.partitioner.keyed(by.key, among.count) {
            return Some(partition as i32);
        }
        match self.partitioner {
            Partitioner::Manual => None,
            Partitioner::LeastBytes => Some(self.lightest(by.bytes, among.count)),
            Partitioner::RoundRobin => {
                let turn = self.turn;
                self.turn = turn.wrapping_add(1);
                Some(among.nth(turn))
            }
            Partitioner::Random => Some(among.nth(rng.bits() as usize)),
            _ => {
                let next = self.sticky.next(by.bytes.max(1), by.batch_bytes, among.available, rng);
                // Without any leader one partition is as good as another: it waits for one.
                Some(next.unwrap_or(0))
            }
        }
    }

    fn lightest(&mut self, bytes: usize, count: u32) -> i32 {
        if self.loads.len() != count as usize {
            self.loads = (0..count as i32).map(|partition| (0, partition)).collect();
        }
        let (load, partition) = self.loads.pop_first().expect("there are partitions");
        self.loads.insert((load + bytes as u64, partition));
        partition
    }
}

impl Partitions<'_> {
    /// One of those with a leader; if none has one, one of all.
    fn nth(&self, number: usize) -> i32 {
        match self.available {
            [] => (number % self.count as usize) as i32,
            available => available[number % available.len()],
        }
    }
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|it| it.2 == *self);
        f.write_str(named.expect("every one has a name").0)
    }
}

/// No partitioner has that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPartitioner(String);

impl FromStr for Partitioner {
    type Err = UnknownPartitioner;

    /// By its name here, or by the one that it has in librdkafka, kafka-go or Sarama.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::NAMES.iter().find(|it| it.0 == name || it.1.contains(&name));
        named.map(|it| it.2).ok_or_else(|| UnknownPartitioner(name.to_owned()))
    }
}

impl fmt::Display for UnknownPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Partitioner::NAMES.iter().map(|it| it.0).collect();
        write!(f, "there is no partitioner `{}`; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownPartitioner {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What other clients answered; `crates/interop/partitioners/run` asks them.
    const GOLDEN: &str = include_str!("golden.txt");
    const COUNTS: [u32; 5] = [1, 2, 3, 12, 100];

    fn among(count: u32, available: &[i32]) -> Partitions<'_> {
        Partitions { count, available }
    }

    fn choice(key: Option<&[u8]>, bytes: usize) -> Choice<'_> {
        Choice { key, bytes, batch_bytes: 100 }
    }

    fn key(hex: &str) -> Option<Vec<u8>> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hex");
        match hex {
            "null" => None,
            "empty" => Some(Vec::new()),
            _ => Some((0..hex.len()).step_by(2).map(byte).collect()),
        }
    }

    /// The partitioner that does what another client calls so.
    fn ours(name: &str) -> Partitioner {
        match name {
            "kafka_go_murmur2" => Partitioner::Murmur2,
            "kafka_go_crc32" | "consistent_random" => Partitioner::Crc32,
            "kafka_go_crc32_consistent" | "sarama_crc32" => Partitioner::Consistent,
            "kafka_go_hash" | "sarama_hash" => Partitioner::Fnv1a,
            "kafka_go_reference" | "sarama_reference" => Partitioner::Fnv1aReference,
            name => name.parse().expect("it has that name here, too"),
        }
    }

    #[test]
    fn a_key_goes_where_other_clients_send_it() {
        let mut seen = BTreeMap::new();
        let lines = GOLDEN.lines().filter(|it| !it.starts_with('#') && !it.contains(" row "));
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let [name, hex, expected @ ..] = &words[..] else { panic!("{line}") };
            let found = COUNTS.map(|count| {
                let mut spread = Spread::new(ours(name));
                let key = key(hex);
                spread.choose(choice(key.as_deref(), 1), among(count, &[0]), &mut Rng::new(1))
            });
            let found = found.map(|it| it.expect("it goes somewhere").to_string());
            assert_eq!(found, *expected, "{name} {hex}");
            *seen.entry(ours(name).to_string()).or_insert(0) += 1;
        }
        let enough = ["murmur2", "crc32", "consistent", "fnv1a", "fnv1a_reference"];
        assert!(enough.iter().all(|it| seen.get(*it).is_some_and(|it| *it >= 40)), "{seen:?}");
    }

    #[test]
    fn records_are_spread_as_other_clients_spread_them() {
        let lines: Vec<_> = GOLDEN.lines().filter_map(|it| it.split_once(" row ")).collect();
        assert_eq!(lines.len(), 2);
        for (name, row) in lines {
            let (mut spread, mut rng, mut bytes) = (Spread::new(ours(name)), Rng::new(1), 1);
            for expected in row.split(' ') {
                let found = spread.choose(choice(Some(b"k"), bytes), among(3, &[0, 1, 2]), &mut rng);
                assert_eq!(found.expect("it goes somewhere").to_string(), expected, "{name}");
                bytes = bytes * 7 % 101;
            }
        }
    }

    #[test]
    fn what_a_hash_cannot_go_by_is_spread_over_what_has_a_leader() {
        for (partitioner, key) in [
            (Partitioner::Murmur2, None),
            (Partitioner::Crc32, None),
            (Partitioner::Crc32, Some(&b""[..])),
            (Partitioner::Fnv1a, None),
            (Partitioner::Sticky, Some(b"k")),
            (Partitioner::RoundRobin, Some(b"k")),
            (Partitioner::Random, Some(b"k")),
        ] {
            let (mut spread, mut rng, mut shares) = (Spread::new(partitioner), Rng::new(3), BTreeMap::new());
            for _ in 0..2_000 {
                let found = spread.choose(choice(key, 100), among(12, &[3, 7]), &mut rng);
                *shares.entry(found.expect("it goes somewhere")).or_insert(0) += 1;
            }
            let fair =
                shares.len() == 2 && [3, 7].iter().all(|it| shares.get(it).is_some_and(|it| *it > 800));
            assert!(fair, "{partitioner}: {shares:?}");
        }
    }

    #[test]
    fn where_nothing_has_a_leader_records_wait_somewhere_and_without_partitions_nowhere() {
        for (name, _, partitioner) in Partitioner::NAMES {
            let mut spread = Spread::new(*partitioner);
            let mut choose = |count| spread.choose(choice(None, 1), among(count, &[]), &mut Rng::new(1));
            assert_eq!(choose(0), None, "{name}");
            let expected = *partitioner != Partitioner::Manual;
            assert_eq!(choose(3).is_some_and(|it| (0..3).contains(&it)), expected, "{name}");
        }
    }

    #[test]
    fn a_topic_that_grows_has_its_new_partitions_filled_too() {
        let (mut spread, mut rng) = (Spread::new(Partitioner::LeastBytes), Rng::new(1));
        let mut choose = |count| spread.choose(choice(None, 10), among(count, &[]), &mut rng);
        assert_eq!([choose(2), choose(2), choose(2)], [Some(0), Some(1), Some(0)]);
        assert_eq!([choose(3), choose(3), choose(3)], [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn names_are_those_that_people_know() {
        for (name, others, partitioner) in Partitioner::NAMES {
            assert_eq!(partitioner.to_string(), *name);
            assert!(others.iter().chain([name]).all(|it| it.parse() == Ok(*partitioner)), "{name}");
        }
        let unknown = "murmur3".parse::<Partitioner>().expect_err("there is none").to_string();
        assert!(unknown.contains("`murmur3`") && unknown.contains("least_bytes"), "{unknown}");
    }
}
