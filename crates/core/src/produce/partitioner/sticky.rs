//! Records without a key, spread so that batches fill.

use crate::Rng;

/// Spreads the records of a topic that have no key: stays with a partition until so many bytes went there, so that
/// batches fill, then goes on to another by chance (KIP-794).
#[derive(Debug, Clone, Default)]
pub(super) struct Sticky {
    partition: Option<i32>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a record of `bytes`, among those that have a leader. None if none has.
    pub(super) fn next(
        &mut self,
        bytes: usize,
        batch_bytes: usize,
        led: &[i32],
        rng: &mut Rng,
    ) -> Option<i32> {
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
