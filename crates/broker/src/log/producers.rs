//! Who wrote to a partition, as an image keeps it, and how much of that is remembered.

use vltava_core::{
    Timestamp,
    produce::{Number, Numbered, Remembered, Window, Windows},
};

use crate::ledger::partitions::{StoredBatch, StoredProducer};

/// A partition remembers no more producers; those that wrote longest ago are forgotten first.
const PRODUCERS_MAX: usize = 10_000;
/// A producer that has not written for a day is forgotten, as Kafka does.
const REMEMBERED_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Takes in a batch that was appended at `base_offset`.
pub(super) fn remember(windows: &mut Windows, batch: &Numbered, base_offset: i64, at: Timestamp) {
    let is_known = || windows.entries().any(|(id, _)| id == batch.producer.id);
    if windows.entries().len() >= PRODUCERS_MAX && !is_known() {
        let longest_ago = windows.entries().map(|(_, it)| it.last_used()).min();
        windows.expire(longest_ago.map_or(at, |it| Timestamp(it.0.saturating_add(1))));
    }
    windows.appended(batch, base_offset, at);
}

/// Forgets those that have not written for a day.
pub(super) fn forget_old(windows: &mut Windows, now: Timestamp) {
    windows.expire(Timestamp(now.0.saturating_sub(REMEMBERED_MILLIS)));
}

/// What an image says of them, without those that are forgotten.
pub(super) fn image(windows: &mut Windows, now: Timestamp) -> Vec<StoredProducer> {
    forget_old(windows, now);
    let batch = |it: &Remembered| StoredBatch {
        base_sequence: it.first.field(),
        count: it.count,
        base_offset: it.base_offset,
    };
    let producer = |(producer_id, window): (i64, &Window)| StoredProducer {
        producer_id,
        producer_epoch: window.epoch(),
        last_used: window.last_used().0,
        batches: window.batches().map(batch).collect(),
    };
    windows.entries().map(producer).collect()
}

/// What an image said.
pub(super) fn restored(image: &[StoredProducer]) -> Windows {
    let mut windows = Windows::default();
    for it in image {
        let batch = |it: &StoredBatch| {
            let first = Number::new(it.base_sequence)?;
            Some(Remembered { first, count: it.count, base_offset: it.base_offset })
        };
        let batches = it.batches.iter().filter_map(batch);
        windows.restore(it.producer_id, Window::new(it.producer_epoch, Timestamp(it.last_used), batches));
    }
    windows
}

#[cfg(test)]
mod tests {
    use vltava_core::produce::Identity;

    use super::*;

    fn batch(id: i64) -> Numbered {
        Numbered { producer: Identity { id, epoch: 0 }, first: Number::default(), count: 1 }
    }

    #[test]
    fn a_flood_of_producers_takes_no_more_memory_than_there_is_for_them() {
        let mut windows = Windows::default();
        for id in 0..PRODUCERS_MAX as i64 + 100 {
            remember(&mut windows, &batch(id), id, Timestamp(id));
        }
        assert_eq!(windows.entries().len(), PRODUCERS_MAX);
        assert_eq!(windows.entries().next().map(|(id, _)| id), Some(100), "the first ones are forgotten");
    }

    #[test]
    fn an_image_brings_back_all_that_wrote_within_a_day() {
        let mut windows = Windows::default();
        remember(&mut windows, &batch(1), 10, Timestamp(0));
        remember(&mut windows, &batch(2), 11, Timestamp(1));
        let image = image(&mut windows, Timestamp(REMEMBERED_MILLIS + 1));
        assert_eq!(image.iter().map(|it| it.producer_id).collect::<Vec<_>>(), [2]);
        assert_eq!(restored(&image), windows);
    }
}
