//! Loss of power at any place: what was told is judged on what is left, and life goes on from there.

use super::*;

/// Who uses a log, remembers what it was told, and judges by that what a disk has.
pub(super) trait Witness: Default {
    /// Uses the log on this disk for some steps.
    async fn live(&mut self, disk: &Memory, seed: u64, steps: usize);

    /// Judges what is left after so many operations of the disk, and says what holds from then on.
    async fn judge(&self, disk: &Memory, operations: usize, because: &str) -> Self;
}

/// A disk that can be cut. Every other one takes its time, so that batches are written while others are synced and
/// checkpoints stored.
pub(super) fn traced(seed: u64, latency: Duration) -> Memory {
    let disk = Memory::traced();
    match seed % 2 {
        0 => disk,
        _ => disk.with_latency(Arc::new(SystemClock::new()), latency),
    }
}

/// Cuts a disk that was lived on after each of its operations, lives some steps on what is left, and cuts that again.
pub(super) async fn cut_everywhere<W: Witness>(disk: &Memory, told: &W, seed: u64, steps: usize) {
    for operations in 0..=disk.operations() {
        let mut chance = Rng::new(seed << 32 | operations as u64);
        let because = format!("seed {seed}, cut after {operations}");
        let second = disk.cut_after(operations, &mut chance);
        let mut told = told.judge(&second, operations, &because).await;
        let from = second.operations();
        told.live(&second, chance.bits(), steps).await;
        let again = from + chance.below((second.operations() - from) as u64 + 1) as usize;
        let third = second.cut_after(again, &mut chance);
        told.judge(&third, again, &format!("{because} and again after {again}")).await;
    }
}

/// Lives six times some steps, each time until the disk is cut anywhere in them. Gives the disk that is left.
pub(super) async fn cut_every_life<W: Witness>(mut disk: Memory, seed: u64, steps: usize) -> Memory {
    let mut chance = Rng::new(seed);
    let mut told = W::default();
    for life in 0..6 {
        let from = disk.operations();
        told.live(&disk, chance.bits(), steps).await;
        let cut = from + chance.below((disk.operations() - from) as u64 + 1) as usize;
        disk = disk.cut_after(cut, &mut chance);
        told = told.judge(&disk, cut, &format!("seed {seed}, life {life}, cut after {cut}")).await;
    }
    disk
}
