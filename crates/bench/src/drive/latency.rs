//! How long records take, from when they were to be sent: who falls behind does not get to send later (no coordinated
//! omission). Records are due in bursts, one each millisecond.

use std::{
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Task;

/// The part of the records that is not measured.
const WARM_UP: u64 = 10;

/// Nothing takes longer; what does is counted as this.
const NANOS_MAX: u64 = 60_000_000_000;

const BURST: Duration = Duration::from_millis(1);

/// Of what records took, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// Since when all times are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin(Instant);

impl Origin {
    pub(super) fn now() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since then.
    pub(super) fn nanos(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// What records took.
#[derive(Debug)]
pub(super) struct Latencies {
    origin: Origin,
    skip: u64,
    taken: Histogram<u64>,
}

impl Latencies {
    pub(super) fn new(origin: Origin, records: u64) -> Self {
        let taken = Histogram::new_with_bounds(1, NANOS_MAX, 3).expect("the bounds are sound");
        Self { origin, skip: records / WARM_UP, taken }
    }

    /// A record that was due at `due` is through now.
    pub(super) fn through(&mut self, due: u64) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.taken.saturating_record(self.origin.nanos().saturating_sub(due).max(1));
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        let micros = |quantile| self.taken.value_at_quantile(quantile) as f64 / 1e3;
        Quantiles {
            p50: micros(0.5),
            p99: micros(0.99),
            p999: micros(0.999),
            max: self.taken.max() as f64 / 1e3,
        }
    }
}

/// Sends on this thread, each record when it is due: number of the record, and when that is. Nobody waits for those
/// who take longer than there is time.
pub(super) fn pace<E>(
    task: &Task,
    origin: Origin,
    mut send: impl FnMut(u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let burst = (task.rate / 1_000).max(1);
    let first = origin.nanos() + BURST.as_nanos() as u64;
    let mut at = 0;
    while at < task.records {
        let due = first + at * 1_000_000_000 / task.rate;
        thread::sleep(Duration::from_nanos(due.saturating_sub(origin.nanos())));
        for _ in 0..burst.min(task.records - at) {
            send(at, due)?;
            at += 1;
        }
    }
    Ok(())
}

/// Where a record goes. With skew, of the nodes that lead partitions by turns the first gets four fifths of all records,
/// the second most of the others.
pub(super) fn partition(task: &Task, at: u64) -> i32 {
    let partitions = task.partitions as u64;
    if !task.skewed {
        return (at % partitions) as i32;
    }
    let node = match at % 20 {
        0..16 => 0,
        16..19 => 1,
        _ => 2,
    };
    (node + 3 * (at / 20 % (partitions / 3))) as i32
}

/// A value that says when it was due.
pub(super) fn value(task: &Task, due: u64) -> Vec<u8> {
    let mut value = vec![b'v'; task.value_bytes.max(8)];
    value[..8].copy_from_slice(&due.to_be_bytes());
    value
}

/// When a record of this value was due.
pub(super) fn due(value: Option<&[u8]>) -> Option<u64> {
    Some(u64::from_be_bytes(*value?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use vltava_wire::Codec;

    use super::*;
    use crate::drive::Work;

    fn task(records: u64, rate: u64, skewed: bool) -> Task {
        Task {
            client: String::new(),
            variant: String::new(),
            work: Work::Ack,
            bootstrap: String::new(),
            topic: String::new(),
            partitions: 12,
            records,
            value_bytes: 100,
            codec: Codec::default(),
            keyed: false,
            group: None,
            rate,
            skewed,
        }
    }

    #[test]
    fn who_falls_behind_is_not_given_more_time() {
        let mut dues = Vec::new();
        let slow = |at, due| {
            dues.push(due);
            if at == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            Ok::<(), ()>(())
        };
        pace(&task(20, 10_000, false), Origin::now(), slow).expect("nothing fails");
        assert_eq!(dues.len(), 20);
        assert_eq!((dues[9] - dues[0], dues[10] - dues[0]), (0, 1_000_000));
    }

    #[test]
    fn skew_gives_the_first_node_four_fifths() {
        let mut nodes = [0; 3];
        (0..2_400).for_each(|at| nodes[partition(&task(0, 0, true), at) as usize % 3] += 1);
        assert_eq!(nodes, [1_920, 360, 120]);
    }
}
