//! Which partition a record goes to that names none.

use crate::Rng;

/// The partition of a key, of so many: the same as Java's producer chooses, so that all clients of a topic agree.
///
/// # Panics
/// If there are no partitions.
pub fn keyed(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions
}

/// The hash of Java's producer: MurmurHash2 (Appleby 2008) of 32 bits, little-endian, with a seed of its own.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word = (word ^ (word >> 24)).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ word;
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, &byte| rest << 8 | u32::from(byte));
        hash = (hash ^ rest).wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

/// Spreads the records of a topic that have no key: stays with a partition until so many bytes went there, so that
/// batches fill, then goes on to another by chance (KIP-794).
#[derive(Debug, Clone, Default)]
pub struct Sticky {
    partition: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a record of `bytes`, among those that have a leader. None if none has.
    pub fn next(&mut self, bytes: usize, batch_bytes: usize, led: &[i32], rng: &mut Rng) -> Option<i32> {
        let stays = self.partition.filter(|it| self.bytes < batch_bytes && led.contains(it));
        let partition = match stays {
            Some(partition) => partition,
            None => self.move_on(led, rng)?,
        };
        self.bytes += bytes;
        Some(partition)
    }

    fn move_on(&mut self, led: &[i32], rng: &mut Rng) -> Option<i32> {
        let others: Vec<i32> = led.iter().copied().filter(|it| Some(*it) != self.partition).collect();
        let choice = if others.is_empty() { led } else { &others };
        let next = *choice.get(rng.below(choice.len().max(1) as u64) as usize)?;
        *self = Self { partition: Some(next), bytes: 0 };
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Key, hash and partition of twelve, as `Utils.murmur2` and `Utils.toPositive` of kafka-clients 4.3.0 give them.
    const OF_JAVA: &[(&[u8], i32, u32)] = &[
        (b"", 275646681, 9),
        (b"a", -1563381124, 4),
        (b"ab", 316155434, 2),
        (b"abc", 479470107, 3),
        (b"abcd", -1323649548, 8),
        (b"21", -973932308, 0),
        (b"foobar", -790332482, 6),
        (b"order-123", -940440895, 1),
        (b"a-little-bit-long-string", -985981536, 8),
        (b"a-little-bit-longer-string", -1486304829, 11),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, 5),
        ("příliš žluťoučký kůň".as_bytes(), 112925987, 11),
        (b"\xff\x80\x00\x01\x9c", -519037967, 9),
    ];

    #[test]
    fn a_key_goes_where_java_sends_it() {
        for &(key, hash, partition) in OF_JAVA {
            assert_eq!(murmur2(key) as i32, hash, "{key:?}");
            assert_eq!(keyed(key, 12), partition, "{key:?}");
        }
    }

    #[test]
    fn records_without_a_key_stay_until_a_batch_is_full() {
        let (mut sticky, mut rng) = (Sticky::default(), Rng::new(1));
        let all: Vec<_> = (0..30).filter_map(|_| sticky.next(10, 100, &[0, 1, 2], &mut rng)).collect();
        let runs: Vec<_> = all.chunks(10).map(|run| run.iter().all(|it| *it == run[0])).collect();
        assert_eq!(runs, [true; 3]);
        assert!(all[9] != all[10] && all[19] != all[20], "it moves on to another");
    }

    #[test]
    fn partitions_get_about_the_same_share() {
        let (mut sticky, mut rng, mut shares) = (Sticky::default(), Rng::new(2), BTreeMap::new());
        for _ in 0..3_000 {
            let partition = sticky.next(1, 1, &[0, 1, 2], &mut rng).expect("all are led");
            *shares.entry(partition).or_insert(0) += 1;
        }
        assert!(shares.values().all(|it| (900..=1_100).contains(it)), "{shares:?}");
    }

    #[test]
    fn a_partition_that_loses_its_leader_is_left() {
        let (mut sticky, mut rng) = (Sticky::default(), Rng::new(3));
        let first = sticky.next(1, 100, &[0, 1], &mut rng).expect("both are led");
        assert_eq!(sticky.next(1, 100, &[1 - first], &mut rng), Some(1 - first));
        assert_eq!(sticky.next(1, 100, &[], &mut rng), None);
    }
}
